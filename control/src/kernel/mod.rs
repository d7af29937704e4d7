//! The kernel as Tidegate's slow path. Each interface stands in Linux as a TAP with the device's
//! MAC; what no service takes goes there, and neighbours, addresses and routes are read from there.
//! All that Tidegate says to neighbours itself is who has a service's address; it has no router of its own.

mod announce;
mod cut;
mod detour;
mod error;
mod keeper;
mod link;
mod neighbour;
mod nft;
mod patience;
mod route;
mod routes;
mod settings;
mod slowpath;
mod tap;
mod underlay;
mod view;
mod watch;

pub use detour::Detour;
pub use error::KernelError;
pub use keeper::Look;
pub use slowpath::Traffic;
pub use view::{Route, Source, View, Wanted};

use crate::config::{Config, Held};
use announce::Announcer;
use cut::Cut;
use engine::routes::Sought;
use engine::tables::InterfaceId;
use keeper::{Keeper, Ours};
use link::Socket;
use rtnetlink::{Error, Handle, new_connection};
use std::sync::Arc;
use std::time::Duration;
use tap::Tap;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use underlay::Underlay;
use wire::ethernet::Mac;
use worker::kernel::KernelRings;
use worker::port::Pool;

/// A kernel that has not answered by then won't.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tidegate's state in the kernel. [`Kernel::stop`] takes it all out again. Dropping it takes out the TAPs, once the
/// runtime has dropped the tasks; what cuts devices off then stays for the next process.
pub struct Kernel {
    // Fields are dropped in this order: what answers goes before what keeps the kernel from
    // answering twice.
    tasks: JoinSet<()>,
    taps: Vec<Tap>,
    view: tokio::sync::watch::Sender<View>,
    cuts: Vec<Cut>,
    underlays: Vec<Underlay>,
    keeper: Keeper,
    disturbed: Arc<Notify>,
    /// The last word on what it is to do.
    wanted: tokio::sync::watch::Sender<Wanted>,
    /// For questions. It works as long as its own task does.
    handle: Handle,
    asking: JoinSet<()>,
}

impl Kernel {
    /// Cuts devices off the kernel where it would answer twice, makes the TAPs with their
    /// addresses and routes and with the services' addresses, and begins to watch. `macs` are the devices', in
    /// the order of the configuration's interfaces; `sought` is whom workers look for. The first view is complete
    /// but for neighbours that the kernel has yet to resolve.
    ///
    /// # Errors
    ///
    /// The first thing that the kernel refused; what was made before it is taken out again.
    pub async fn start(
        config: &Config,
        macs: &[Mac],
        wanted: Wanted,
        sought: Sought,
    ) -> Result<Kernel, KernelError> {
        let (questions, handle, _) = new_connection().map_err(KernelError::Socket)?;
        let mut asking = JoinSet::new();
        asking.spawn(questions);
        let (told, receiver) = tokio::sync::watch::channel(wanted);
        let mut kernel = Kernel {
            tasks: JoinSet::new(),
            taps: vec![],
            view: tokio::sync::watch::Sender::default(),
            cuts: vec![],
            underlays: vec![],
            keeper: Keeper::default(),
            disturbed: Arc::default(),
            wanted: told,
            handle,
            asking,
        };
        match kernel.set_up(config, macs, receiver, sought).await {
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
        sought: Sought,
    ) -> Result<(), KernelError> {
        let handle = self.handle.clone();
        for device in config.devices().into_iter().map(|interface| &interface.device) {
            let Some(name) = device.linux_interface() else { continue };
            if device.kernel_sees_frames() {
                self.cuts.push(Cut::make(&handle, name).await?);
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
        let watcher = watch::Watcher::new(wanted, taps, devices, sought, disturbed, view);
        self.tasks.spawn(watcher.start(Socket::open()?).await?);
        Ok(())
    }

    /// Told when something of ours may be gone from the kernel, and now and then.
    pub fn disturbed(&self) -> Arc<Notify> {
        Arc::clone(&self.disturbed)
    }

    /// Whether something was taken away so often that it waits to be put back.
    pub fn is_waiting(&self) -> bool {
        self.keeper.is_waiting()
    }

    /// Puts back what somebody took away.
    ///
    /// # Errors
    ///
    /// A TAP or a device is gone: nothing that comes or goes there can go on.
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

    /// Compares what is ours with what the kernel has. Answers what it had lost, a line for each interface and device.
    ///
    /// # Errors
    ///
    /// As for [`Kernel::tend`], or the kernel did not answer.
    pub async fn look(&mut self, why: Look) -> Result<Vec<String>, KernelError> {
        let held = self.wanted.borrow().held.clone();
        let Kernel { taps, cuts, underlays, keeper, handle, view, .. } = self;
        let ours = Ours { taps, cuts, underlays, held: &held };
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

    /// From now on it is to do this. What was held and no longer is to be is let go of; what somebody else took
    /// away meanwhile stays away.
    ///
    /// # Errors
    ///
    /// The kernel refused an address. It watches as it was told all the same.
    pub async fn want(&self, wanted: Wanted) -> Result<(), KernelError> {
        let before = self.wanted.send_replace(wanted.clone());
        for held in before.held.difference(&wanted.held) {
            self.tap(held).let_go(&self.handle, held.address).await?;
        }
        for held in wanted.held.difference(&before.held) {
            self.tap(held).hold(&self.handle, held.address).await?;
        }
        Ok(())
    }

    fn tap(&self, held: &Held) -> &Tap {
        &self.taps[held.interface]
    }

    /// The kernel's word on VIPs and backends, each time that it changes.
    pub fn view(&self) -> tokio::sync::watch::Receiver<View> {
        let mut view = self.view.subscribe();
        view.mark_changed();
        view
    }

    /// Moves frames between an interface's TAP and its workers until [`Kernel::stop`], and announces addresses there:
    /// `rings` are the workers' for that interface, `pool` gives buffers for what the kernel sends.
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
            let announcer = Announcer { interface: interface as InterfaceId, mac: tap.mac() };
            self.tasks.spawn(announcer.run(self.view(), rings.clone(), Arc::clone(&pool)));
        }
        self.tasks.spawn(slowpath::carry(device, rings, pool, Arc::clone(&traffic)));
        traffic
    }

    /// Takes everything out of the kernel again, and frees every buffer that was under way.
    ///
    /// # Errors
    ///
    /// A device whose cut could not be undone; the rest is done all the same.
    pub async fn stop(self) -> Result<(), KernelError> {
        let Kernel { mut tasks, taps, view, cuts, handle, mut asking, .. } = self;
        // The tasks hold the TAPs open.
        tasks.shutdown().await;
        drop((taps, view));
        let mut outcome = Ok(());
        for cut in cuts {
            outcome = outcome.and(cut.remove(&handle).await);
        }
        asking.shutdown().await;
        outcome
    }
}

/// Default routes rank in the configuration's order; 0 is the best.
fn metric(interface: usize) -> u32 {
    u32::try_from(interface).unwrap_or(u32::MAX)
}
