//! The kernel's addresses, routes and neighbours, followed. Whatever changes, and even when the
//! kernel says that it could not tell all changes, the answer is the same: look at everything again.

mod sought;

use super::PATIENCE;
use super::error::KernelError;
use super::link::{self, Socket};
use super::neighbour::{self, Neighbour, Station};
use super::routes::Routes;
use super::view::{Source, View, Wanted};
use crate::config::Held;
use engine::routes::Sought;
use engine::tables::{Hop, InterfaceId};
use futures_util::{FutureExt, StreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::{Error, Handle};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

/// Changes seldom come alone: those of this long are looked at together.
const SETTLE: Duration = Duration::from_millis(20);
/// Looks happen at least this often: for neighbours that the kernel does not keep by itself, and
/// for what no event tells.
const AT_LEAST: Duration = Duration::from_secs(4);
/// Pause before the sockets are opened anew.
const RETRY: Duration = Duration::from_secs(1);

/// Looks at the kernel, and publishes what has changed.
pub struct Watcher {
    /// The TAPs' numbers, in the interfaces' order.
    taps: Vec<u32>,
    /// The numbers of the links that devices are on.
    devices: Vec<u32>,
    /// Told when something of ours may be gone from the kernel.
    disturbed: Arc<Notify>,
    /// Whether it is to be told at the end of this look.
    is_disturbed: bool,
    /// The wishes that are to be watched.
    wanted: watch::Receiver<Wanted>,
    /// The wishes at the last look.
    before: Wanted,
    /// The next hops of all that is wanted, likewise.
    stations: HashSet<Station>,
    /// Addresses whose route leads past their own network: that is said once of each.
    astray: HashSet<IpAddr>,
    /// All that the kernel was told to keep resolved.
    kept: HashSet<Station>,
    routes: Routes,
    /// Hosts that workers look for.
    sought: Sought,
    view: watch::Sender<View>,
}

impl Watcher {
    /// A watcher for these VIPs and backends, and for whom workers look for. Its views come out at `view`.
    pub fn new(
        wanted: watch::Receiver<Wanted>,
        taps: Vec<u32>,
        devices: Vec<u32>,
        sought: Sought,
        disturbed: Arc<Notify>,
        view: watch::Sender<View>,
    ) -> Watcher {
        Watcher {
            taps,
            devices,
            disturbed,
            is_disturbed: false,
            wanted,
            before: Wanted::default(),
            stations: HashSet::new(),
            astray: HashSet::new(),
            kept: HashSet::new(),
            routes: Routes::default(),
            sought,
            view,
        }
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
                _ = at_least.tick() => self.is_disturbed = true,
                Ok(()) = self.wanted.changed() => {}
                Some(()) = routes_due(self.routes.due()) => {}
                _ = seek.tick() => match self.seek(&socket.handle).await {
                    Ok(()) => continue,
                    Err(error) => return error,
                },
                event = socket.events.next() => match event {
                    Some((event, _)) => {
                        self.note(&event);
                        if !self.concerns(&event) {
                            continue;
                        }
                        sleep(SETTLE).await;
                        // The look that follows sees what all of these tell.
                        while let Some(Some((event, _))) = socket.events.next().now_or_never() {
                            self.note(&event);
                        }
                    }
                    None => return Error::RequestFailed,
                }
            }
            if let Err(error) = self.look(&socket.handle).await {
                return error;
            }
            if std::mem::take(&mut self.is_disturbed) {
                self.disturbed.notify_one();
            }
        }
    }

    fn note(&mut self, event: &NetlinkMessage<RouteNetlinkMessage>) {
        self.routes.note(event, &self.taps);
        self.is_disturbed |= self.disturbs(event);
    }

    /// Whether something of ours may be gone.
    fn disturbs(&self, event: &NetlinkMessage<RouteNetlinkMessage>) -> bool {
        let is_on = |links: &[u32], link: u32| links.contains(&link);
        match &event.payload {
            NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link),
            ) => [&self.taps, &self.devices].iter().any(|ours| is_on(ours, link.header.index)),
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(held)) => {
                is_on(&self.taps, held.header.index)
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelRoute(route)) => {
                route.header.destination_prefix_length == 0
            }
            NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::NewTrafficFilter(filter)
                | RouteNetlinkMessage::DelTrafficFilter(filter)
                | RouteNetlinkMessage::DelQueueDiscipline(filter),
            ) => is_on(&self.devices, filter.header.index as u32),
            NetlinkPayload::Overrun(_) => true,
            _ => false,
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
            // That is the keeper's word.
            let view = View { narrow: old.narrow.clone(), ..view };
            let changed = *old != view;
            *old = view;
            changed
        });
        Ok(())
    }

    async fn view_of(&mut self, handle: &Handle, wanted: &Wanted) -> Result<View, Error> {
        let held = self.held(handle, wanted).await?;
        let live = held.iter().map(|held| held.address).filter(|it| wanted.vips.contains(it));
        let live = live.collect();
        self.routes.read(handle).await?;
        let ways = self.ways(handle, wanted).await?;
        let next = ways.iter().map(|&(_, _, station)| station);
        self.stations = next.chain(self.routes.gateways(&self.taps)).collect();
        let known = neighbour::all(handle).await?;
        self.keep(handle, &known).await?;
        let mac = |station| known.get(station).and_then(|neighbour| neighbour.mac);
        let hops = ways.iter().filter_map(|(address, interface, station)| {
            let hop = Hop { interface: *interface, mac: mac(station)? };
            wanted.backends.contains(address).then_some((*address, hop))
        });
        let sources = ways.iter().map(|(address, interface, station)| {
            let is_on_link = station.1 == *address;
            let on_link = Source::OnLink(*interface, mac(station));
            (*address, if is_on_link { on_link } else { Source::Routed(*interface) })
        });
        let (hops, sources) = (hops.collect(), sources.collect());
        let mut routes = self.routes.list(&self.taps, &known);
        // A route to a single host says where that is, too.
        routes.retain(|route| {
            let is_host = route.to.prefix_len() == route.to.max_prefix_len();
            let interface = route.interface.filter(|_| is_host);
            interface.is_none_or(|interface| wanted.may_be_at(route.to.addr(), interface))
        });
        Ok(View { live, held, hops, sources, routes: routes.into(), ..View::default() })
    }

    /// Services' addresses that the kernel holds on one of our interfaces.
    async fn held(&self, handle: &Handle, wanted: &Wanted) -> Result<HashSet<Held>, Error> {
        let services: HashSet<IpAddr> = wanted.held.iter().map(|held| held.address).collect();
        let all = link::addresses(handle).await?.into_iter();
        let held = all.filter_map(|(link, net)| {
            let interface = self.taps.iter().position(|&tap| tap == link)?;
            Some(Held { address: net.addr(), interface })
        });
        let is_ours =
            |held: &Held| wanted.vips.contains(&held.address) || services.contains(&held.address);
        Ok(held.filter(is_ours).collect())
    }

    /// The interface and next hop of each backend and alias.
    async fn ways(
        &mut self,
        handle: &Handle,
        wanted: &Wanted,
    ) -> Result<Vec<(IpAddr, InterfaceId, Station)>, Error> {
        let mut ways = Vec::new();
        let mut astray = HashSet::new();
        for &address in wanted.backends.union(&wanted.aliases) {
            let Some((link, next)) = neighbour::next_hop(handle, address).await? else { continue };
            match self.interface(link) {
                Some(interface) if wanted.may_be_at(address, interface) => {
                    ways.push((address, interface, (link, next)));
                }
                // Over one of ours or of somebody else's, that is not where its network is.
                _ if !wanted.subnets.iter().any(|(_, net)| net.contains(&address)) => {}
                _ => {
                    astray.insert(address);
                    if !self.astray.contains(&address) {
                        log::warn!(
                            "the kernel's route to {address} leads past its own network, by {next}: it is not followed"
                        );
                    }
                }
            }
        }
        self.astray = astray;
        Ok(ways)
    }

    /// Has the kernel keep all next hops resolved.
    async fn keep(
        &mut self,
        handle: &Handle,
        known: &HashMap<Station, Neighbour>,
    ) -> Result<(), Error> {
        for &station in &self.stations {
            let is_kept = |neighbour: &Neighbour| neighbour.managed || neighbour.permanent;
            if !known.get(&station).is_some_and(is_kept) {
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
        let wanted = watch::channel(Wanted::default()).1;
        let view = watch::Sender::default();
        let mut watcher =
            Watcher::new(wanted, vec![HOP.0], vec![], Sought::default(), Arc::default(), view);
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
