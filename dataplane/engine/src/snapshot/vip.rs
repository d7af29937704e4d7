//! VIPs and the services on them.

use crate::types::id::{BackendId, ServiceId};
use std::net::IpAddr;
use std::ops::RangeInclusive;

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
    /// Passive TCP ports, and the backend that each range belongs to.
    pub passive: Vec<(RangeInclusive<u16>, BackendId)>,
}

impl Vip {
    /// A VIP without services.
    pub fn new(address: IpAddr) -> Vip {
        Vip { address, udp: vec![], tcp: vec![], any: None, passive: vec![] }
    }

    /// All services on the VIP.
    pub fn services(&self) -> impl Iterator<Item = ServiceId> {
        self.udp.iter().chain(&self.tcp).map(|&(_, service)| service).chain(self.any)
    }
}
