//! The kernel view: the kernel's state, as far as control needs it.

use crate::config::Held;
use engine::types::id::InterfaceId;
use engine::types::next_hop::NextHop;
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use wire::ethernet::Mac;

/// State that control wants from the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Addresses that Tidegate has the kernel hold: VIPs and SNAT addresses, but for those that somebody else adds.
    pub held: HashSet<Held>,
    /// Addresses that the kernel would hold, if they were announced.
    pub withdrawn: HashSet<Held>,
    /// All VIPs and SNAT addresses, whose presence is watched.
    pub served: HashSet<IpAddr>,
    /// Backends' addresses, whose next hops are watched.
    pub backends: HashSet<IpAddr>,
    /// Backends' aliases, which may be on other links.
    pub aliases: HashSet<IpAddr>,
    /// The subnets of our interfaces: an address in one is not reached over another interface.
    pub subnets: Vec<(InterfaceId, IpNet)>,
}

/// The kernel's state of services' addresses, backends and routes at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelView {
    /// VIPs and SNAT addresses that the kernel holds, with their interfaces; those on a macvlan link above an interface
    /// with that link's hardware address.
    pub held: HashMap<Held, Option<Mac>>,
    /// VIPs and SNAT addresses that Tidegate has withdrawn.
    pub withdrawn: HashSet<IpAddr>,
    /// Hardware addresses of macvlan links above interfaces, as of virtual routers.
    pub virtual_macs: HashSet<(usize, Mac)>,
    /// The next hops of backends' addresses. A backend is missing if no route over our interfaces reaches it, or its
    /// next hop does not answer.
    pub hops: HashMap<IpAddr, NextHop>,
    /// The origins of packets from backends' addresses, as far as the kernel has a route to them.
    pub sources: HashMap<IpAddr, Source>,
    /// All routes, ordered by address. The longest prefix that matches counts.
    pub routes: Arc<[Route]>,
    /// Devices, by their Linux names, whose MTU is smaller than their interfaces', and can't be restored.
    pub narrow: HashMap<String, u16>,
    /// Interfaces whose device's link is down. Their TAPs have no carrier.
    pub down: HashSet<usize>,
}

/// The location of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Behind a router on the link of this interface.
    Routed(InterfaceId),
    /// On this link, at a hardware address if the kernel knows it.
    OnLink(InterfaceId, Option<Mac>),
}

impl KernelView {
    /// The VIPs and SNAT addresses that the kernel holds, on whichever of our interfaces.
    pub fn live(&self) -> HashSet<IpAddr> {
        self.held.keys().map(|held| held.address).collect()
    }
}

impl Wanted {
    /// Withdraws some of the held addresses.
    pub fn withdraw(mut self, withdrawn: impl Fn(&Held) -> bool) -> Wanted {
        let (gone, held) = self.held.drain().partition(withdrawn);
        (self.withdrawn, self.held) = (gone, held);
        self
    }

    /// Has addresses held that are withdrawn.
    pub fn announce(&mut self, addresses: &HashSet<Held>) {
        let announced: Vec<_> = self.withdrawn.intersection(addresses).copied().collect();
        self.withdrawn.retain(|held| !addresses.contains(held));
        self.held.extend(announced);
    }

    /// Whether an address may be reached over this interface: the smallest of our subnets that contains it decides.
    /// Neither an operator's mistake nor a router's advertisement overrides that.
    pub fn may_be_at(&self, address: IpAddr, interface: InterfaceId) -> bool {
        let around = || self.subnets.iter().filter(|(_, net)| net.contains(&address));
        let smallest = around().map(|(_, net)| net.prefix_len()).max();
        smallest.is_none_or(|smallest| {
            around().any(|&(id, net)| id == interface && net.prefix_len() == smallest)
        })
    }
}

/// A route, or a neighbour on a link, which is a route to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The destination.
    pub to: IpNet,
    /// The gateway; `None`: the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The interface; `None`: none of ours.
    pub interface: Option<InterfaceId>,
    /// The next hop's hardware address, if it is known.
    pub mac: Option<Mac>,
}

impl Route {
    /// The next hop, if it is known.
    pub fn hop(&self) -> Option<NextHop> {
        Some(NextHop { interface: self.interface?, mac: self.mac? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_withdrawn_is_held_once_it_is_announced() {
        let held = |n| Held { address: IpAddr::from([10, 0, 0, n]), interface: 0 };
        let all = HashSet::from([held(1), held(2)]);
        let wanted = Wanted { held: all.clone(), ..Wanted::default() };
        let mut one = wanted.clone().withdraw(|one| *one == held(1));
        assert_eq!(one.held, HashSet::from([held(2)]));
        assert_eq!(one.withdrawn, HashSet::from([held(1)]));
        // Nobody has wanted the third one.
        one.announce(&HashSet::from([held(2), held(3)]));
        assert_eq!(one, wanted.clone().withdraw(|one| *one == held(1)));
        one.announce(&HashSet::from([held(1)]));
        assert_eq!(one, wanted);
    }

    #[test]
    fn what_is_in_a_network_of_ours_is_reached_by_its_interface() {
        let nets = [(0, "10.0.0.0/8"), (1, "10.1.0.0/16"), (2, "10.1.0.0/16"), (1, "fd00::/64")];
        let subnets = nets.map(|(id, net)| (InterfaceId(id), net.parse().unwrap())).into();
        let wanted = Wanted { subnets, ..Wanted::default() };
        for (address, may) in [
            ("10.0.0.30", [true, false, false]),
            ("10.1.0.30", [false, true, true]),
            ("192.0.2.1", [true; 3]),
            ("fd00::30", [false, true, false]),
            ("fd01::30", [true; 3]),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(
                [0, 1, 2].map(|id| wanted.may_be_at(address, InterfaceId(id))),
                may,
                "{address}"
            );
        }
    }
}
