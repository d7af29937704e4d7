//! VIPs and the services on them.

use crate::types::id::{BackendId, ServiceId};
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The only one of a VIP's services that a port may be of which is none's own; several would have to guess.
pub fn only_service(
    services: &[(u16, ServiceId)],
    may_be_of: impl Fn(ServiceId) -> bool,
) -> Option<ServiceId> {
    let mut services = services.iter().map(|&(_, id)| id).filter(|&id| may_be_of(id));
    services.next().filter(|_| services.next().is_none())
}

/// A VIP and the services on it.
#[derive(Debug, Clone)]
pub struct Vip {
    /// Address.
    pub address: IpAddr,
    /// Services by UDP port.
    pub udp: Vec<(u16, ServiceId)>,
    /// Services by TCP port.
    pub tcp: Vec<(u16, ServiceId)>,
    /// The service for everything else.
    pub any: Option<ServiceId>,
    /// Whether the other gate of a pair holds the VIP, too.
    pub is_shared: bool,
    /// Passive TCP ports, and the backend that each range belongs to.
    pub passive: Vec<(RangeInclusive<u16>, BackendId)>,
}

impl Vip {
    /// A VIP without services.
    pub fn new(address: IpAddr) -> Vip {
        Vip { address, udp: vec![], tcp: vec![], any: None, is_shared: false, passive: vec![] }
    }

    /// The backend that a passive port belongs to.
    pub fn passive_owner(&self, port: u16) -> Option<BackendId> {
        self.passive.iter().find(|(range, _)| range.contains(&port)).map(|&(_, owner)| owner)
    }

    /// All services on the VIP.
    pub fn services(&self) -> impl Iterator<Item = ServiceId> {
        self.udp.iter().chain(&self.tcp).map(|&(_, service)| service).chain(self.any)
    }
}
