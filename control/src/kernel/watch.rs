//! Watches the kernel's addresses, routes and neighbours. Whatever changes, and also when the kernel reports lost
//! events, everything is read again.

mod events;
mod held;
mod unresolved;

use super::error::KernelError;
use super::kernel_view::{KernelView, Source, Wanted};
use super::link::{PATIENCE, Socket};
use super::neighbour::{self, NeighbourEntry, NeighbourKey};
use super::routes::RouteTable;
use engine::net::route_table::Unresolved;
use engine::types::id::InterfaceId;
use engine::types::next_hop::NextHop;
use futures_util::{FutureExt, StreamExt};
use rtnetlink::packet_core::NetlinkMessage;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::{Error, Handle};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

/// Time to collect further changes, which seldom come alone, before everything is read again.
const SETTLE: Duration = Duration::from_millis(20);
/// The longest time between two readings: some neighbours are not kept by the kernel, and some changes have no
/// events.
const AT_LEAST: Duration = Duration::from_secs(4);
/// Time between two requests for unresolved hosts.
const SEEK_EVERY: Duration = Duration::from_millis(125);
/// Pause before the sockets are opened again.
const RETRY: Duration = Duration::from_secs(1);

/// The watcher: reads the kernel's state, and publishes changes of the view.
pub struct Watcher {
    /// The TAPs' indices, in the interfaces' order.
    taps: Vec<u32>,
    /// The indices of the links below devices.
    devices: Vec<u32>,
    /// The notification that some of our state may be gone from the kernel.
    disturbed: Arc<Notify>,
    /// Whether to notify at the end of this reading.
    is_disturbed: bool,
    /// The wanted state.
    wanted: watch::Receiver<Wanted>,
    /// The wanted state at the last reading.
    before: Wanted,
    /// The next hops of everything that was wanted at the last reading.
    next_hops: HashSet<NeighbourKey>,
    /// Addresses whose route does not lead to their own subnet: each is logged once.
    astray: HashSet<IpAddr>,
    /// Interfaces with more macvlan links than count: each is logged once.
    crowded: HashSet<usize>,
    /// Neighbours that the kernel was told to keep resolved.
    kept: HashSet<NeighbourKey>,
    routes: RouteTable,
    /// Hosts that workers look for.
    unresolved: Unresolved,
    view: watch::Sender<KernelView>,
}

impl Watcher {
    /// Creates a watcher of the wanted state, and of hosts that workers look for. It publishes to `view`.
    pub fn new(
        wanted: watch::Receiver<Wanted>,
        taps: Vec<u32>,
        devices: Vec<u32>,
        unresolved: Unresolved,
        disturbed: Arc<Notify>,
        view: watch::Sender<KernelView>,
    ) -> Watcher {
        Watcher {
            taps,
            devices,
            disturbed,
            is_disturbed: false,
            wanted,
            before: Wanted::default(),
            next_hops: HashSet::new(),
            astray: HashSet::new(),
            crowded: HashSet::new(),
            kept: HashSet::new(),
            routes: RouteTable::default(),
            unresolved,
            view,
        }
    }

    /// Reads the state once, and returns a future that watches for ever.
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

    /// Follows the kernel's events until something fails.
    async fn follow(&mut self, mut socket: Socket) -> Error {
        let mut at_least = interval(AT_LEAST);
        at_least.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seek = interval(SEEK_EVERY);
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
                        if !events::concerns(&event, &self.next_hops) {
                            continue;
                        }
                        sleep(SETTLE).await;
                        // The reading that follows covers all of these events.
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
        self.is_disturbed |= events::disturbs(event, &self.taps, &self.devices);
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
            // Others look after these.
            let (narrow, down) = (old.narrow.clone(), old.down.clone());
            let view = KernelView { narrow, down, ..view };
            let changed = *old != view;
            *old = view;
            changed
        });
        Ok(())
    }

    async fn view_of(&mut self, handle: &Handle, wanted: &Wanted) -> Result<KernelView, Error> {
        let (held, virtual_macs) = self.held(handle, wanted).await?;
        self.routes.read(handle).await?;
        let next_hops = self.next_hops(handle, wanted).await?;
        let next = next_hops.iter().map(|&(_, _, neighbour)| neighbour);
        self.next_hops = next.chain(self.routes.gateways(&self.taps)).collect();
        let known = neighbour::all(handle).await?;
        self.keep(handle, &known).await?;
        let mac = |neighbour| known.get(neighbour).and_then(|neighbour| neighbour.mac);
        let hops = next_hops.iter().filter_map(|(address, interface, neighbour)| {
            let hop = NextHop { interface: *interface, mac: mac(neighbour)? };
            wanted.backends.contains(address).then_some((*address, hop))
        });
        let sources = next_hops.iter().map(|(address, interface, neighbour)| {
            let is_on_link = neighbour.1 == *address;
            let on_link = Source::OnLink(*interface, mac(neighbour));
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
        let routes = routes.into();
        let withdrawn = wanted.withdrawn.iter().map(|held| held.address).collect();
        let none = KernelView::default();
        Ok(KernelView { held, withdrawn, virtual_macs, hops, sources, routes, ..none })
    }

    /// Reads the interface and next hop of each backend and alias.
    async fn next_hops(
        &mut self,
        handle: &Handle,
        wanted: &Wanted,
    ) -> Result<Vec<(IpAddr, InterfaceId, NeighbourKey)>, Error> {
        let mut next_hops = Vec::new();
        let mut astray = HashSet::new();
        for &address in wanted.backends.union(&wanted.aliases) {
            let Some((link, next)) = neighbour::next_hop(handle, address).await? else { continue };
            match self.interface(link) {
                Some(interface) if wanted.may_be_at(address, interface) => {
                    next_hops.push((address, interface, (link, next)));
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
        Ok(next_hops)
    }

    /// Has the kernel keep all next hops resolved. Over a link that is down nobody answers, and the kernel would be slow
    /// to ask again when it is up; it forgets them with the carrier.
    async fn keep(
        &mut self,
        handle: &Handle,
        known: &HashMap<NeighbourKey, NeighbourEntry>,
    ) -> Result<(), Error> {
        let down = self.view.borrow().down.clone();
        let is_down = |link| self.place(link).is_some_and(|interface| down.contains(&interface));
        for &neighbour in self.next_hops.iter().filter(|(link, _)| !is_down(*link)) {
            let is_kept = |neighbour: &NeighbourEntry| neighbour.managed || neighbour.permanent;
            if !known.get(&neighbour).is_some_and(is_kept) {
                neighbour::keep(handle, neighbour).await?;
            }
        }
        self.kept.extend(&self.next_hops);
        Ok(())
    }

    /// Forgets next hops of addresses that are no longer wanted. Those that only lack a route at the moment are kept:
    /// it may be back soon.
    async fn forget(&mut self, handle: &Handle) -> Result<(), Error> {
        let known = neighbour::all(handle).await?;
        for neighbour in self.kept.difference(&self.next_hops) {
            if known.get(neighbour).is_some_and(|neighbour| neighbour.managed) {
                neighbour::forget(handle, *neighbour).await?;
            }
        }
        self.kept.clone_from(&self.next_hops);
        Ok(())
    }

    fn interface(&self, link: u32) -> Option<InterfaceId> {
        u8::try_from(self.place(link)?).ok().map(InterfaceId)
    }

    /// The place of a TAP among the interfaces.
    fn place(&self, link: u32) -> Option<usize> {
        self.taps.iter().position(|&tap| tap == link)
    }
}

/// Waits until the routes are due; returns `None` if they are not.
async fn routes_due(due: Option<Instant>) -> Option<()> {
    sleep_until(due?).await;
    Some(())
}
