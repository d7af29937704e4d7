//! The kernel as Tidegate's slow path. Each interface is a TAP with the device's MAC in Linux; packets that no
//! service takes go there, and neighbours, addresses and routes are read from there. Tidegate itself tells neighbours
//! only who has a service's address, and does no routing of its own.

mod announce;
mod backoff;
mod error;
mod ingress_block;
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

pub use error::KernelError;
pub use keeper::Look;
pub use kernel_view::{KernelView, Route, Source, Wanted};
pub use probe_routing::ProbeRouting;
pub use slowpath::Traffic;

use crate::config::{Config, Held};
use announce::Announcer;
use engine::net::route_table::Unresolved;
use engine::types::id::InterfaceId;
use ingress_block::IngressBlock;
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

/// Tidegate's state in the kernel. [`Kernel::stop`] removes all of it. Dropping this value removes the TAPs, once the
/// runtime has dropped the tasks; ingress blocks then stay for the next process.
pub struct Kernel {
    // Fields are dropped in this order: what answers goes before what keeps the kernel from
    // answering twice.
    tasks: JoinSet<()>,
    taps: Vec<Tap>,
    view: tokio::sync::watch::Sender<KernelView>,
    blocks: Vec<IngressBlock>,
    underlays: Vec<Underlay>,
    keeper: Keeper,
    disturbed: Arc<Notify>,
    /// The state that is wanted from the kernel now.
    wanted: tokio::sync::watch::Sender<Wanted>,
    /// The handle for requests, which works as long as its task in `asking` runs.
    handle: Handle,
    asking: JoinSet<()>,
}

impl Kernel {
    /// Blocks devices from the kernel where both would answer, creates the TAPs with their addresses and routes and
    /// the services' addresses, and starts to watch. `macs` are the devices' addresses, in the order of the
    /// configuration's interfaces; `unresolved` are the hosts that workers look for. The first view is complete
    /// except for neighbours that the kernel has yet to resolve.
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
            view: tokio::sync::watch::Sender::default(),
            blocks: vec![],
            underlays: vec![],
            keeper: Keeper::default(),
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
        for device in config.devices().into_iter().map(|interface| &interface.device) {
            let Some(name) = device.linux_interface() else { continue };
            if device.kernel_sees_frames() {
                self.blocks.push(IngressBlock::make(&handle, name).await?);
            }
            let index = link::index(&handle, name).await?;
            let mtu = config.device_mtu(device);
            let name = name.to_owned();
            self.underlays.extend(index.map(|index| Underlay { name, index, mtu }));
        }
        for (interface, &mac) in config.interfaces.iter().zip(macs) {
            let metric = metric(self.taps.len());
            self.taps.push(Tap::create(&handle, interface, mac, metric).await?);
        }
        // After the interfaces' own addresses, which the kernel then prefers as a source.
        let held = wanted.borrow().held.clone();
        for held in &held {
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
        match self.look(Look::Mishap).await {
            Err(gone @ KernelError::Gone { .. }) => Err(gone),
            Err(error) => {
                log::warn!("{error}");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
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

    /// Changes the wanted state. Addresses that are no longer wanted are removed; those that somebody else has
    /// removed meanwhile stay away.
    ///
    /// # Errors
    ///
    /// The kernel refuses an address. The new state is watched all the same.
    pub async fn want(&self, wanted: Wanted) -> Result<(), KernelError> {
        let before = self.wanted.send_replace(wanted.clone());
        for held in before.held.difference(&wanted.held) {
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
        if let Some(rings) = rings.first() {
            let announcer = Announcer { interface: InterfaceId(interface as u8), mac: tap.mac() };
            self.tasks.spawn(announcer.run(self.view(), rings.clone(), Arc::clone(&pool)));
        }
        self.tasks.spawn(slowpath::carry(device, rings, pool, Arc::clone(&traffic)));
        traffic
    }

    /// Removes all of our state from the kernel, and frees every buffer in flight.
    ///
    /// # Errors
    ///
    /// A device could not be unblocked; the rest is done all the same.
    pub async fn stop(self) -> Result<(), KernelError> {
        let Kernel { mut tasks, taps, view, blocks, handle, mut asking, .. } = self;
        // The tasks hold the TAPs open.
        tasks.shutdown().await;
        drop((taps, view));
        let mut outcome = Ok(());
        for block in blocks {
            outcome = outcome.and(block.remove(&handle).await);
        }
        asking.shutdown().await;
        outcome
    }
}

/// The metric of an interface's default route: the configuration's order, 0 is the best.
fn metric(interface: usize) -> u32 {
    u32::try_from(interface).unwrap_or(u32::MAX)
}
