//! What control wants to know of the kernel.

use engine::tables::Hop;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// The kernel's word on VIPs and backends at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// VIPs whose address the kernel holds on one of our interfaces.
    pub live: HashSet<IpAddr>,
    /// Where packets for a backend's address go next. A backend that no route over our interfaces
    /// reaches, or whose next hop does not answer, is not in it.
    pub hops: HashMap<IpAddr, Hop>,
}
