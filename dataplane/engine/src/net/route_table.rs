//! The kernel's routes.

use crate::types::next_hop::NextHop;
use crossbeam::queue::ArrayQueue;
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use std::iter;
use std::net::IpAddr;
use std::sync::Arc;

/// The kernel's routes with their resolved next hops. Cloning is cheap, as there may be thousands.
#[derive(Debug, Clone, Default)]
pub struct RouteTable(Arc<ByPrefix>);

#[derive(Debug, Default)]
struct ByPrefix {
    hops: HashMap<IpNet, Option<NextHop>>,
    /// Prefix lengths in use, the longest first, by address family ([`crate::ip_family::IpFamily::PLACE`]).
    lengths: [Vec<u8>; 2],
    routers: HashSet<IpAddr>,
}

/// A route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Destination.
    pub to: IpNet,
    /// The router; `None`: on-link.
    pub gateway: Option<IpAddr>,
    /// The next hop; `None` while its hardware address is unknown, or if its interface is not the gate's.
    pub hop: Option<NextHop>,
}

impl RouteTable {
    /// A table of routes; the longest matching prefix wins.
    pub fn new(all: impl IntoIterator<Item = Route>) -> RouteTable {
        let mut routes = ByPrefix::default();
        for Route { to, gateway, hop } in all {
            routes.routers.extend(gateway);
            let lengths = &mut routes.lengths[usize::from(to.addr().is_ipv6())];
            if let Err(place) = lengths.binary_search_by(|known| to.prefix_len().cmp(known)) {
                lengths.insert(place, to.prefix_len());
            }
            routes.hops.insert(to.trunc(), hop);
        }
        RouteTable(Arc::new(routes))
    }

    /// Whether any route leads through this address.
    pub fn is_router(&self, address: IpAddr) -> bool {
        self.0.routers.contains(&address)
    }

    /// The next hop towards `to`, if it is resolved.
    pub fn hop(&self, to: IpAddr) -> Option<NextHop> {
        let ByPrefix { hops, lengths, .. } = &*self.0;
        let of_length = |&length: &u8| hops.get(&IpNet::new(to, length).ok()?.trunc());
        *lengths[usize::from(to.is_ipv6())].iter().find_map(of_length)?
    }

    /// The next hop of answers to a client whose packet came from `from`: the last hop, unless the kernel has resolved
    /// the client itself on that link.
    pub fn back_to(&self, client: IpAddr, from: NextHop) -> NextHop {
        let ByPrefix { hops, lengths, .. } = &*self.0;
        let host = IpNet::from(client);
        let has_hosts = lengths[usize::from(client.is_ipv6())].first() == Some(&host.prefix_len());
        let found = has_hosts.then(|| hops.get(&host)).flatten().copied().flatten();
        found.filter(|found| found.interface == from.interface).unwrap_or(from)
    }
}

/// Addresses without a resolved next hop, which control has the kernel resolve. All clones share one queue.
#[derive(Debug, Clone)]
pub struct Unresolved(Arc<ArrayQueue<IpAddr>>);

/// Capacity of the queue.
const ROOM: usize = 64;

impl Default for Unresolved {
    fn default() -> Unresolved {
        Unresolved(Arc::new(ArrayQueue::new(ROOM)))
    }
}

impl Unresolved {
    /// Notes an address. A full queue drops it: the next packet will note it again.
    pub fn note(&self, address: IpAddr) {
        let _ = self.0.push(address);
    }

    /// Removes all addresses noted so far.
    pub fn take(&self) -> impl Iterator<Item = IpAddr> {
        iter::from_fn(|| self.0.pop()).take(self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::id::InterfaceId;
    use proptest::prelude::*;
    use wire::ethernet::Mac;

    fn hop(interface: u8) -> NextHop {
        NextHop { mac: Mac([2; 6]), interface: InterfaceId(interface) }
    }

    #[test]
    fn the_longest_prefix_counts() {
        let route = |to: &str, hop| Route { to: to.parse().unwrap(), gateway: None, hop };
        let routes = RouteTable::new([
            route("10.0.0.0/8", Some(hop(1))),
            route("10.1.0.0/16", None),
            route("10.1.1.1/32", Some(hop(2))),
            route("::/0", Some(hop(3))),
            route("fd00::/64", Some(hop(4))),
        ]);
        for (to, interface) in [
            ("10.2.3.4", Some(1)),
            ("10.1.2.3", None),
            ("10.1.1.1", Some(2)),
            ("11.0.0.1", None),
            ("fd00::1", Some(4)),
            ("fd01::1", Some(3)),
        ] {
            let found = routes.hop(to.parse().unwrap());
            assert_eq!(found.map(|hop| hop.interface.0), interface, "{to}");
        }
        assert_eq!(RouteTable::default().hop("10.0.0.1".parse().unwrap()), None);
    }

    #[test]
    fn a_client_is_answered_where_the_kernel_has_found_it_on_its_link() {
        let hop = |n, id| NextHop { mac: Mac([n; 6]), interface: InterfaceId(id) };
        let from = hop(7, 1);
        let route = |to: &str, hop| Route { to: to.parse().unwrap(), gateway: None, hop };
        let routes = RouteTable::new([
            route("10.0.0.1/32", Some(hop(1, 1))),
            route("10.0.0.2/32", Some(hop(2, 2))),
            route("10.0.0.3/32", None),
            route("10.0.0.0/8", Some(hop(3, 1))),
            route("fd00::1/128", Some(hop(4, 1))),
            route("::/0", Some(hop(5, 1))),
        ]);
        for (client, back) in [
            ("10.0.0.1", hop(1, 1)),
            ("10.0.0.2", from),
            ("10.0.0.3", from),
            ("10.0.0.4", from),
            ("fd00::1", hop(4, 1)),
            ("fd00::2", from),
        ] {
            assert_eq!(routes.back_to(client.parse().unwrap(), from), back, "{client}");
        }
    }

    #[test]
    fn unresolved_hosts_are_bounded_and_told_once() {
        let unresolved = Unresolved::default();
        let all = [0, 1, 2].map(|high| (0..50).map(move |n| IpAddr::from([10, 0, high, n])));
        let all: Vec<_> = all.into_iter().flatten().collect();
        all.iter().for_each(|&address| unresolved.clone().note(address));
        assert_eq!(unresolved.take().collect::<Vec<_>>(), all[..ROOM]);
        assert_eq!(unresolved.take().count(), 0);
        unresolved.note(all[149]);
        assert_eq!(unresolved.take().collect::<Vec<_>>(), [all[149]], "there is room again");
    }

    proptest! {
        /// The reference searches all routes.
        #[test]
        fn it_is_the_longest_of_all_that_fit(
            all in prop::collection::vec((0u8..4, 0u8..4, 0u8..=32), 0..30),
            to in (0u8..4, 0u8..4),
        ) {
            let net = |(a, b, length): (u8, u8, u8)| {
                IpNet::new(IpAddr::from([a << 6, b << 6, 0, 0]), length).unwrap().trunc()
            };
            let mut routes: Vec<_> = (0..).zip(&all).map(|(n, &one)| (net(one), n)).collect();
            let found = RouteTable::new(routes.iter().map(|&(to, n)| Route { to, gateway: None, hop: Some(hop(n)) }));
            let to = IpAddr::from([to.0 << 6, to.1 << 6, 0, 0]);
            // Of equal prefixes, the last one wins.
            routes.sort_by_key(|&(net, n)| (net.prefix_len(), n));
            let longest = routes.iter().rfind(|(net, _)| net.contains(&to)).map(|&(_, n)| hop(n));
            prop_assert_eq!(found.hop(to), longest);
        }
    }
}
