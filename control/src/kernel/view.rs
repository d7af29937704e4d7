//! The kernel's state, as far as control wants to know.

use crate::config::Held;
use engine::tables::{Hop, InterfaceId};
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use wire::ethernet::Mac;

/// The services' wishes of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Addresses that it is to hold: VIPs and those of SNAT pools.
    pub held: HashSet<Held>,
    /// VIPs, of which it is to say whether it holds them.
    pub vips: HashSet<IpAddr>,
    /// Backends' addresses, of which it is to say where their packets go next.
    pub backends: HashSet<IpAddr>,
    /// Other addresses of theirs, which may be on other links.
    pub aliases: HashSet<IpAddr>,
    /// The networks on our interfaces: what is in one is not reached by another interface.
    pub subnets: Vec<(InterfaceId, IpNet)>,
}

/// The kernel's word on VIPs and backends at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// VIPs whose address the kernel holds on one of our interfaces.
    pub live: HashSet<IpAddr>,
    /// Services' addresses, VIPs and those of pools, that the kernel holds, and by which interface.
    pub held: HashSet<Held>,
    /// Where packets for a backend's address go next. A backend that no route over our interfaces
    /// reaches, or whose next hop does not answer, is not in it.
    pub hops: HashMap<IpAddr, Hop>,
    /// Where packets of a backend's addresses come from, as far as the kernel has a way to them.
    pub sources: HashMap<IpAddr, Source>,
    /// Where packets to anybody go: by address. The longest prefix that fits counts.
    pub routes: Arc<[Route]>,
    /// Devices, by their Linux names, whose MTU is smaller than their interfaces', and can't be put back.
    pub narrow: HashMap<String, u16>,
}

/// Where an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Behind some router on the link of this interface.
    Routed(InterfaceId),
    /// On this link; at a station that the kernel knows, or is yet to find.
    OnLink(InterfaceId, Option<Mac>),
}

impl Wanted {
    /// Whether an address may be reached by this interface, as far as our networks tell: the smallest that it is in
    /// counts. Neither an operator's slip nor a router's advertisement leads past it.
    pub fn may_be_at(&self, address: IpAddr, interface: InterfaceId) -> bool {
        let around = || self.subnets.iter().filter(|(_, net)| net.contains(&address));
        let smallest = around().map(|(_, net)| net.prefix_len()).max();
        smallest.is_none_or(|smallest| {
            around().any(|&(id, net)| id == interface && net.prefix_len() == smallest)
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_network_of_ours_is_reached_by_its_interface() {
        let nets = [(0, "10.0.0.0/8"), (1, "10.1.0.0/16"), (2, "10.1.0.0/16"), (1, "fd00::/64")];
        let subnets = nets.map(|(id, net)| (id, net.parse().unwrap())).into();
        let wanted = Wanted { subnets, ..Wanted::default() };
        for (address, may) in [
            ("10.0.0.30", [true, false, false]),
            ("10.1.0.30", [false, true, true]),
            ("192.0.2.1", [true; 3]),
            ("fd00::30", [false, true, false]),
            ("fd01::30", [true; 3]),
        ] {
            let address = address.parse().unwrap();
            assert_eq!([0, 1, 2].map(|id| wanted.may_be_at(address, id)), may, "{address}");
        }
    }
}
