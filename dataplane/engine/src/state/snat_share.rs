//! One worker's share of the SNAT ports.

use crate::flow::endpoint::HostId;
use crate::flow::port_allocator::Turns;

/// One worker's share of the SNAT ports, by [`crate::types::id::SnatId`].
#[derive(Debug, Default)]
pub struct SnatShare {
    /// The addresses.
    pub hosts: Vec<HostId>,
    /// How far the worker has got with the ports of each.
    pub turns: Vec<Turns>,
    /// How many clients of FTP servers see by each: what binds each of them counts.
    pub tenants: Vec<u32>,
}
