//! Where the kernel would send a packet.

use crate::tables::Hop;
use crossbeam::queue::ArrayQueue;
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use std::iter;
use std::net::IpAddr;
use std::sync::Arc;

/// The kernel's routes, and what it knows of the neighbours that they lead to. Cheap to clone: there may be thousands.
#[derive(Debug, Clone, Default)]
pub struct Routes(Arc<ByPrefix>);

#[derive(Debug, Default)]
struct ByPrefix {
    hops: HashMap<IpNet, Option<Hop>>,
    /// Those that there are, the longest ones first, by version of IP ([`crate::family::Family::PLACE`]).
    lengths: [Vec<u8>; 2],
    routers: HashSet<IpAddr>,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// To here.
    pub to: IpNet,
    /// By this router; `None`: it is on the link.
    pub gateway: Option<IpAddr>,
    /// The next station; `None` while the kernel does not know its hardware address, or if it is none of ours.
    pub hop: Option<Hop>,
}

impl Routes {
    /// These, of which the longest one that fits counts.
    pub fn new(all: impl IntoIterator<Item = Route>) -> Routes {
        let mut routes = ByPrefix::default();
        for Route { to, gateway, hop } in all {
            routes.routers.extend(gateway);
            let lengths = &mut routes.lengths[usize::from(to.addr().is_ipv6())];
            if let Err(place) = lengths.binary_search_by(|known| to.prefix_len().cmp(known)) {
                lengths.insert(place, to.prefix_len());
            }
            routes.hops.insert(to.trunc(), hop);
        }
        Routes(Arc::new(routes))
    }

    /// Whether some route leads by this address.
    pub fn is_router(&self, address: IpAddr) -> bool {
        self.0.routers.contains(&address)
    }

    /// The next station on the way there, if it is known.
    pub fn hop(&self, to: IpAddr) -> Option<Hop> {
        let ByPrefix { hops, lengths, .. } = &*self.0;
        let of_length = |&length: &u8| hops.get(&IpNet::new(to, length).ok()?.trunc());
        *lengths[usize::from(to.is_ipv6())].iter().find_map(of_length)?
    }

    /// The station that answers to a client go to whose packet came from this one: the same (the last hop), unless the kernel
    /// has found the client itself on that link.
    pub fn back_to(&self, client: IpAddr, from: Hop) -> Hop {
        let ByPrefix { hops, lengths, .. } = &*self.0;
        let host = IpNet::from(client);
        let has_hosts = lengths[usize::from(client.is_ipv6())].first() == Some(&host.prefix_len());
        let found = has_hosts.then(|| hops.get(&host)).flatten().copied().flatten();
        found.filter(|found| found.interface == from.interface).unwrap_or(from)
    }
}

/// Addresses to which workers have found no hop, for control to have the kernel find them. All clones are one.
#[derive(Debug, Clone)]
pub struct Sought(Arc<ArrayQueue<IpAddr>>);

/// How many are kept.
const ROOM: usize = 64;

impl Default for Sought {
    fn default() -> Sought {
        Sought(Arc::new(ArrayQueue::new(ROOM)))
    }
}

impl Sought {
    /// Notes one. It is lost if there is no room: who wants to go there tries again.
    pub fn note(&self, address: IpAddr) {
        let _ = self.0.push(address);
    }

    /// Takes out all that there are now.
    pub fn take(&self) -> impl Iterator<Item = IpAddr> {
        iter::from_fn(|| self.0.pop()).take(self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::ethernet::Mac;

    fn hop(interface: u8) -> Hop {
        Hop { mac: Mac([2; 6]), interface }
    }

    #[test]
    fn the_longest_prefix_counts() {
        let route = |to: &str, hop| Route { to: to.parse().unwrap(), gateway: None, hop };
        let routes = Routes::new([
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
            assert_eq!(found.map(|hop| hop.interface), interface, "{to}");
        }
        assert_eq!(Routes::default().hop("10.0.0.1".parse().unwrap()), None);
    }

    #[test]
    fn a_client_is_answered_where_the_kernel_has_found_it_on_its_link() {
        let station = |n, interface| Hop { mac: Mac([n; 6]), interface };
        let from = station(7, 1);
        let route = |to: &str, hop| Route { to: to.parse().unwrap(), gateway: None, hop };
        let routes = Routes::new([
            route("10.0.0.1/32", Some(station(1, 1))),
            route("10.0.0.2/32", Some(station(2, 2))),
            route("10.0.0.3/32", None),
            route("10.0.0.0/8", Some(station(3, 1))),
            route("fd00::1/128", Some(station(4, 1))),
            route("::/0", Some(station(5, 1))),
        ]);
        for (client, back) in [
            ("10.0.0.1", station(1, 1)),
            ("10.0.0.2", from),
            ("10.0.0.3", from),
            ("10.0.0.4", from),
            ("fd00::1", station(4, 1)),
            ("fd00::2", from),
        ] {
            assert_eq!(routes.back_to(client.parse().unwrap(), from), back, "{client}");
        }
    }

    #[test]
    fn what_is_sought_is_bounded_and_told_once() {
        let sought = Sought::default();
        let all = [0, 1, 2].map(|high| (0..50).map(move |n| IpAddr::from([10, 0, high, n])));
        let all: Vec<_> = all.into_iter().flatten().collect();
        all.iter().for_each(|&address| sought.clone().note(address));
        assert_eq!(sought.take().collect::<Vec<_>>(), all[..ROOM]);
        assert_eq!(sought.take().count(), 0);
        sought.note(all[149]);
        assert_eq!(sought.take().collect::<Vec<_>>(), [all[149]], "there is room again");
    }

    proptest! {
        /// As looking at all of them says.
        #[test]
        fn it_is_the_longest_of_all_that_fit(
            all in prop::collection::vec((0u8..4, 0u8..4, 0u8..=32), 0..30),
            to in (0u8..4, 0u8..4),
        ) {
            let net = |(a, b, length): (u8, u8, u8)| {
                IpNet::new(IpAddr::from([a << 6, b << 6, 0, 0]), length).unwrap().trunc()
            };
            let mut routes: Vec<_> = (0..).zip(&all).map(|(n, &one)| (net(one), n)).collect();
            let found = Routes::new(routes.iter().map(|&(to, n)| Route { to, gateway: None, hop: Some(hop(n)) }));
            let to = IpAddr::from([to.0 << 6, to.1 << 6, 0, 0]);
            // Of the same prefix, the last one.
            routes.sort_by_key(|&(net, n)| (net.prefix_len(), n));
            let longest = routes.iter().rfind(|(net, _)| net.contains(&to)).map(|&(_, n)| hop(n));
            prop_assert_eq!(found.hop(to), longest);
        }
    }
}
