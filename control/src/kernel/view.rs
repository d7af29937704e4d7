//! What control wants to know of the kernel.

use crate::config::Held;
use engine::tables::{Hop, InterfaceId};
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use wire::ethernet::Mac;

/// What the kernel is to do for services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Addresses that it is to hold: VIPs and those of SNAT pools.
    pub held: HashSet<Held>,
    /// VIPs, of which it is to say whether it holds them.
    pub vips: HashSet<IpAddr>,
    /// Backends' addresses, of which it is to say where their packets go next.
    pub backends: HashSet<IpAddr>,
    /// Whether it is to say where packets to anybody else go.
    pub routes: bool,
}

/// The kernel's word on VIPs and backends at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// VIPs whose address the kernel holds on one of our interfaces.
    pub live: HashSet<IpAddr>,
    /// Where packets for a backend's address go next. A backend that no route over our interfaces
    /// reaches, or whose next hop does not answer, is not in it.
    pub hops: HashMap<IpAddr, Hop>,
    /// Where packets to anybody go, if that was asked for: by address. The longest prefix that fits counts.
    pub routes: Arc<[Route]>,
}

/// A route, or a station on a link, which is a route to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// To here.
    pub to: IpNet,
    /// By this router; `None`: it is on the link.
    pub gateway: Option<IpAddr>,
    /// Over this interface; `None`: over none of ours.
    pub interface: Option<InterfaceId>,
    /// The next station's hardware address, if it is known.
    pub mac: Option<Mac>,
}

impl Route {
    /// The next station.
    pub fn hop(&self) -> Option<Hop> {
        Some(Hop { interface: self.interface?, mac: self.mac? })
    }
}
