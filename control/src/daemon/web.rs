//! The view that the web page shows, and the samples of its last hour.

use super::Daemon;
use super::facts::BackendFacts;
use crate::api::{Error, Flows, Which};
use crate::service_facts::{ServiceFacts, VipFacts};
use crate::web::{Backend, Drop, History, Service, Tally, Totals, View, Vip, Worker, WorkerTally};
use engine::counters::{Counters, Transfers};
use engine::types::drop_reason::DropReason;
use engine::types::end_reason::{EndKind, EndReason};
use engine::types::id::ServiceId;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Running transfers and connections on the page.
const SHOWN: usize = 50;
/// Transfers and connections to choose them from: the tables keep those that are over for late packets.
const ASKED: usize = 1000;

impl Daemon {
    /// Counters and states for the last hour.
    pub fn tally(&self) -> Tally {
        let active = self.active();
        let vips = active.services().flat_map(|(_, service)| self.vip_facts(service));
        let vips = vips.map(|vip| (vip.address.to_string(), vip.state()));
        let states = active.backends().map(|(id, service, backend)| {
            let (_, condition) = self.status_of(id, service, backend);
            (key(&service.name, &backend.name), condition.name())
        });
        Tally {
            services: self.service_totals(),
            states: states.chain(vips).collect(),
            workers: self.counters().map(worker_tally).collect(),
            drops: DropReason::ALL.iter().map(|&reason| self.drops_of(reason)).collect(),
        }
    }

    fn service_totals(&self) -> Vec<(String, Totals)> {
        let (active, snapshot) = (self.active(), self.snapshot.borrow());
        let mut totals: HashMap<ServiceId, Totals> = HashMap::new();
        for counters in self.counters() {
            for (backend, transfers) in snapshot.backends.iter().zip(&counters.backends) {
                let is_without_end = snapshot[backend.service].protocol.is_without_end();
                add(totals.entry(backend.service).or_default(), transfers, is_without_end);
            }
        }
        let services = active.services();
        let services = services.map(|(id, service)| (service.name.clone(), totals.remove(&id)));
        services.map(|(name, totals)| (name, totals.unwrap_or_default())).collect()
    }

    fn drops_of(&self, reason: DropReason) -> u64 {
        self.counters().map(|counters| counters.drops.of(reason).value()).sum()
    }

    /// Everything that the web page shows.
    pub async fn view(&self, history: &RefCell<History>) -> View {
        let flows = self.running().await.map_err(|error| error.to_string());
        let (history, now, at) = (history.borrow(), Instant::now(), SystemTime::now());
        let workers = self.workers().into_iter().enumerate();
        View {
            at,
            host: host(),
            daemon: self.daemon_facts(),
            uptime: self.start.elapsed(),
            last_reload: self.last_reload.get().map(|last| {
                at.duration_since(UNIX_EPOCH + Duration::from_secs(last.at)).unwrap_or_default()
            }),
            services: self.viewed_services(&history, now),
            flows,
            failures: self.flow_log.recent().all(),
            drops: self.viewed_drops(&history),
            workers: workers
                .map(|(number, (core, _))| Worker { core, load: history.load(number) })
                .collect(),
            interfaces: self.sample_interfaces(),
        }
    }

    /// The youngest transfers and connections that are not over, and the number of all.
    async fn running(&self) -> Result<Flows, Error> {
        let which = Which { limit: Some(ASKED), ..Which::default() };
        let mut flows = self.flows(which).await?;
        flows.flows.retain(|one| !one.is_over());
        flows.connections.retain(|one| !one.is_over());
        flows.flows.truncate(SHOWN);
        flows.connections.truncate(SHOWN - flows.flows.len());
        let shown = flows.flows.len() + flows.connections.len();
        flows.matching = shown.max(self.all_services().now() as usize);
        Ok(flows)
    }

    fn viewed_services(&self, history: &History, now: Instant) -> Vec<Service> {
        let active = self.active();
        let mut backends: HashMap<String, Vec<Backend>> = HashMap::new();
        for facts in self.backend_facts() {
            let viewed = self.viewed_backend(facts, history, now);
            backends.entry(viewed.row.service.clone()).or_default().push(viewed);
        }
        let services = active.services().map(|(_, written)| Service {
            facts: ServiceFacts::of(written),
            vips: self
                .vip_facts(written)
                .into_iter()
                .map(|vip| viewed_vip(vip, history, now))
                .collect(),
            lacks_pool: self.lacks_pool(written),
            backends: backends.remove(&written.name).unwrap_or_default(),
            hour: history.seconds(&written.name),
        });
        services.collect()
    }

    fn viewed_backend(&self, facts: BackendFacts, history: &History, now: Instant) -> Backend {
        let name = key(&facts.service, &facts.name);
        let since = history.time_in(&name, facts.condition.name(), now);
        let reason = facts.condition.reason(facts.check.as_ref()).to_owned();
        Backend { row: self.backend(facts), reason, since }
    }

    fn viewed_drops(&self, history: &History) -> Vec<Drop> {
        let drops = DropReason::ALL.iter().enumerate().map(|(number, &reason)| Drop {
            reason,
            total: self.drops_of(reason),
            minute: history.drops(number),
        });
        drops.filter(|drops| drops.total > 0).collect()
    }
}

fn viewed_vip(facts: VipFacts, history: &History, now: Instant) -> Vip {
    let since = history.time_in(&facts.address.to_string(), facts.state(), now);
    Vip { facts, since }
}

/// The name of this host, as Linux has it.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or_else(|_| "this host".to_owned(), |name| name.trim().to_owned())
}

/// The key of a backend in the history, which no VIP has.
fn key(service: &str, backend: &str) -> String {
    format!("{service}/{backend}")
}

/// Adds a backend's transfers to the totals of its service.
fn add(totals: &mut Totals, it: &Transfers, is_without_end: bool) {
    totals.requests += it.started.value();
    let [completed, not_found, failed, silent] = &mut totals.outcomes;
    for end in EndReason::ALL {
        let total = match end.kind(is_without_end) {
            EndKind::Completed => &mut *completed,
            EndKind::NotFound => &mut *not_found,
            EndKind::Failed => &mut *failed,
            EndKind::Silent => &mut *silent,
            EndKind::Neutral => continue,
        };
        *total += it.of(end).value();
    }
    // They have yet to end at another backend.
    *silent = silent.saturating_sub(it.asked_elsewhere.value());
}

fn worker_tally(counters: &Counters) -> WorkerTally {
    WorkerTally {
        busy: counters.load.busy.value(),
        idle: counters.load.idle.value(),
        received: counters.packets.received.value(),
        transmitted: counters.packets.transmitted.value(),
        dropped: counters.drops.total(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_counted_by_their_kind() {
        let transfers = Transfers::default();
        transfers.started.add(20);
        for (counter, ends) in [
            (&transfers.completed, 7),
            (&transfers.size_probes, 1),
            (&transfers.not_found, 2),
            (&transfers.lost, 1),
            (&transfers.timed_out, 3),
            (&transfers.unanswered, 5),
            (&transfers.asked_elsewhere, 5),
            (&transfers.drained, 4),
            (&transfers.failed_over, 1),
        ] {
            counter.add(ends);
        }
        for (is_without_end, outcomes) in [(false, [8, 2, 1, 3]), (true, [8, 2, 1, 0])] {
            let mut totals = Totals::default();
            add(&mut totals, &transfers, is_without_end);
            assert_eq!(totals, Totals { requests: 20, outcomes });
        }
    }
}
