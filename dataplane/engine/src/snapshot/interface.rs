//! Interfaces of the gate.

use crate::types::id::VipId;
use ipnet::IpNet;
use std::collections::HashMap;
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
    /// Hardware addresses of macvlan links above the TAP, as of virtual routers: frames to them are the gate's, too. Few
    /// at most: they are searched for each frame that is not to `mac`.
    pub virtual_macs: Vec<Mac>,
    /// VIPs and SNAT addresses that the kernel holds on the interface, each with the hardware address that neighbours are
    /// told: that of the interface, or of a macvlan link above it.
    pub held: HashMap<IpAddr, Mac>,
    /// The hardware address of the pair's other gate, if it is on the same link and both gates hold a VIP.
    pub other_gate: Option<Mac>,
    /// The VIP whose clients may send to broadcast addresses instead.
    pub broadcast: Option<VipId>,
}
