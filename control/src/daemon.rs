//! The operator's requests, answered from the daemon's state.

mod admin;
mod announce;
pub mod capture;
mod drops;
mod facts;
mod flows;
mod gate;
mod last_records;
mod metrics;
mod pair;
mod publish;
mod ready;
mod reload;
mod routes;
mod services;
mod stats;
mod web;

use crate::active_config::ActiveConfig;
use crate::api::{
    DEFAULT_LIMIT, Error, How, Interface, LastReload, Link, Lost, MAX_LIMIT, Reload, Request,
    Status, Tap, Worker,
};
use crate::backend_status::{BackendStatuses, CheckVerdict};
use crate::carry_over::CarryOver;
use crate::config::Mode;
use crate::flow_log::FlowLogger;
use crate::health::passive::{Change, Reading, Watch};
use crate::kernel::{Conflicts, KernelView, Traffic};
use crate::metrics::Facts;
use crate::pair::state::PairState;
use crate::saved_state::SavedState;
use crate::stats::Sum;
use crate::worker_channels::WorkerChannels;
use engine::counters::{Counter, Counters};
use engine::snapshot::Snapshot;
use engine::types::id::{BackendId, ServiceId};
use serde_json::{Value, to_value};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use wire::ethernet::Mac;
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};

/// The state of a running daemon.
pub struct Daemon {
    /// The configuration's file.
    pub file: PathBuf,
    /// The active configuration.
    pub active: watch::Sender<Rc<ActiveConfig>>,
    /// The time of the daemon's start.
    pub start: Instant,
    /// The origin of the workers' time.
    pub clock: Instant,
    /// The interfaces' devices, in the configuration's order.
    pub interfaces: Vec<InterfaceFacts>,
    /// A function that reads the losses of an interface's device.
    pub lost: Box<dyn Fn(usize) -> Lost>,
    /// A function that reads the link of an interface's device.
    pub link: Box<dyn Fn(usize) -> Link>,
    /// Traffic of the interfaces' TAPs, in the configuration's order.
    pub traffic: Vec<Arc<Traffic>>,
    /// The log of transfers.
    pub flow_log: FlowLogger,
    /// The channels to the workers.
    pub channels: WorkerChannels,
    /// The status of the backends, which the operator, health checks and passive health change.
    pub statuses: watch::Sender<BackendStatuses>,
    /// The kernel's view.
    pub view: watch::Receiver<KernelView>,
    /// Other hosts that claim addresses of ours.
    pub conflicts: watch::Receiver<Conflicts>,
    /// The state of the pair.
    pub pair: PairState,
    /// Whether the operator has drained the gate.
    pub drained: watch::Sender<bool>,
    /// State that is carried over from one snapshot to the next.
    pub carry_over: RefCell<CarryOver>,
    /// State that this process saves for the next one.
    pub saved_state: RefCell<SavedState>,
    /// The snapshot that workers have.
    pub snapshot: watch::Sender<Arc<Snapshot>>,
    /// A lock that is held while a snapshot is published.
    pub publishing: Mutex<()>,
    /// The channel of requests for a reload.
    pub reloads: mpsc::Sender<ReloadRequest>,
    /// Facts for metrics.
    pub facts: RefCell<Facts>,
    /// The last reload's outcome ([`Daemon::record_reload`]).
    pub last_reload: Cell<Option<LastReload>>,
}

/// A request for a reload.
pub struct ReloadRequest {
    /// Options of the reload.
    pub how: How,
    /// The channel for the outcome.
    pub answer: oneshot::Sender<Result<Reload, Error>>,
}

/// Facts about an opened device.
#[derive(Debug, Clone)]
pub struct InterfaceFacts {
    /// DPDK's driver.
    pub driver: String,
    /// The device's hardware address.
    pub mac: Mac,
    /// Receive queues in use.
    pub queues: u16,
    /// How the device spreads frames over its queues ([`crate::api::Interface::rss`]).
    pub rss: &'static str,
}

impl Daemon {
    /// Answers a request.
    ///
    /// # Errors
    ///
    /// An unknown name, a worker that does not answer, or a request that is refused.
    pub async fn answer(self: &Rc<Self>, request: Request) -> Result<Value, Error> {
        let answer = match request {
            Request::Status {} => to_value(self.status()),
            Request::Ready(needed) => to_value(self.readiness(needed).await?),
            Request::Pair {} => to_value(self.pair()?),
            Request::Services {} => to_value(self.services()),
            Request::Backends {} => to_value(self.backends()),
            Request::Flows(which) => to_value(self.flows(which).await?),
            Request::Log(which) => to_value(self.log(which).await?),
            Request::Clients(few) => to_value(self.clients(few).await?),
            Request::Stats {} => to_value(self.stats().await),
            Request::Drops {} => to_value(self.drops()),
            // The server has more to send than an answer: it asks [`Daemon::capture`].
            Request::Capture(_) => return Err(Error::Method("capture".to_owned())),
            Request::Dropped(reason) => to_value(self.dropped(reason).await?),
            Request::Nat {} => to_value(self.nat()),
            Request::Routes(few) => to_value(self.routes(few)?),
            Request::Hash(asker) => to_value(self.hash(asker).await?),
            Request::Order(ordered) => to_value(self.order(ordered).await?),
            Request::Weight(ordered) => to_value(self.weigh(ordered).await?),
            Request::Gate(order) => to_value(self.order_gate(order).await),
            Request::Reload(how) => to_value(self.ask_for_reload(how).await?),
        };
        answer.map_err(|error| Error::Silent(format!("the answer can't be written: {error}")))
    }

    /// Evaluates passive health from the workers' counters, and publishes changes of it.
    pub fn check_passive_health(&self, watches: &mut HashMap<String, Watch>) {
        let (now, active) = (self.start.elapsed(), self.active());
        for (numbers, service) in active.numbers.iter().zip(&active.config().services) {
            let backends = numbers.backends.iter().zip(&service.backends);
            let statuses = self.statuses.borrow();
            let readings: Vec<_> = backends
                .map(|(&id, backend)| {
                    // Nothing that its server says comes by here.
                    let is_vouched_for = service.mode == Mode::Dsr
                        && statuses.of(service, backend).check.verdict == CheckVerdict::Passed;
                    (&*backend.name, Reading { is_vouched_for, ..self.reading(id) })
                })
                .collect();
            drop(statuses);
            for change in watches.entry(service.name.clone()).or_default().look(now, &readings) {
                let Change { backend, health, reason } = change;
                log::info!("backend {backend} of {} {health}: {reason}", service.name);
                self.statuses
                    .send_modify(|all| all.entry(&service.name, &backend).passive = health);
            }
        }
    }

    fn reading(&self, backend: BackendId) -> Reading {
        let transfers = self.counters().map(|counters| counters.backend(backend));
        transfers.fold(Reading::default(), |sum, one| Reading {
            responded: sum.responded + one.responded.value(),
            packets: sum.packets + one.packets_out.value(),
            missed: sum.missed + one.silences.value(),
            is_vouched_for: false,
        })
    }

    /// A line that says how much runs: workers, services, and whether the gate is drained.
    pub fn summary(&self) -> String {
        let services = self.active().config().services.len();
        let drained = if *self.drained.borrow() { ", drained" } else { "" };
        format!("{} workers, {services} services{drained}", self.channels.all().len())
    }

    fn status(&self) -> Status {
        let workers = self.workers().into_iter().map(|(core, counters)| Worker {
            core,
            received: counters.packets.received.value(),
            transmitted: counters.packets.transmitted.value(),
            dropped: counters.drops.total(),
            busy: seconds(&counters.load.busy),
            idle: seconds(&counters.load.idle),
        });
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.start.elapsed().as_secs(),
            workers: workers.collect(),
            interfaces: self.interface_list(),
            transfers: self.all_services().now(),
            last_reload: self.last_reload.get(),
            drained: *self.drained.borrow(),
            pair_conflicts: self.pair.conflicts(),
        }
    }

    fn interface_list(&self) -> Vec<Interface> {
        let active = self.active();
        let written = active.config().interfaces.iter();
        let facts = self.interfaces.iter().zip(&self.traffic);
        written
            .zip(facts)
            .enumerate()
            .map(|(id, (written, (facts, traffic)))| Interface {
                lost: (self.lost)(id),
                conflicts: self.conflicts_of(|held| held.interface == id),
                link: self.link_of(id),
                name: written.name.clone(),
                device: written.device.to_string(),
                vlans: written.vlans.ids().to_vec(),
                driver: facts.driver.clone(),
                mac: facts.mac.to_string(),
                mtu: self.snapshot.borrow().interfaces[id].mtu,
                queues: facts.queues,
                rss: facts.rss.to_owned(),
                tap: Tap {
                    to_kernel: traffic.to_kernel.load(Relaxed),
                    refused: traffic.refused.load(Relaxed),
                    from_kernel: traffic.from_kernel.load(Relaxed),
                    no_room: traffic.no_room.load(Relaxed),
                },
            })
            .collect()
    }

    /// The link of an interface's device. It is up while the TAP has a carrier.
    fn link_of(&self, interface: usize) -> Link {
        let is_up = !self.view.borrow().down.contains(&interface);
        Link { is_up, ..(self.link)(interface) }
    }

    fn service_id(&self, name: &str) -> Result<ServiceId, Error> {
        let active = self.active();
        let id = active.services().find(|(_, service)| service.name == name).map(|(id, _)| id);
        id.ok_or_else(|| Error::Unknown(format!("there is no service `{name}`")))
    }

    fn workers(&self) -> Vec<(u16, &Counters)> {
        let cores = self.active().config().dataplane.workers.clone();
        cores.into_iter().zip(self.counters()).collect()
    }

    /// The active configuration.
    pub fn active(&self) -> Rc<ActiveConfig> {
        Rc::clone(&self.active.borrow())
    }

    fn all_services(&self) -> Sum {
        Sum::of(self.counters().flat_map(|counters| &counters.backends))
    }

    fn counters(&self) -> impl Iterator<Item = &Counters> {
        self.channels.all().iter().map(|channel| &*channel.counters)
    }
}

/// A counter of nanoseconds in seconds, as metrics have it.
fn seconds(nanoseconds: &Counter) -> f64 {
    Duration::from_nanos(nanoseconds.value()).as_secs_f64()
}

/// The limit of a list, from a request.
fn limit(asked: Option<usize>) -> Result<usize, Error> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit if limit <= MAX_LIMIT => Ok(limit),
        _ => Err(Error::Params(format!("`limit` is at most {MAX_LIMIT}"))),
    }
}

/// The name of an IP protocol.
fn protocol(number: u8) -> String {
    match number {
        0 => "any".to_owned(),
        PROTOCOL_TCP => "tcp".to_owned(),
        PROTOCOL_UDP => "udp".to_owned(),
        other => other.to_string(),
    }
}
