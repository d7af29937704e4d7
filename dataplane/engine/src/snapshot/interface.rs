//! Interfaces of the gate.

use crate::types::id::VipId;
use ipnet::IpNet;
use std::collections::HashSet;
use std::net::IpAddr;
use wire::ethernet::Mac;

/// An interface of the gate.
#[derive(Debug, Clone, Default)]
pub struct Interface {
    /// Hardware address of the device, and of its TAP in Linux.
    pub mac: Mac,
    /// MTU in bytes.
    pub mtu: u16,
    /// The kernel's addresses on the interface, with their networks.
    pub addresses: Vec<IpNet>,
    /// VIPs and SNAT addresses that the kernel holds on the interface.
    pub held: HashSet<IpAddr>,
    /// The VIP whose clients may send to broadcast addresses instead.
    pub broadcast: Option<VipId>,
}
