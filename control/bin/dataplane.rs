//! Devices, buffers and workers: what the configuration asks for, on DPDK.

use control::api::Lost;
use control::appliance::InterfaceFacts;
use control::config::{Config, Interface};
use control::estate::{Estate, PAGE};
use control::privilege;
use dpdk::lasting;
use dpdk::offload::Unmerged;
use dpdk::{BUFFERS_PER_QUEUE, Eal, Error, Mbuf, Mempool, Port, Queue, Rss, Running, Setup};
use engine::count::Counters;
use engine::flow::key::Seed;
use engine::flow::store::Store;
use engine::own::Own;
use engine::own::adopt::Adopted;
use engine::steer::Steer;
use engine::tables::Tables;
use engine::tick::Tick;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use wire::ethernet::Mac;
use worker::kernel::KernelRings;
use worker::links::Link;
use worker::mesh::{self, Mesh};
use worker::news::Desk;
use worker::worker::{Parts, Worker};

/// Services and backends, of each, that can be added to those of the start.
const MORE: usize = 1024;

/// Free buffers that each lcore keeps at hand.
const CACHE: u32 = 256;

/// The devices, not yet started.
pub struct Devices {
    ports: Vec<Port>,
    facts: Vec<InterfaceFacts>,
    /// Linux interfaces that devices are on.
    unmerged: Vec<Unmerged>,
    /// How many workers they have queues for.
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
        config.links().iter().map(|link| self.facts[link.port].mac).collect()
    }

    /// Starts them, each with a transmit queue for every worker, on buffers of one pool.
    pub fn start(mut self, eal: &Eal, config: &Config) -> Result<Dataplane, Error> {
        let devices = config.devices();
        let mtu = |interface: &Interface| config.device_mtu(&interface.device);
        let largest = devices.iter().map(|first| mtu(first)).max().unwrap_or(0);
        let count = buffers(self.workers.into(), config);
        let pool =
            Arc::new(Mempool::new(eal, "frames", count, CACHE, dpdk::data_room(largest), None)?);
        let mut queues: Vec<Vec<Queue>> = (0..self.workers).map(|_| vec![]).collect();
        for (id, (port, interface)) in self.ports.iter_mut().zip(&devices).enumerate() {
            let setup = Setup {
                transmit: self.workers,
                receive: self.facts[id].queues,
                mtu: mtu(interface),
                rx_ring: interface.rx_ring,
                tx_ring: interface.tx_ring,
                burst: interface.burst,
                steer: steer(config, id),
            };
            let (started, rss) = port.start(setup, &pool)?;
            self.facts[id].rss = name(rss);
            // The kernel's groups: VRRP, neighbour discovery. Frames for others are dropped here.
            port.promiscuous()?;
            for (worker, queue) in queues.iter_mut().zip(started) {
                worker.push(queue);
            }
        }
        let rings = || (0..self.workers).map(|_| KernelRings::new()).collect();
        let rings = config.interfaces.iter().map(|_| rings()).collect();
        let links = config.links();
        let facts = links.iter().map(|link| self.facts[link.port].clone()).collect();
        let Devices { ports, unmerged, .. } = self;
        Ok(Dataplane { ports, unmerged, links, facts, queues, rings, pool })
    }
}

/// Has a Linux interface pass frames on as they came. One that goes on merging them is slow over TCP, and no more: that is
/// said, and counted.
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

/// Clients send to VIPs; where there is none, only servers are, and answer to their clients.
fn steer(config: &Config, port: usize) -> Steer {
    let links = config.links();
    let mut vips = config.services.iter().flat_map(|service| &service.vips);
    let has_vip = vips.any(|vip| links[vip.interface].port == port);
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
const KERNEL_RINGS: u32 = (2 * worker::kernel::DEPTH + worker::kernel::URGENT) as u32;

/// Enough that every queue and every ring can be full at once.
fn buffers(workers: u32, config: &Config) -> u32 {
    let rings = |device: &Interface| {
        let asked = u32::from(device.rx_ring) + u32::from(device.tx_ring);
        workers * asked.max(BUFFERS_PER_QUEUE)
    };
    let queues: u32 = config.devices().into_iter().map(rings).sum();
    let kernel = workers * config.interfaces.len() as u32 * KERNEL_RINGS;
    let mesh = if workers > 1 { workers * mesh::FRAMES as u32 } else { 0 };
    let caches = (workers + 1) * 2 * CACHE;
    let held = workers * engine::fragments::HELD as u32;
    (queues + kernel + mesh + caches + held).next_power_of_two() - 1
}

/// The started devices, and what workers are made of.
pub struct Dataplane {
    ports: Vec<Port>,
    unmerged: Vec<Unmerged>,
    /// The interfaces' places on the devices.
    links: Vec<Link>,
    /// Facts about the devices, by interface, for control.
    pub facts: Vec<InterfaceFacts>,
    queues: Vec<Vec<Queue>>,
    /// To and from the kernel, by interface and worker.
    pub rings: Vec<Vec<KernelRings<Mbuf>>>,
    /// Where all frames lie.
    pub pool: Arc<Mempool>,
}

impl Dataplane {
    /// Puts a worker on each lcore; they turn until `stop`. Their time counts from `start`.
    pub fn launch(
        self,
        eal: &Eal,
        config: &Config,
        tables: &Arc<Tables>,
        estate: &mut Estate,
        start: Instant,
        stop: &Arc<AtomicBool>,
    ) -> Result<Workers, Error> {
        let mesh = Mesh::new(self.queues.len() as u16);
        let seed = Seed(estate.seed);
        let max_flows = config.dataplane.max_flows;
        let mut stores = stores(estate, self.queues.len(), max_flows).into_iter();
        let mut all = Adopted::default();
        let ports = Rc::new(self.ports);
        let devices = self.links.iter().map(|link| link.port).collect();
        let (desks, running, _unmerged) = (vec![], vec![], self.unmerged);
        let mut workers = Workers { desks, running, ports, devices, _unmerged };
        let mut made = vec![];
        for (number, ports) in (0..).zip(self.queues) {
            let counters = Counters::with_room(tables, MORE);
            let desk = Desk::new(Arc::new(counters));
            let worker = Worker::new(Parts {
                number,
                ports,
                links: self.links.clone(),
                kernel: self.rings.iter().map(|rings| rings[usize::from(number)].clone()).collect(),
                mesh: mesh.clone(),
                desk: desk.clone(),
                tables: Arc::clone(tables),
                store: stores.next().unwrap_or_else(|| Own::store(max_flows)),
                seed,
                now: Tick::at(start.elapsed()),
            });
            all.whole += worker.adopted.whole;
            all.broken += worker.adopted.broken;
            workers.desks.push(desk);
            made.push(worker);
        }
        // Not before all of them have claimed the SNAT ports of their transfers.
        for ((number, worker), lcore) in (0_u16..).zip(made).zip(eal.lcores()) {
            let stop = Arc::clone(stop);
            let work = move || {
                // What moves packets needs open devices, and nothing else of the kernel.
                if let Err(error) = privilege::give_up() {
                    log::warn!("worker {number} keeps its privileges: {error}");
                }
                worker.run(start, &stop);
            };
            workers.running.push(eal.launch(lcore, work)?);
        }
        match all {
            Adopted { whole: 0, broken: 0 } => {}
            Adopted { whole, broken: 0 } => log::info!("{whole} transfers of before go on"),
            Adopted { whole, broken } => {
                log::warn!("{whole} transfers of before go on, {broken} can't");
            }
        }
        Ok(workers)
    }
}

/// Each worker's memory in the estate; none, if there is none.
fn stores(estate: &mut Estate, workers: usize, max_flows: u32) -> Vec<Store> {
    let Some(file) = estate.memory.take() else { return vec![] };
    let mut rest = match lasting::map(file) {
        Ok(memory) => memory.get_mut(PAGE..).unwrap_or_default(),
        Err(error) => {
            log::warn!("transfers will not outlive this process: {error}");
            estate.lasts = false;
            return vec![];
        }
    };
    let size = Own::size(max_flows);
    let mut stores = vec![];
    while stores.len() < workers && rest.len() >= size {
        let (own, behind) = rest.split_at_mut(size.next_multiple_of(PAGE).min(rest.len()));
        stores.push(Own::lasting_store(&mut own[..size], max_flows));
        rest = behind;
    }
    stores
}

/// The running workers.
pub struct Workers {
    /// The ways to them.
    pub desks: Vec<Desk>,
    running: Vec<Running<()>>,
    ports: Rc<Vec<Port>>,
    /// By interface.
    devices: Vec<usize>,
    /// Merge frames again when the workers have ended.
    _unmerged: Vec<Unmerged>,
}

impl Workers {
    /// Tells what the device of an interface has lost; all zeroes if it doesn't say.
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

    /// Whether one has ended, which none does before it is told to.
    pub fn any_ended(&self) -> bool {
        self.running.iter().any(Running::is_finished)
    }

    /// Waits until all have ended.
    pub fn join(self) -> Result<(), Error> {
        self.running.into_iter().map(Running::join).fold(Ok(()), Result::and)
    }
}
