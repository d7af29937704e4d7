//! The kernel as Tidegate's slow path. Each interface stands in Linux as a TAP with the device's
//! MAC; what no service takes goes there, and neighbours, addresses and routes are read from there.
//! Tidegate writes no ARP and no router of its own.

mod cut;
mod detour;
mod error;
mod link;
mod neighbour;
mod nft;
mod route;
mod routes;
mod slowpath;
mod tap;
mod view;
mod watch;

pub use detour::Detour;
pub use error::KernelError;
pub use slowpath::Traffic;
pub use view::{Route, View, Wanted};

use crate::config::{Config, Held};
use engine::routes::Sought;
use link::Socket;
use nft::Table;
use rtnetlink::Handle;
use std::sync::Arc;
use tap::Tap;
use tokio::task::JoinSet;
use wire::ethernet::Mac;
use worker::kernel::KernelRings;
use worker::port::Pool;

/// What Tidegate holds in the kernel. [`Kernel::stop`] takes it all out again; so does dropping it,
/// but then only once the runtime has dropped the tasks.
pub struct Kernel {
    // Fields are dropped in this order: what answers goes before what keeps the kernel from
    // answering twice.
    tasks: JoinSet<()>,
    taps: Vec<Tap>,
    view: tokio::sync::watch::Receiver<View>,
    cuts: Vec<Table>,
    /// What it was told last.
    wanted: tokio::sync::watch::Sender<Wanted>,
    /// For questions. It works as long as the tasks do.
    handle: Handle,
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
        let cuts = cut_off(config)?;
        let socket = Socket::open()?;
        let mut taps = Vec::new();
        for (interface, &mac) in config.interfaces.iter().zip(macs) {
            taps.push(Tap::create(&socket.handle, interface, mac, metric(taps.len())).await?);
        }
        // After the interfaces' own addresses, which the kernel then prefers as a source.
        let handle = socket.handle.clone();
        for held in &wanted.held {
            taps[held.interface].hold(&handle, held.address).await?;
        }
        let indices = taps.iter().map(Tap::index).collect();
        let (wanted, told) = tokio::sync::watch::channel(wanted);
        let (watcher, view) = watch::Watcher::new(told, indices, sought);
        let mut tasks = JoinSet::new();
        tasks.spawn(watcher.start(socket).await?);
        Ok(Kernel { tasks, taps, view, cuts, wanted, handle })
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

    /// What the kernel says about VIPs and backends, each time that it changes.
    pub fn view(&self) -> tokio::sync::watch::Receiver<View> {
        self.view.clone()
    }

    /// Moves frames between an interface's TAP and its workers until [`Kernel::stop`]: `rings` are
    /// the workers' for that interface, `pool` gives buffers for what the kernel sends.
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
        let device = self.taps[interface].device();
        self.tasks.spawn(slowpath::carry(device, rings, pool, Arc::clone(&traffic)));
        traffic
    }

    /// Takes everything out of the kernel again, and frees every buffer that was under way.
    ///
    /// # Errors
    ///
    /// A device whose cut could not be undone; the rest is done all the same.
    pub async fn stop(self) -> Result<(), KernelError> {
        let Kernel { mut tasks, taps, view, cuts, .. } = self;
        // The tasks hold the TAPs open.
        tasks.shutdown().await;
        drop((taps, view));
        cuts.into_iter().map(Table::remove).fold(Ok(()), Result::and)
    }
}

fn cut_off(config: &Config) -> Result<Vec<Table>, KernelError> {
    config
        .devices()
        .into_iter()
        .filter(|interface| interface.device.kernel_sees_frames())
        .filter_map(|interface| interface.device.linux_interface())
        .map(cut::cut)
        .collect()
}

/// Default routes rank in the configuration's order; 0 is the best.
fn metric(interface: usize) -> u32 {
    u32::try_from(interface).unwrap_or(u32::MAX)
}
