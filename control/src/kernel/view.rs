//! What control wants to know of the kernel.

use crate::config::Held;
use engine::tables::Hop;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// What the kernel is to do for services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Addresses that it is to hold: VIPs and those of SNAT pools.
    pub held: HashSet<Held>,
    /// VIPs, of which it is to say whether it holds them.
    pub vips: HashSet<IpAddr>,
    /// Backends' addresses, of which it is to say where their packets go next.
    pub backends: HashSet<IpAddr>,
}

/// The kernel's word on VIPs and backends at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// VIPs whose address the kernel holds on one of our interfaces.
    pub live: HashSet<IpAddr>,
    /// Where packets for a backend's address go next. A backend that no route over our interfaces
    /// reaches, or whose next hop does not answer, is not in it.
    pub hops: HashMap<IpAddr, Hop>,
}
