//! The kernel as Tidegate's slow path. Each interface is a TAP with the device's MAC in Linux; packets that no
//! service takes go there, and neighbours, addresses and routes are read from there. Tidegate itself tells neighbours
//! only who has a service's address, and does no routing of its own.

mod announce;
mod backoff;
mod carrier;
mod conflict;
mod error;
mod ingress_block;
mod inherited;
mod keeper;
mod kernel_view;
mod link;
mod neighbour;
mod nft;
mod probe_routing;
mod route;
mod routes;
mod settings;
mod slowpath;
mod tap;
mod underlay;
mod watch;

pub use conflict::Conflicts;
pub use error::KernelError;
pub use keeper::Look;
pub use kernel_view::{KernelView, Route, Source, Wanted};
pub use probe_routing::ProbeRouting;
pub use slowpath::Traffic;

use crate::config::{Config, Held};
use announce::Announcer;
use conflict::ConflictWatch;
use engine::net::route_table::Unresolved;
use engine::types::id::InterfaceId;
use ingress_block::IngressBlock;
use inherited::Inherited;
use ipnet::IpNet;
use keeper::{Keeper, Ours};
use link::{PATIENCE, Socket};
use rtnetlink::{Error, Handle, new_connection};
use std::sync::Arc;
use tap::Tap;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use underlay::Underlay;
use wire::ethernet::Mac;
use worker::kernel_rings::KernelRings;
use worker::port::Pool;

/// Tidegate's state in the kernel. [`Kernel::stop`] removes all of it. Otherwise it stays for the next process, which takes
/// it over: TAPs without a carrier, with their addresses and routes, and ingress blocks.
pub struct Kernel {
    // Fields are dropped in this order: what answers goes before what keeps the kernel from
    // answering twice.
    tasks: JoinSet<()>,
    taps: Vec<Tap>,
    /// State of earlier processes, without the TAPs in `taps`.
    inherited: Inherited,
    view: tokio::sync::watch::Sender<KernelView>,
    blocks: Vec<IngressBlock>,
    underlays: Vec<Underlay>,
    keeper: Keeper,
    conflicts: Arc<tokio::sync::watch::Sender<Conflicts>>,
    disturbed: Arc<Notify>,
    /// The state that is wanted from the kernel now.
    wanted: tokio::sync::watch::Sender<Wanted>,
    /// The handle for requests, which works as long as its task in `asking` runs.
    handle: Handle,
    asking: JoinSet<()>,
}

impl Kernel {
    /// Blocks devices from the kernel where both would answer, creates the TAPs with their addresses and routes and
    /// the services' addresses, and starts to watch. The TAPs have no carrier until [`Kernel::follow_links`]. `macs` are
    /// the devices' addresses, in the order of the configuration's interfaces; `unresolved` are the hosts that workers
    /// look for. The first view is complete except for neighbours that the kernel has yet to resolve. Of the addresses
    /// that are withdrawn, those that an earlier process has left are held all the same.
    ///
    /// # Errors
    ///
    /// The first refusal of the kernel; everything that was made before is removed again.
    pub async fn start(
        config: &Config,
        macs: &[Mac],
        wanted: Wanted,
        unresolved: Unresolved,
    ) -> Result<Kernel, KernelError> {
        let (questions, handle, _) = new_connection().map_err(KernelError::Socket)?;
        let mut asking = JoinSet::new();
        asking.spawn(questions);
        let (told, receiver) = tokio::sync::watch::channel(wanted);
        let mut kernel = Kernel {
            tasks: JoinSet::new(),
            taps: vec![],
            inherited: Inherited::default(),
            view: tokio::sync::watch::Sender::default(),
            blocks: vec![],
            underlays: vec![],
            keeper: Keeper::default(),
            conflicts: Arc::default(),
            disturbed: Arc::default(),
            wanted: told,
            handle,
            asking,
        };
        match kernel.set_up(config, macs, receiver, unresolved).await {
            Ok(()) => Ok(kernel),
            Err(error) => {
                let _ = kernel.stop().await;
                Err(error)
            }
        }
    }

    async fn set_up(
        &mut self,
        config: &Config,
        macs: &[Mac],
        wanted: tokio::sync::watch::Receiver<Wanted>,
        unresolved: Unresolved,
    ) -> Result<(), KernelError> {
        let handle = self.handle.clone();
        let alias = inherited::alias(&config.control.socket);
        let names: Vec<_> = config.interfaces.iter().map(|one| &*one.name).collect();
        self.inherited = inherited::find(&handle, &alias, &names).await?;
        for device in config.devices().into_iter().map(|interface| &interface.device) {
            let Some(name) = device.linux_interface() else { continue };
            if device.kernel_sees_frames() {
                self.blocks.push(IngressBlock::make(&handle, name, &alias).await?);
            }
            let index = link::index(&handle, name).await?;
            let mtu = config.device_mtu(device);
            let name = name.to_owned();
            let interfaces = config.interfaces_on(device);
            self.underlays.extend(index.map(|index| Underlay { name, index, mtu, interfaces }));
        }
        ingress_block::clear(&handle, &self.inherited.aliases, &self.blocks).await?;
        let left = self.inherited.held(&handle, &names).await?;
        self.wanted.send_modify(|wanted| wanted.announce(&left));
        let first = wanted.borrow().clone();
        self.make_taps(config, macs, &first).await?;
        self.start_without_carriers().await?;
        // After the interfaces' own addresses, which the kernel then prefers as a source.
        for held in &first.held {
            self.tap(held).hold(&handle, held.address).await?;
        }
        let taps = self.taps.iter().map(Tap::index).collect();
        let devices = self.underlays.iter().map(|link| link.index).collect();
        let disturbed = Arc::clone(&self.disturbed);
        let view = self.view.clone();
        let watcher = watch::Watcher::new(wanted, taps, devices, unresolved, disturbed, view);
        self.tasks.spawn(watcher.start(Socket::open()?).await?);
        Ok(())
    }

    async fn make_taps(
        &mut self,
        config: &Config,
        macs: &[Mac],
        wanted: &Wanted,
    ) -> Result<(), KernelError> {
        let handle = self.handle.clone();
        let alias = inherited::alias(&config.control.socket);
        for (interface, &mac) in config.interfaces.iter().zip(macs) {
            let (id, left) = (self.taps.len(), self.inherited.taps.remove(&interface.name));
            let tap = Tap::create(&handle, interface, left, mac, metric(id)).await?;
            self.taps.push(tap);
            let tap = &self.taps[id];
            let is_wanted = |net: &IpNet| {
                let held = wanted.held.iter().find(|held| held.address == net.addr());
                // Addresses that have become somebody else's stay where they are.
                let is_served = wanted.served.contains(&net.addr());
                tap.addresses().contains(net) || held.map_or(is_served, |held| held.interface == id)
            };
            inherited::clear(&handle, tap.index(), is_wanted).await?;
            tap.persist(&handle, &alias).await?;
        }
        Ok(())
    }

    /// A notification that some of our state may be gone from the kernel; also sent at intervals.
    pub fn disturbed(&self) -> Arc<Notify> {
        Arc::clone(&self.disturbed)
    }

    /// Whether something waits to be restored, because it was removed too often.
    pub fn is_waiting(&self) -> bool {
        self.keeper.is_waiting()
    }

    /// Restores state that somebody has removed.
    ///
    /// # Errors
    ///
    /// A TAP or a device is gone, and the daemon can't go on.
    pub async fn tend(&mut self) -> Result<(), KernelError> {
        unless_gone(self.look(Look::Mishap).await)
    }

    /// Compares our state with the kernel's. Returns the losses, a line for each interface and device.
    ///
    /// # Errors
    ///
    /// As for [`Kernel::tend`], or the kernel did not answer.
    pub async fn look(&mut self, why: Look) -> Result<Vec<String>, KernelError> {
        let held = self.wanted.borrow().held.clone();
        let Kernel { taps, blocks, underlays, keeper, handle, view, .. } = self;
        let ours = Ours { taps, blocks, underlays, held: &held };
        let no_answer =
            || KernelError::netlink("look at what is ours".into(), Error::RequestFailed);
        let lost = timeout(PATIENCE, keeper.look(handle, ours, why)).await;
        view.send_if_modified(|view| {
            let changed = view.narrow != *keeper.narrow();
            view.narrow.clone_from(keeper.narrow());
            changed
        });
        lost.unwrap_or_else(|_| Err(no_answer()))
    }

    /// The wanted state.
    pub fn wanted(&self) -> Wanted {
        self.wanted.borrow().clone()
    }

    /// Changes the wanted state. Addresses that are withdrawn or no longer served are removed; those that somebody else has
    /// removed meanwhile stay away. Addresses that somebody else adds from now on stay as they are.
    ///
    /// # Errors
    ///
    /// The kernel refuses an address. The new state is watched all the same.
    pub async fn want(&self, wanted: Wanted) -> Result<(), KernelError> {
        let before = self.wanted.send_replace(wanted.clone());
        let lost = before.held.difference(&wanted.held);
        let is_given_away = |held: &&Held| {
            wanted.served.contains(&held.address) && !wanted.withdrawn.contains(held)
        };
        for held in lost.filter(|held| !is_given_away(held)) {
            self.tap(held).give_up(&self.handle, held.address).await?;
        }
        for held in wanted.held.difference(&before.held) {
            self.tap(held).hold(&self.handle, held.address).await?;
        }
        Ok(())
    }

    fn tap(&self, held: &Held) -> &Tap {
        &self.taps[held.interface]
    }

    /// The kernel view, each time that it changes.
    pub fn view(&self) -> tokio::sync::watch::Receiver<KernelView> {
        let mut view = self.view.subscribe();
        view.mark_changed();
        view
    }

    /// Other hosts that claim addresses of ours, each time that they change.
    pub fn conflicts(&self) -> tokio::sync::watch::Receiver<Conflicts> {
        self.conflicts.subscribe()
    }

    /// Moves frames between an interface's TAP and its workers until [`Kernel::stop`], and announces addresses there:
    /// `rings` are the workers' rings of that interface, `pool` has buffers for frames from the kernel.
    ///
    /// # Panics
    ///
    /// The configuration has no such interface.
    pub fn carry<P>(
        &mut self,
        interface: usize,
        rings: Vec<KernelRings<P::Buffer>>,
        pool: Arc<P>,
    ) -> Arc<Traffic>
    where
        P: Pool + 'static,
        P::Buffer: Send + 'static,
    {
        let traffic = Arc::new(Traffic::default());
        let tap = &self.taps[interface];
        let device = tap.device();
        let (place, macs) = ((interface, tap.name()), self.taps.iter().map(Tap::mac).collect());
        let conflicts = ConflictWatch::new(place, macs, self.view(), Arc::clone(&self.conflicts));
        if let Some(rings) = rings.first() {
            let announcer = Announcer { interface: InterfaceId(interface as u8), mac: tap.mac() };
            self.tasks.spawn(announcer.run(self.view(), rings.clone(), Arc::clone(&pool)));
        }
        let carry = slowpath::carry(device, rings, pool, Arc::clone(&traffic), conflicts);
        self.tasks.spawn(carry);
        traffic
    }

    /// Frees every buffer in flight, and leaves our state to the next process.
    pub async fn leave(mut self) {
        self.tasks.shutdown().await;
        self.asking.shutdown().await;
    }

    /// Removes all of our state from the kernel, and frees every buffer in flight.
    ///
    /// # Errors
    ///
    /// A TAP could not be removed or a device unblocked; the rest is done all the same.
    pub async fn stop(self) -> Result<(), KernelError> {
        let Kernel { mut tasks, taps, inherited, view, blocks, handle, mut asking, .. } = self;
        tasks.shutdown().await;
        drop(view);
        let mut outcome = Ok(());
        // What answers goes before what keeps the kernel from answering twice.
        for tap in taps {
            outcome = outcome.and(tap.remove(&handle).await);
        }
        outcome = outcome.and(inherited.remove(&handle).await);
        for block in blocks {
            outcome = outcome.and(block.remove(&handle).await);
        }
        asking.shutdown().await;
        outcome
    }
}

/// Logs an error, unless it says that something is gone, without which the daemon can't go on.
fn unless_gone<T>(outcome: Result<T, KernelError>) -> Result<(), KernelError> {
    match outcome {
        Err(gone @ KernelError::Gone { .. }) => Err(gone),
        Err(error) => {
            log::warn!("{error}");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// The metric of an interface's default route: the configuration's order, 0 is the best.
fn metric(interface: usize) -> u32 {
    u32::try_from(interface).unwrap_or(u32::MAX)
}
