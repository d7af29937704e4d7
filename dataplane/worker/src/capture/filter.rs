//! The filter of a capture: control has resolved all names.

use super::record::Fate;
use engine::flow::summary::FlowSummary;
use engine::types::drop_reason::DropReason;
use engine::types::id::{BackendId, InterfaceId, ServiceId};
use engine::types::verdict::Verdict;
use ipnet::IpNet;
use std::net::IpAddr;

/// A filter; a frame matches if all that is set does.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The client's network.
    pub client: Option<IpNet>,
    /// The flow's service.
    pub service: Option<ServiceId>,
    /// The flow's backend: one of these. Several services may have one of the same name.
    pub backends: Option<Vec<BackendId>>,
    /// The interface that the frame came in by, or leaves by.
    pub interface: Option<InterfaceId>,
    /// The reason for which the frame was dropped.
    pub reason: Option<DropReason>,
    /// Whether only dropped frames match.
    pub is_dropped: bool,
}

impl Filter {
    /// Whether the filter is for frames of this interface.
    pub fn has(&self, interface: InterfaceId) -> bool {
        self.interface.is_none_or(|wanted| wanted == interface)
    }

    /// Whether the filter is for a frame of this flow, with this fate. A frame without a flow has a client's address if
    /// either of its own is in the client's network.
    pub fn is_for(
        &self,
        flow: Option<&FlowSummary>,
        addresses: Option<[IpAddr; 2]>,
        fate: Fate,
    ) -> bool {
        let is_clients = |net: IpNet| match (flow, addresses) {
            (Some(flow), _) => net.contains(&flow.client.ip()),
            (None, Some(addresses)) => addresses.iter().any(|address| net.contains(address)),
            (None, None) => false,
        };
        let of_service = |service| flow.is_some_and(|flow| flow.service == Some(service));
        let backend = flow.and_then(|flow| flow.backend);
        self.has_fate(fate)
            && self.client.is_none_or(is_clients)
            && self.service.is_none_or(of_service)
            && self
                .backends
                .as_ref()
                .is_none_or(|all| backend.is_some_and(|one| all.contains(&one)))
    }

    fn has_fate(&self, fate: Fate) -> bool {
        match (self.reason, fate) {
            (Some(wanted), Fate::Verdict(Verdict::Drop(reason))) => wanted == reason,
            (Some(_), _) => false,
            (None, Fate::Verdict(Verdict::Drop(_))) => true,
            (None, _) => !self.is_dropped,
        }
    }
}
