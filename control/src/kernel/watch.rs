//! The kernel's addresses, routes and neighbours, followed. Whatever changes, and even when the
//! kernel says that it could not tell all changes, the answer is the same: look at everything again.

mod sought;

use super::error::KernelError;
use super::link::Socket;
use super::neighbour::{self, Neighbour, Station};
use super::routes::Routes;
use super::view::{View, Wanted};
use engine::routes::Sought;
use engine::tables::{Hop, InterfaceId};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::{Error, Handle};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

/// Changes seldom come alone: those of this long are looked at together.
const SETTLE: Duration = Duration::from_millis(20);
/// Looks happen at least this often: for neighbours that the kernel does not keep by itself, and
/// for what no event tells.
const AT_LEAST: Duration = Duration::from_secs(4);
/// A kernel that has not answered by then won't.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause before the sockets are opened anew.
const RETRY: Duration = Duration::from_secs(1);

/// Looks at the kernel, and publishes what has changed.
pub struct Watcher {
    /// The TAPs' numbers, in the interfaces' order.
    taps: Vec<u32>,
    /// What is to be watched.
    wanted: watch::Receiver<Wanted>,
    /// What was wanted at the last look.
    before: Wanted,
    /// The next hops of all that is wanted, likewise.
    stations: HashSet<Station>,
    /// All that the kernel was told to keep resolved.
    kept: HashSet<Station>,
    routes: Routes,
    /// Whom workers look for.
    sought: Sought,
    view: watch::Sender<View>,
}

impl Watcher {
    /// A watcher for these VIPs and backends, and for whom workers look for, and where its views come out.
    pub fn new(
        wanted: watch::Receiver<Wanted>,
        taps: Vec<u32>,
        sought: Sought,
    ) -> (Watcher, watch::Receiver<View>) {
        let (view, receiver) = watch::channel(View::default());
        let watcher = Watcher {
            taps,
            wanted,
            before: Wanted::default(),
            stations: HashSet::new(),
            kept: HashSet::new(),
            routes: Routes::default(),
            sought,
            view,
        };
        (watcher, receiver)
    }

    /// Looks once, and returns what goes on watching for ever.
    ///
    /// # Errors
    ///
    /// The kernel did not answer.
    pub async fn start(
        mut self,
        socket: Socket,
    ) -> Result<impl Future<Output = ()> + Send + 'static, KernelError> {
        self.look(&socket.handle).await.map_err(|error| {
            KernelError::netlink("read addresses, routes and neighbours".into(), error)
        })?;
        Ok(self.run(socket))
    }

    async fn run(mut self, socket: Socket) {
        let mut next = Some(socket);
        loop {
            match next.take().map_or_else(Socket::open, Ok) {
                Ok(socket) => {
                    let error = self.follow(socket).await;
                    log::warn!("lost sight of the kernel's addresses and neighbours: {error}");
                }
                Err(error) => log::warn!("{error}"),
            }
            sleep(RETRY).await;
        }
    }

    /// Looks at every change until something fails.
    async fn follow(&mut self, mut socket: Socket) -> Error {
        let mut at_least = interval(AT_LEAST);
        at_least.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seek = interval(sought::PAUSE);
        seek.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = at_least.tick() => {}
                Ok(()) = self.wanted.changed() => {}
                Some(()) = routes_due(self.routes.due()) => {}
                _ = seek.tick(), if self.before.routes => match self.seek(&socket.handle).await {
                    Ok(()) => continue,
                    Err(error) => return error,
                },
                event = socket.events.next() => match event {
                    Some((event, _)) => {
                        self.routes.note(&event, &self.taps);
                        if !self.concerns(&event) {
                            continue;
                        }
                        sleep(SETTLE).await;
                        // The look that follows sees what all of these tell.
                        while let Some(Some((event, _))) = socket.events.next().now_or_never() {
                            self.routes.note(&event, &self.taps);
                        }
                    }
                    None => return Error::RequestFailed,
                }
            }
            if let Err(error) = self.look(&socket.handle).await {
                return error;
            }
        }
    }

    /// Whether it is to be looked into at once. A boot storm makes the kernel learn thousands of neighbours, of which
    /// only the next hops matter.
    fn concerns(&self, event: &NetlinkMessage<RouteNetlinkMessage>) -> bool {
        match &event.payload {
            NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::NewNeighbour(entry) | RouteNetlinkMessage::DelNeighbour(entry),
            ) => neighbour::whose(entry).is_some_and(|station| self.stations.contains(&station)),
            NetlinkPayload::InnerMessage(_) => true,
            // Some events were lost: any of them may have concerned us.
            NetlinkPayload::Overrun(_) => true,
            _ => false,
        }
    }

    async fn look(&mut self, handle: &Handle) -> Result<(), Error> {
        let wanted = self.wanted.borrow_and_update().clone();
        let view = timeout(PATIENCE, self.view_of(handle, &wanted));
        let view = view.await.unwrap_or(Err(Error::RequestFailed))?;
        if self.before != wanted {
            self.forget(handle).await?;
            self.before = wanted;
        }
        self.view.send_if_modified(|old| {
            let changed = *old != view;
            *old = view;
            changed
        });
        Ok(())
    }

    async fn view_of(&mut self, handle: &Handle, wanted: &Wanted) -> Result<View, Error> {
        let live = self.live(handle, &wanted.vips).await?;
        if wanted.routes {
            self.routes.read(handle).await?;
        } else {
            self.routes.clear();
        }
        let ways = self.ways(handle, &wanted.backends).await?;
        let next = ways.iter().map(|&(_, _, station)| station);
        self.stations = next.chain(self.routes.gateways(&self.taps)).collect();
        let known = neighbour::all(handle).await?;
        self.keep(handle, &known).await?;
        let hops = ways.into_iter().filter_map(|(backend, interface, station)| {
            let mac = known.get(&station)?.mac?;
            Some((backend, Hop { interface, mac }))
        });
        let routes = if wanted.routes { self.routes.list(&self.taps, &known) } else { vec![] };
        Ok(View { live, hops: hops.collect(), routes: routes.into() })
    }

    async fn live(
        &self,
        handle: &Handle,
        vips: &HashSet<IpAddr>,
    ) -> Result<HashSet<IpAddr>, Error> {
        let mut addresses = handle.address().get().execute();
        let mut live = HashSet::new();
        while let Some(held) = addresses.try_next().await? {
            if !self.taps.contains(&held.header.index) {
                continue;
            }
            live.extend(own_address(&held.attributes).filter(|address| vips.contains(address)));
        }
        Ok(live)
    }

    /// Each backend's interface and next hop.
    async fn ways(
        &self,
        handle: &Handle,
        backends: &HashSet<IpAddr>,
    ) -> Result<Vec<(IpAddr, InterfaceId, Station)>, Error> {
        let mut ways = Vec::new();
        for &backend in backends {
            if let Some((link, next)) = neighbour::next_hop(handle, backend).await?
                && let Some(interface) = self.interface(link)
            {
                ways.push((backend, interface, (link, next)));
            }
        }
        Ok(ways)
    }

    /// Has the kernel keep all next hops resolved.
    async fn keep(
        &mut self,
        handle: &Handle,
        known: &HashMap<Station, Neighbour>,
    ) -> Result<(), Error> {
        for &station in &self.stations {
            if !known.get(&station).is_some_and(|neighbour| neighbour.managed) {
                neighbour::keep(handle, station).await?;
            }
        }
        self.kept.extend(&self.stations);
        Ok(())
    }

    /// Next hops of what is no longer wanted are no longer kept resolved. Those that only have no route at the
    /// moment are: they may be back soon.
    async fn forget(&mut self, handle: &Handle) -> Result<(), Error> {
        let known = neighbour::all(handle).await?;
        for station in self.kept.difference(&self.stations) {
            if known.get(station).is_some_and(|neighbour| neighbour.managed) {
                neighbour::forget(handle, *station).await?;
            }
        }
        self.kept.clone_from(&self.stations);
        Ok(())
    }

    fn interface(&self, link: u32) -> Option<InterfaceId> {
        let position = self.taps.iter().position(|&tap| tap == link)?;
        InterfaceId::try_from(position).ok()
    }
}

/// Waits until then; answers `None` if there is nothing to wait for.
async fn routes_due(due: Option<Instant>) -> Option<()> {
    sleep_until(due?).await;
    Some(())
}

/// The address that is held. Where there is a local one, the other is the peer's; over IPv6 there mostly is but the
/// other.
fn own_address(attributes: &[AddressAttribute]) -> Option<IpAddr> {
    let (mut local, mut other) = (None, None);
    for attribute in attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => other = Some(*address),
            _ => {}
        }
    }
    local.or(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::packet_core::NetlinkHeader;
    use rtnetlink::packet_route::neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourMessage,
    };
    use std::net::Ipv4Addr;

    const HOP: Station = (7, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 30)));

    fn concerned_by(payload: NetlinkPayload<RouteNetlinkMessage>) -> bool {
        let (mut watcher, _) =
            Watcher::new(watch::channel(Wanted::default()).1, vec![HOP.0], Sought::default());
        watcher.stations = HashSet::from([HOP]);
        watcher.concerns(&NetlinkMessage::new(NetlinkHeader::default(), payload))
    }

    fn learned((link, address): Station) -> NetlinkPayload<RouteNetlinkMessage> {
        let mut entry = NeighbourMessage::default();
        entry.header.ifindex = link;
        let IpAddr::V4(address) = address else { panic!("{address}") };
        let address = NeighbourAttribute::Destination(NeighbourAddress::Inet(address));
        entry.attributes.push(address);
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(entry))
    }

    #[test]
    fn the_peer_s_address_is_not_held() {
        let [own, peer] = [1, 2].map(|n| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)));
        let both = [AddressAttribute::Address(peer), AddressAttribute::Local(own)];
        assert_eq!(own_address(&both), Some(own));
        assert_eq!(own_address(&both[..1]), Some(peer), "IPv6 has but this one");
        assert_eq!(own_address(&[]), None);
    }

    #[test]
    fn only_next_hops_are_of_concern_among_neighbours() {
        assert!(concerned_by(learned(HOP)));
        assert!(!concerned_by(learned((HOP.0, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 31))))));
        assert!(!concerned_by(learned((8, HOP.1))));
    }

    #[test]
    fn lost_events_are_of_concern() {
        assert!(concerned_by(NetlinkPayload::Overrun(Vec::new())));
        assert!(!concerned_by(NetlinkPayload::Noop));
    }
}
