//! The kernel's routes, cached. A routing daemon may change thousands at once, so they are read again at most once in
//! [`PAUSE`].

use super::kernel_view::Route;
use super::neighbour::{NeighbourEntry, NeighbourKey};
use super::route::{self, MOST, RouteTarget};
use engine::types::id::InterfaceId;
use ipnet::IpNet;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::{Error, Handle};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

/// Time between two readings.
const PAUSE: Duration = Duration::from_secs(1);

/// The routes as they were read last.
#[derive(Debug, Default)]
pub struct RouteTable {
    known: HashMap<IpNet, Option<RouteTarget>>,
    /// The time of the last reading.
    read: Option<Instant>,
    is_stale: bool,
    /// Whether neighbours have changed since the last reading, which may be next hops of routes.
    is_behind: bool,
}

impl RouteTable {
    /// Notes what an event means for routes.
    pub fn note(&mut self, event: &NetlinkMessage<RouteNetlinkMessage>, taps: &[u32]) {
        match &event.payload {
            NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::NewNeighbour(entry) | RouteNetlinkMessage::DelNeighbour(entry),
            ) => self.is_behind |= taps.contains(&entry.header.ifindex),
            // A link that goes down takes routes along that nobody tells of; so may an event that was lost.
            NetlinkPayload::InnerMessage(_) | NetlinkPayload::Overrun(_) => self.is_stale = true,
            _ => {}
        }
    }

    /// The time of the next reading, if something has changed.
    pub fn due(&self) -> Option<Instant> {
        let read = self.read?;
        (self.is_stale || self.is_behind).then(|| read + PAUSE)
    }

    /// Reads the routes again, if they have changed and the last reading was long enough ago.
    pub async fn read(&mut self, handle: &Handle) -> Result<(), Error> {
        if self.read.is_some_and(|read| read.elapsed() < PAUSE) {
            return Ok(());
        }
        if self.is_stale || self.read.is_none() {
            let was_full = self.known.len() == MOST;
            self.known = route::all(handle).await?;
            if self.known.len() == MOST && !was_full {
                log::warn!(
                    "the kernel has more than {MOST} routes: not all of them are known here"
                );
            }
        }
        *self = RouteTable {
            known: std::mem::take(&mut self.known),
            read: Some(Instant::now()),
            ..RouteTable::default()
        };
        Ok(())
    }

    /// The gateways on these links.
    pub fn gateways<'a>(&'a self, taps: &'a [u32]) -> impl Iterator<Item = NeighbourKey> + 'a {
        let targets = self.known.values().flatten().filter(|target| taps.contains(&target.link));
        targets.filter_map(|target| Some((target.link, target.gateway?)))
    }

    /// All routes with their next hops' hardware addresses, and the neighbours that routes place on these links: the
    /// kernel also remembers neighbours that a forged request has named, on links where no route places them.
    pub fn list(
        &self,
        taps: &[u32],
        neighbours: &HashMap<NeighbourKey, NeighbourEntry>,
    ) -> Vec<Route> {
        let interface = |link: u32| {
            let place = taps.iter().position(|&tap| tap == link)?;
            u8::try_from(place).ok().map(InterfaceId)
        };
        let on_links = neighbours.iter().filter_map(|(&(link, address), neighbour)| {
            let mac = Some(neighbour.mac?);
            let interface = Some(interface(link)?);
            let is_there = !is_link_local(address) && self.is_on_link(address, link);
            let to = is_there.then(|| IpNet::from(address))?;
            Some((to, Route { to, gateway: None, interface, mac }))
        });
        let routes = self.known.iter().map(|(&to, target)| {
            let interface = target.and_then(|target| interface(target.link));
            let gateway = target.and_then(|target| target.gateway);
            let is_host = to.prefix_len() == to.max_prefix_len();
            let next = gateway.or(is_host.then(|| to.addr()));
            let neighbour = target.and_then(|target| Some((target.link, next?)));
            let mac = neighbour.and_then(|neighbour| neighbours.get(&neighbour)?.mac);
            (to, Route { to, gateway, interface, mac })
        });
        // A route to a single host overrides its neighbour entry.
        let all: BTreeMap<IpNet, Route> = on_links.chain(routes).collect();
        all.into_values().collect()
    }

    /// Whether the longest route that fits leads to the address itself, on this link.
    fn is_on_link(&self, address: IpAddr, link: u32) -> bool {
        let of_length = |length| self.known.get(&IpNet::new(address, length).ok()?.trunc());
        let lengths = (0..=IpNet::from(address).max_prefix_len()).rev();
        lengths.filter_map(of_length).next() == Some(&Some(RouteTarget { link, gateway: None }))
    }
}

/// Whether an address is link-local: no route leads there.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_station_counts_only_where_the_kernel_s_routes_have_it() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let on_link = |link| Some(RouteTarget { link, gateway: None });
        let by_router = Some(RouteTarget { link: 7, gateway: Some("10.0.0.1".parse().unwrap()) });
        let known = [
            (net("0.0.0.0/0"), by_router),
            (net("10.0.0.0/16"), on_link(7)),
            (net("10.0.9.0/24"), by_router),
            (net("10.1.0.0/16"), on_link(8)),
            (net("fd00::/64"), on_link(7)),
        ];
        let routes = RouteTable { known: known.into(), ..RouteTable::default() };
        for (address, is_there) in [
            ("10.0.0.5", true),
            ("10.0.9.5", false),
            ("10.1.0.5", false),
            ("192.0.2.9", false),
            ("fd00::5", true),
            ("fd01::5", false),
        ] {
            assert_eq!(routes.is_on_link(address.parse().unwrap(), 7), is_there, "{address}");
        }
    }
}
