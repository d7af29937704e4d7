//! Services: one protocol on one VIP and port.

use super::protocol::Protocol;
use crate::scheduler::backend_group::BackendGroup;
use crate::scheduler::persistence::Persistence;
use crate::snapshot::access::Access;
use crate::snapshot::log_policy::LogPolicy;
use crate::snapshot::option_limits::OptionLimits;
use crate::snapshot::rule::Rule;
use crate::types::id::GroupId;
use crate::types::mode::Mode;
use std::net::IpAddr;
use wire::tftp::Request;

/// A service: one protocol on one VIP and port.
#[derive(Debug, Clone)]
pub struct Service {
    /// Protocol.
    pub protocol: Protocol,
    /// The port for requests, on the VIP and on the backends.
    pub port: u16,
    /// Mode.
    pub mode: Mode,
    /// Idle timeout of transfers and connections, in ticks.
    pub idle_timeout: u32,
    /// Idle timeout of TCP connections that are half open or closing (RFC 5382, REQ-5), in ticks.
    pub transitory_timeout: u32,
    /// Persistence; `None`: off.
    pub persistence: Option<Persistence>,
    /// Whether downloads fail over to another backend.
    pub failover: bool,
    /// Access rules.
    pub access: Access,
    /// Limits on TFTP options.
    pub options: OptionLimits,
    /// Records that control wants.
    pub log: LogPolicy,
    /// Rules with backend groups of their own; the first match wins.
    pub rules: Vec<(Rule, GroupId)>,
    /// Backend group of all other requests.
    pub group: GroupId,
}

impl Service {
    /// The backend group of a request.
    pub fn group(&self, client: IpAddr, request: Option<&Request>) -> GroupId {
        let mut rules = self.rules.iter();
        let is_for = |rule: &Rule| request.is_some_and(|request| rule.is_for(client, request));
        rules.find(|(rule, _)| is_for(rule)).map_or(self.group, |&(_, group)| group)
    }

    /// All backend groups of the service.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.rules.iter().map(|&(_, group)| group).chain([self.group])
    }
}

/// A backend group for each address family of clients ([`crate::ip_family::IpFamily::PLACE`]).
pub type BackendGroups = [BackendGroup; 2];
