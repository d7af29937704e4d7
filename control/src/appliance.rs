//! What the operator asks for, read from what the daemon knows.

use crate::api::{
    Backend, Check, DEFAULT_LIMIT, Error, Flow, Flows, Interface, Lost, MAX_LIMIT, Request,
    Service, Stats, Status, Tap, Which, Worker, WorkerStats,
};
use crate::conduct::{Change, Reading, Watch};
use crate::config::{Config, Held, Mode};
use crate::desks::Desks;
use crate::kernel::Traffic;
use crate::standing::{self, Standings, Verdict};
use crate::stats::{self, Sum};
use engine::count::{Counter, Counters, Packets};
use engine::flow::view::{FlowQuery, Kind, State, TransferView};
use engine::tables::{Duty, Owner, Tables};
use engine::tick::PER_SECOND;
use serde_json::{Value, to_value};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;
use tokio::sync::watch;
use wire::ethernet::Mac;

/// All that there is to know of a running daemon.
pub struct Appliance {
    /// As it was started.
    pub config: Config,
    /// When that was.
    pub start: Instant,
    /// The devices, in the configuration's order.
    pub interfaces: Vec<InterfaceFacts>,
    /// What the device of an interface has lost.
    pub lost: Box<dyn Fn(usize) -> Lost>,
    /// What their TAPs carry, likewise.
    pub traffic: Vec<Arc<Traffic>>,
    /// The ways to the workers.
    pub desks: Desks,
    /// How the backends stand; whoever learns something of them changes it.
    pub standings: watch::Sender<Standings>,
    /// What the workers were told last.
    pub tables: watch::Receiver<Arc<Tables>>,
}

/// What a device turned out to be.
#[derive(Debug, Clone)]
pub struct InterfaceFacts {
    /// DPDK's driver.
    pub driver: String,
    /// Its hardware address.
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
    /// A name that there is not, or a worker that does not answer.
    pub async fn answer(&self, request: Request) -> Result<Value, Error> {
        let answer = match request {
            Request::Status {} => to_value(self.status()),
            Request::Services {} => to_value(self.services()),
            Request::Backends {} => to_value(self.backends()),
            Request::Flows(which) => to_value(self.flows(which).await?),
            Request::Stats {} => to_value(self.stats().await),
        };
        answer.map_err(|error| Error::Silent(format!("the answer can't be written: {error}")))
    }

    /// Reads how backends treat their clients, and lets all know what is new.
    pub fn look_at_conduct(&self, watches: &mut HashMap<String, Watch>) {
        let now = self.start.elapsed();
        let mut first = 0;
        for service in &self.config.services {
            let backends = (first..).zip(&service.backends);
            let readings: Vec<_> =
                backends.map(|(id, backend)| (&*backend.name, self.reading(id))).collect();
            first += readings.len();
            for change in watches.entry(service.name.clone()).or_default().look(now, &readings) {
                let Change { backend, conduct, reason } = change;
                log::info!("backend {backend} of {} {conduct}: {reason}", service.name);
                self.standings
                    .send_modify(|all| all.entry(&service.name, &backend).conduct = conduct);
            }
        }
    }

    fn reading(&self, backend: usize) -> Reading {
        let transfers = self.counters().map(|counters| &counters.backends[backend]);
        transfers.fold(Reading::default(), |sum, one| Reading {
            responded: sum.responded + one.responded.value(),
            packets: sum.packets + one.packets_out.value(),
            missed: sum.missed
                + one.retransmitted.value()
                + one.failed_over.value()
                + one.unreachable.value(),
        })
    }

    fn status(&self) -> Status {
        let workers = self.workers().map(|(core, counters)| Worker {
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
        let written = self.config.interfaces.iter();
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
                mtu: written.mtu,
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

    fn services(&self) -> Vec<Service> {
        let tables = self.tables.borrow();
        let written = self.config.services.iter().enumerate();
        written
            .map(|(id, written)| {
                let totals = self.totals(&tables, |backend| usize::from(backend.service) == id);
                Service {
                    name: written.name.clone(),
                    vips: written.vips.iter().map(|vip| vip.address).collect(),
                    port: written.port,
                    protocol: "tftp".to_owned(),
                    mode: mode(&written.mode).to_owned(),
                    state: state(&written.vips, &tables).to_owned(),
                    transfers: totals.now(),
                    totals: totals.named(),
                    refused: Sum::of(self.counters().map(|counters| &*counters.refusals[id]))
                        .named(),
                }
            })
            .collect()
    }

    fn backends(&self) -> Vec<Backend> {
        let tables = self.tables.borrow();
        let standings = self.standings.borrow();
        let written = self.config.services.iter();
        let written = written
            .flat_map(|service| service.backends.iter().map(move |backend| (service, backend)));
        written
            .zip(&tables.backends)
            .enumerate()
            .map(|(id, ((service, written), backend))| {
                let totals = Sum::of(self.counters().map(|counters| &*counters.backends[id]));
                Backend {
                    service: service.name.clone(),
                    name: written.name.clone(),
                    address: written.address,
                    weight: written.weight,
                    state: standing(backend).to_owned(),
                    check: service
                        .health
                        .is_some()
                        .then(|| check(standings.of(service, written).check)),
                    next_hop: backend.hop.map(|hop| hop.mac.to_string()),
                    transfers: totals.now(),
                    totals: totals.named(),
                }
            })
            .collect()
    }

    async fn flows(&self, which: Which) -> Result<Flows, Error> {
        let limit = which.limit.unwrap_or(DEFAULT_LIMIT);
        if limit > MAX_LIMIT {
            return Err(Error::Params(format!("`limit` is at most {MAX_LIMIT}")));
        }
        let service = which.service.map(|name| self.service_id(&name)).transpose()?;
        let question =
            FlowQuery { service, client: which.client, found: vec![], matching: 0, cursor: 0 };
        let answers = self.desks.ask(&question, limit).await?;
        let matching = answers.iter().map(|answer| answer.matching).sum();
        let mut found: Vec<_> = answers.into_iter().flat_map(|answer| answer.found).collect();
        found.sort_by_key(|transfer| transfer.age);
        found.truncate(limit);
        Ok(Flows { matching, flows: found.iter().map(|transfer| self.flow(transfer)).collect() })
    }

    fn service_id(&self, name: &str) -> Result<u16, Error> {
        let position = self.config.services.iter().position(|service| service.name == name);
        let id = position.and_then(|position| u16::try_from(position).ok());
        id.ok_or_else(|| Error::Unknown(format!("there is no service `{name}`")))
    }

    fn flow(&self, transfer: &TransferView) -> Flow {
        let service = &self.config.services[usize::from(transfer.service)];
        let before: usize = self.config.services[..usize::from(transfer.service)]
            .iter()
            .map(|service| service.backends.len())
            .sum();
        let seconds = |ticks| f64::from(ticks) / f64::from(PER_SECOND);
        Flow {
            service: service.name.clone(),
            backend: service.backends[usize::from(transfer.backend) - before].name.clone(),
            client: transfer.client,
            seen_as: transfer.seen_as,
            tid: transfer.tid,
            state: match transfer.state {
                State::Requested => "requested",
                State::Established => "established",
                State::Closing => "closing",
                State::Completed => "completed",
            }
            .to_owned(),
            kind: match transfer.kind {
                Kind::Read => "read",
                Kind::Write => "write",
            }
            .to_owned(),
            file: String::from_utf8_lossy(&transfer.file).into_owned(),
            blocks: transfer.blocks,
            bytes: transfer.bytes,
            age: seconds(transfer.age),
            idle: seconds(transfer.idle),
        }
    }

    async fn stats(&self) -> Stats {
        let latencies = self.desks.latencies().await;
        let workers: Vec<WorkerStats> = self
            .workers()
            .zip(&latencies)
            .map(|((core, counters), latencies)| WorkerStats {
                core,
                packets: Sum::of([&*counters.packets]).named(),
                drops: stats::drops([&*counters.drops]),
                latency: stats::latency([latencies]),
            })
            .collect();
        let count = |of: fn(&Packets) -> &Counter| -> u64 {
            self.counters().map(|counters| of(&counters.packets).value()).sum()
        };
        let handed_over = count(|packets| &packets.handed_over);
        let received = count(|packets| &packets.received);
        Stats {
            packets: Sum::of(self.counters().map(|counters| &*counters.packets)).named(),
            drops: stats::drops(self.counters().map(|counters| &*counters.drops)),
            workers,
            transfers: self.all_services().named(),
            refused: Sum::of(
                self.counters().flat_map(|counters| &counters.refusals).map(|set| &**set),
            )
            .named(),
            latency: stats::latency(&latencies),
            handed_over_share: handed_over as f64 / received.max(1) as f64,
        }
    }

    fn workers(&self) -> impl Iterator<Item = (u16, &Counters)> {
        self.config.dataplane.workers.iter().copied().zip(self.counters())
    }

    fn all_services(&self) -> Sum {
        self.totals(&self.tables.borrow(), |_| true)
    }

    /// What became of the transfers of some backends.
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

fn state(vips: &[Held], tables: &Tables) -> &'static str {
    let is_live = |vip: &&Held| matches!(tables.addresses.get(vip.address), Some(Owner::Vip(_)));
    match vips.iter().filter(is_live).count() {
        0 => "vip down",
        live if live == vips.len() => "live",
        _ => "partly live",
    }
}

fn standing(backend: &engine::tables::Backend) -> &'static str {
    match backend.duty {
        _ if backend.hop.is_none() => "unresolved",
        Duty::Serving => "up",
        Duty::Suspected => "suspected",
        Duty::Ejected => "ejected",
        Duty::Draining => "draining",
        Duty::Down => "down",
    }
}

fn check(check: standing::Check) -> Check {
    let verdict = match check.verdict {
        Verdict::Pending => "pending",
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
    };
    let since = check.since.map(|since| since.elapsed().as_secs());
    Check { verdict: verdict.to_owned(), since, last: check.last }
}

fn mode(mode: &Mode) -> &'static str {
    match mode {
        Mode::Dsr => "dsr",
        Mode::Nat => "nat",
        Mode::Snat(_) => "nat + snat",
    }
}
