//! Devices, buffers and workers on DPDK, as the configuration describes them.

use crate::memory::{counters, stores};
use control::api::{Link, Lost};
use control::config::{Config, Interface};
use control::daemon::InterfaceFacts;
use control::privilege;
use control::saved_state::SavedState;
use dpdk::offload::Unmerged;
use dpdk::{BUFFERS_PER_QUEUE, Eal, Error, Mbuf, Mempool, Port, PortConfig, Queue, Rss, Running};
use engine::counters::{Counters, Room, Transfers};
use engine::flow::hash::Seed;
use engine::net::rss::Steer;
use engine::snapshot::Snapshot;
use engine::state::restore::Adopted;
use engine::types::tick::Tick;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use wire::ethernet::Mac;
use worker::command_channel::WorkerChannel;
use worker::handover::{self, Inboxes};
use worker::kernel_rings::KernelRings;
use worker::vlan_ports::VlanPort;
use worker::worker::{Parts, Worker};

/// Services, and backends, that reloads can add to those of the start.
const MORE: usize = 1024;

/// Free buffers that each lcore keeps at hand.
const CACHE: u32 = 256;

/// The devices, not yet started.
pub struct Devices {
    ports: Vec<Port>,
    facts: Vec<InterfaceFacts>,
    /// Linux interfaces below the devices.
    unmerged: Vec<Unmerged>,
    /// Workers that the devices have queues for.
    pub workers: u16,
}

impl Devices {
    /// Finds the configuration's devices.
    pub fn find(eal: &Eal, config: &Config) -> Result<Devices, Error> {
        let mut devices = Devices {
            ports: vec![],
            facts: vec![],
            unmerged: vec![],
            workers: config.dataplane.workers.len() as u16,
        };
        for interface in config.devices() {
            let port = Port::find(eal, interface.device.name())?;
            let info = port.info()?;
            if info.max_transmit < devices.workers {
                log::warn!(
                    "interface {}: {} has queues for {} of {} workers, the others are not started",
                    interface.name,
                    interface.device,
                    info.max_transmit,
                    devices.workers
                );
                devices.workers = info.max_transmit;
            }
            let queues = interface.queues.unwrap_or(devices.workers).min(info.max_receive);
            if queues < devices.workers {
                log::info!(
                    "interface {}: {queues} receive queues, other workers get theirs handed over",
                    interface.name
                );
            }
            devices.unmerged.extend(interface.device.linux_interface().and_then(unmerged));
            let (driver, mac) = (info.driver, info.mac);
            devices.facts.push(InterfaceFacts { driver, mac, queues, rss: "-" });
            devices.ports.push(port);
        }
        for facts in &mut devices.facts {
            facts.queues = facts.queues.min(devices.workers);
        }
        Ok(devices)
    }

    /// The interfaces' hardware addresses.
    pub fn macs(&self, config: &Config) -> Vec<Mac> {
        config.vlan_ports().iter().map(|link| self.facts[link.port].mac).collect()
    }

    /// Starts the devices, each with a transmit queue for every worker, on buffers of one pool.
    pub fn start(mut self, eal: &Eal, config: &Config) -> Result<Dataplane, Error> {
        let devices = config.devices();
        let mtu = |interface: &Interface| config.device_mtu(&interface.device);
        let largest = devices.iter().map(|first| mtu(first)).max().unwrap_or(0);
        let count = buffers(self.workers.into(), config);
        let pool =
            Arc::new(Mempool::new(eal, "frames", count, CACHE, dpdk::data_room(largest), None)?);
        let mut queues: Vec<Vec<Queue>> = (0..self.workers).map(|_| vec![]).collect();
        for (id, (port, interface)) in self.ports.iter_mut().zip(&devices).enumerate() {
            let port_config = PortConfig {
                transmit: self.workers,
                receive: self.facts[id].queues,
                mtu: mtu(interface),
                rx_ring: interface.rx_ring,
                tx_ring: interface.tx_ring,
                burst: interface.burst,
                steer: steer(config, id),
            };
            let (started, rss) = port.start(port_config, &pool)?;
            self.facts[id].rss = name(rss);
            // For the kernel's multicast groups: VRRP, neighbour discovery. Frames for other hosts are dropped.
            port.promiscuous()?;
            for (worker, queue) in queues.iter_mut().zip(started) {
                worker.push(queue);
            }
        }
        let rings = || (0..self.workers).map(|_| KernelRings::new()).collect();
        let rings = config.interfaces.iter().map(|_| rings()).collect();
        let vlan_ports = config.vlan_ports();
        let facts = vlan_ports.iter().map(|link| self.facts[link.port].clone()).collect();
        let Devices { ports, unmerged, .. } = self;
        Ok(Dataplane { ports, unmerged, vlan_ports, facts, queues, rings, pool })
    }
}

/// Switches GRO and LRO of a Linux interface off. If that fails, TCP is slow, nothing worse: it is logged, and merged
/// frames are counted.
fn unmerged(interface: &str) -> Option<Unmerged> {
    match Unmerged::new(interface) {
        Ok(unmerged) => {
            if !unmerged.changed().is_empty() {
                let changed = unmerged.changed().join(", ");
                log::info!("`{interface}` no longer merges frames: {changed} off until the end");
            }
            Some(unmerged)
        }
        Err(error) => {
            log::warn!("`{interface}` may merge frames, and TCP be slow: {error}");
            None
        }
    }
}

/// The address by which a device spreads frames. Clients send to VIPs; an interface without one has only servers,
/// which send to clients.
fn steer(config: &Config, port: usize) -> Steer {
    let vlan_ports = config.vlan_ports();
    let mut vips = config.services.iter().flat_map(|service| &service.vips);
    let has_vip = vips.any(|vip| vlan_ports[vip.interface].port == port);
    if has_vip { Steer::BySource } else { Steer::ByDestination }
}

fn name(rss: Rss) -> &'static str {
    match rss {
        Rss::OneQueue => "-",
        Rss::ByClient(Steer::BySource) => "by source",
        Rss::ByClient(Steer::ByDestination) => "by destination",
        Rss::Otherwise => "its own way",
        Rss::Unable => "none",
    }
}

/// Frames in all rings between a worker's port and the kernel.
const KERNEL_RINGS: u32 = (2 * worker::kernel_rings::DEPTH + worker::kernel_rings::URGENT) as u32;

/// The number of buffers: every queue and every ring can be full at once.
fn buffers(workers: u32, config: &Config) -> u32 {
    let rings = |device: &Interface| {
        let asked = u32::from(device.rx_ring) + u32::from(device.tx_ring);
        workers * asked.max(BUFFERS_PER_QUEUE)
    };
    let queues: u32 = config.devices().into_iter().map(rings).sum();
    let kernel = workers * config.interfaces.len() as u32 * KERNEL_RINGS;
    let inboxes = if workers > 1 { workers * handover::FRAMES as u32 } else { 0 };
    let caches = (workers + 1) * 2 * CACHE;
    let held = workers * engine::flow::fragment_table::HELD as u32;
    (queues + kernel + inboxes + caches + held).next_power_of_two() - 1
}

/// The started devices, and the parts of their workers.
pub struct Dataplane {
    ports: Vec<Port>,
    unmerged: Vec<Unmerged>,
    /// The interfaces' ports on the devices.
    vlan_ports: Vec<VlanPort>,
    /// Facts about the devices, by interface, for control.
    pub facts: Vec<InterfaceFacts>,
    queues: Vec<Vec<Queue>>,
    /// The rings to and from the kernel, by interface and worker.
    pub rings: Vec<Vec<KernelRings<Mbuf>>>,
    /// The pool of all frames.
    pub pool: Arc<Mempool>,
}

impl Dataplane {
    /// Launches a worker on each lcore; workers run until `stop`. Their time counts from `start`.
    pub fn launch(
        self,
        eal: &Eal,
        config: &Config,
        snapshot: &Arc<Snapshot>,
        saved_state: &mut SavedState,
        start: Instant,
        stop: &Arc<AtomicBool>,
    ) -> Result<Workers, Error> {
        let inboxes = Inboxes::new(self.queues.len() as u16);
        let seed = Seed(saved_state.seed);
        let max_flows = config.dataplane.max_flows;
        let (stores, lost) = stores(saved_state, self.queues.len(), max_flows);
        let mut all = Adopted { broken: lost, ..Adopted::default() };
        let ports = Rc::new(self.ports);
        let devices = self.vlan_ports.iter().map(|link| link.port).collect();
        let (channels, running, _unmerged) = (vec![], vec![], self.unmerged);
        let mut workers = Workers { channels, running, ports, devices, _unmerged };
        let mut made = vec![];
        let room = Room::of(snapshot, MORE);
        let mut saved = counters(saved_state, room).into_iter();
        for ((number, ports), store) in (0..).zip(self.queues).zip(stores) {
            let counters = saved.next().unwrap_or_else(|| Counters::new(room));
            let channel = WorkerChannel::new(Arc::new(counters));
            let worker = Worker::new(Parts {
                number,
                ports,
                vlan_ports: self.vlan_ports.clone(),
                kernel: self.rings.iter().map(|rings| rings[usize::from(number)].clone()).collect(),
                inboxes: inboxes.clone(),
                channel: channel.clone(),
                snapshot: Arc::clone(snapshot),
                store,
                seed,
                now: Tick::at(start.elapsed()),
            });
            all.whole += worker.adopted.whole;
            all.broken += worker.adopted.broken;
            workers.channels.push(channel);
            made.push(worker);
        }
        // Only now that all workers have claimed the SNAT ports of their transfers.
        for ((number, worker), lcore) in (0_u16..).zip(made).zip(eal.lcores()) {
            let stop = Arc::clone(stop);
            let work = move || {
                // A worker needs open devices, and nothing else of the kernel.
                if let Err(error) = privilege::give_up() {
                    log::warn!("worker {number} keeps its privileges: {error}");
                }
                worker.run(start, &stop);
            };
            workers.running.push(eal.launch(lcore, work)?);
        }
        let backends = workers.channels.iter().flat_map(|channel| &channel.counters.backends);
        let running: u64 = backends.map(Transfers::now).sum();
        match all {
            Adopted { whole: 0, broken: 0 } => {}
            // Rows that are over only wait for late packets.
            Adopted { broken: 0, .. } => log::info!("{running} transfers of before go on"),
            Adopted { broken, .. } => {
                log::warn!("{running} transfers of before go on, {broken} can't");
            }
        }
        Ok(workers)
    }
}

/// The running workers.
pub struct Workers {
    /// The channels to the workers.
    pub channels: Vec<WorkerChannel>,
    running: Vec<Running<()>>,
    ports: Rc<Vec<Port>>,
    /// Each interface's device, as an index into `ports`.
    devices: Vec<usize>,
    /// Linux interfaces that merge frames again when the workers have ended.
    _unmerged: Vec<Unmerged>,
}

impl Workers {
    /// A function that reads the losses of an interface's device; all zeroes if the device has no counters.
    pub fn losses(&self) -> Box<dyn Fn(usize) -> Lost> {
        let (ports, devices) = (Rc::clone(&self.ports), self.devices.clone());
        Box::new(move |id| {
            let Ok(stats) = ports[devices[id]].stats() else { return Lost::default() };
            Lost {
                missed: stats.imissed,
                broken: stats.ierrors,
                no_buffer: stats.rx_nombuf,
                oversized: stats.oversized,
                unsent: stats.oerrors,
            }
        })
    }

    /// A function that reads the link of an interface's device.
    pub fn links(&self) -> Box<dyn Fn(usize) -> Link> {
        let (ports, devices) = (Rc::clone(&self.ports), self.devices.clone());
        Box::new(move |id| {
            let dpdk::Link { is_up, speed } = ports[devices[id]].link();
            // Of Mbit/s.
            Link { is_up, speed: speed.map(|speed| u64::from(speed) * 1_000_000 / 8) }
        })
    }

    /// Whether a worker has ended, which none does before it is told to.
    pub fn any_ended(&self) -> bool {
        self.running.iter().any(Running::is_finished)
    }

    /// Waits until all workers have ended.
    pub fn join(self) -> Result<(), Error> {
        self.running.into_iter().map(Running::join).fold(Ok(()), Result::and)
    }
}
