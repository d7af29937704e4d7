//! The operator's requests, answered from the daemon's state.

mod flows;
mod order;
mod refresh;
mod services;
mod stats;
mod ways;

use crate::api::{DEFAULT_LIMIT, Error, Interface, Lost, MAX_LIMIT, Request, Status, Tap, Worker};
use crate::conduct::{Change, Reading, Watch};
use crate::config::Mode;
use crate::desks::Desks;
use crate::estate::Estate;
use crate::in_force::InForce;
use crate::kernel::{Traffic, View};
use crate::lasting::Lasting;
use crate::reload::Asked;
use crate::standing::{Standings, Verdict};
use crate::stats::Sum;
use engine::count::Counters;
use engine::tables::{BackendId, ServiceId, Tables};
use serde_json::{Value, to_value};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;
use tokio::sync::{Mutex, mpsc, watch};
use wire::ethernet::Mac;
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};

/// All that there is to know of a running daemon.
pub struct Appliance {
    /// The configuration's file.
    pub file: PathBuf,
    /// The configuration when it was read last.
    pub in_force: watch::Sender<Rc<InForce>>,
    /// When that was.
    pub start: Instant,
    /// When workers' time began.
    pub clock: Instant,
    /// The devices, in the configuration's order.
    pub interfaces: Vec<InterfaceFacts>,
    /// Losses of an interface's device.
    pub lost: Box<dyn Fn(usize) -> Lost>,
    /// Traffic of their TAPs, likewise.
    pub traffic: Vec<Arc<Traffic>>,
    /// The ways to the workers.
    pub desks: Desks,
    /// How the backends stand; whoever learns something of them changes it.
    pub standings: watch::Sender<Standings>,
    /// The kernel's view.
    pub view: watch::Receiver<View>,
    /// State that each snapshot hands on to the next.
    pub lasting: RefCell<Lasting>,
    /// State that this process leaves to the next.
    pub estate: RefCell<Estate>,
    /// The snapshot that workers have.
    pub tables: watch::Sender<Arc<Tables>>,
    /// Held by whoever tells them.
    pub telling: Mutex<()>,
    /// Where reloads are asked for.
    pub reloads: mpsc::Sender<Asked>,
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
    /// How it spreads frames over them ([`crate::api::Interface::rss`]).
    pub rss: &'static str,
}

impl Appliance {
    /// Answers a request.
    ///
    /// # Errors
    ///
    /// A name that there is not, a worker that does not answer, or what is refused.
    pub async fn answer(&self, request: Request) -> Result<Value, Error> {
        let answer = match request {
            Request::Status {} => to_value(self.status()),
            Request::Services {} => to_value(self.services()),
            Request::Backends {} => to_value(self.backends()),
            Request::Flows(which) => to_value(self.flows(which).await?),
            Request::Stats {} => to_value(self.stats().await),
            Request::Nat {} => to_value(self.nat()),
            Request::Routes(few) => to_value(self.routes(few)?),
            Request::Hash(asker) => to_value(self.hash(asker).await?),
            Request::Order(ordered) => to_value(self.order(ordered).await?),
            Request::Weight(ordered) => to_value(self.weigh(ordered).await?),
            Request::Reload(how) => to_value(self.ask_for_reload(how).await?),
        };
        answer.map_err(|error| Error::Silent(format!("the answer can't be written: {error}")))
    }

    /// Reads how backends treat their clients, and lets all know what is new.
    pub fn look_at_conduct(&self, watches: &mut HashMap<String, Watch>) {
        let (now, in_force) = (self.start.elapsed(), self.in_force());
        for (numbers, service) in in_force.numbers.iter().zip(&in_force.config().services) {
            let backends = numbers.backends.iter().zip(&service.backends);
            let standings = self.standings.borrow();
            let readings: Vec<_> = backends
                .map(|(&id, backend)| {
                    // Nothing that its server says comes by here.
                    let is_vouched_for = service.mode == Mode::Dsr
                        && standings.of(service, backend).check.verdict == Verdict::Passed;
                    (&*backend.name, Reading { is_vouched_for, ..self.reading(id) })
                })
                .collect();
            drop(standings);
            for change in watches.entry(service.name.clone()).or_default().look(now, &readings) {
                let Change { backend, conduct, reason } = change;
                log::info!("backend {backend} of {} {conduct}: {reason}", service.name);
                self.standings
                    .send_modify(|all| all.entry(&service.name, &backend).conduct = conduct);
            }
        }
    }

    fn reading(&self, backend: BackendId) -> Reading {
        let transfers = self.counters().map(|counters| &counters.backends[usize::from(backend)]);
        transfers.fold(Reading::default(), |sum, one| Reading {
            responded: sum.responded + one.responded.value(),
            packets: sum.packets + one.packets_out.value(),
            missed: sum.missed + one.silences.value(),
            is_vouched_for: false,
        })
    }

    fn status(&self) -> Status {
        let workers = self.workers().into_iter().map(|(core, counters)| Worker {
            core,
            received: counters.packets.received.value(),
            transmitted: counters.packets.transmitted.value(),
            dropped: counters.drops.total(),
        });
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.start.elapsed().as_secs(),
            workers: workers.collect(),
            interfaces: self.interface_list(),
            transfers: self.all_services().now(),
        }
    }

    fn interface_list(&self) -> Vec<Interface> {
        let in_force = self.in_force();
        let written = in_force.config().interfaces.iter();
        let facts = self.interfaces.iter().zip(&self.traffic);
        written
            .zip(facts)
            .enumerate()
            .map(|(id, (written, (facts, traffic)))| Interface {
                lost: (self.lost)(id),
                name: written.name.clone(),
                device: written.device.to_string(),
                vlans: written.vlans.ids().to_vec(),
                driver: facts.driver.clone(),
                mac: facts.mac.to_string(),
                mtu: self.tables.borrow().interfaces[id].mtu,
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

    fn service_id(&self, name: &str) -> Result<ServiceId, Error> {
        let in_force = self.in_force();
        let id = in_force.services().find(|(_, service)| service.name == name).map(|(id, _)| id);
        id.ok_or_else(|| Error::Unknown(format!("there is no service `{name}`")))
    }

    fn workers(&self) -> Vec<(u16, &Counters)> {
        let cores = self.in_force().config().dataplane.workers.clone();
        cores.into_iter().zip(self.counters()).collect()
    }

    /// The configuration in force now.
    pub fn in_force(&self) -> Rc<InForce> {
        Rc::clone(&self.in_force.borrow())
    }

    fn all_services(&self) -> Sum {
        self.totals(&self.tables.borrow(), |_| true)
    }

    /// Outcomes of the transfers of some backends.
    fn totals(&self, tables: &Tables, of: impl Fn(&engine::tables::Backend) -> bool) -> Sum {
        Sum::of(self.counters().flat_map(|counters| {
            let backends = tables.backends.iter().zip(&counters.backends);
            backends.filter(|(backend, _)| of(backend)).map(|(_, transfers)| &**transfers)
        }))
    }

    fn counters(&self) -> impl Iterator<Item = &Counters> {
        self.desks.all().iter().map(|desk| &*desk.counters)
    }
}

/// How many are to be listed.
fn limit(asked: Option<usize>) -> Result<usize, Error> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit if limit <= MAX_LIMIT => Ok(limit),
        _ => Err(Error::Params(format!("`limit` is at most {MAX_LIMIT}"))),
    }
}

/// A protocol of IP's, in a word.
fn protocol(number: u8) -> String {
    match number {
        0 => "any".to_owned(),
        PROTOCOL_TCP => "tcp".to_owned(),
        PROTOCOL_UDP => "udp".to_owned(),
        other => other.to_string(),
    }
}
