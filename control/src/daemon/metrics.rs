//! The sample for metrics.

use super::Daemon;
use crate::config::Mode;
use crate::metrics::{self, Buckets, Sample, SnatPorts};
use crate::service_facts::ServiceFacts;
use engine::counters::histogram::ServiceHistograms;
use engine::counters::{Refusals, Transfers};
use engine::flow::port_allocator::PORTS;
use engine::snapshot::Protocol;
use engine::types::id::{BackendId, ServiceId};
use std::collections::HashMap;
use tokio::task::yield_now;

/// Seconds of a millisecond.
const MILLI: f64 = 0.001;

impl Daemon {
    /// Reads all values for metrics. The waits come first: what is read after them is of one moment.
    pub async fn sample(&self) -> Sample {
        let latencies = self.channels.latencies().await;
        let snat = self.snat_ports().await;
        let max_flows = self.active().config().dataplane.max_flows;
        let workers = self.workers().into_iter().zip(&latencies).enumerate();
        Sample {
            daemon: self.daemon_facts(),
            workers: workers
                .map(|(number, ((core, counters), latencies))| {
                    metrics::Worker::new((number, core), counters, latencies, max_flows)
                })
                .collect(),
            interfaces: self.sample_interfaces(),
            pair: self.sample_pair(),
            services: self.sample_services(),
            snat,
            backends: self.sample_backends(),
            nat: (0..)
                .zip(self.nat())
                .map(|(number, rule): (u32, _)| metrics::NatRule {
                    rule: number.to_string(),
                    to: rule.to.to_string(),
                    connections: rule.hits,
                })
                .collect(),
        }
    }

    pub(super) fn sample_interfaces(&self) -> Vec<metrics::Interface> {
        let interfaces = self.interface_list().into_iter();
        interfaces
            .map(|one| metrics::Interface {
                name: one.name,
                device: one.device,
                driver: one.driver,
                mac: one.mac,
                rss: one.rss,
                link: one.link,
                lost: one.lost,
                tap: one.tap,
                conflicts: one.conflicts,
            })
            .collect()
    }

    /// The configuration's services. One with another protocol, port or mode is a new one: the counters of all that had
    /// the name are added up, so that they never fall.
    fn sample_services(&self) -> Vec<metrics::Service> {
        let active = self.active();
        let mut namesakes: HashMap<&str, Vec<ServiceId>> = HashMap::new();
        for (id, service) in (0..).map(ServiceId).zip(active.registry.services()) {
            namesakes.entry(&service.name).or_default().push(id);
        }
        let services = active.services().map(|(_, written)| {
            let ids = &namesakes[&*written.name];
            metrics::Service {
                facts: ServiceFacts::of(written),
                vips: self.vip_facts(written),
                refusals: self.refusals(ids),
                durations: [
                    Buckets::sum(self.histograms(ids).map(|one| one.completed()), MILLI),
                    Buckets::sum(self.histograms(ids).map(|one| one.other()), MILLI),
                ],
                sizes: Buckets::sum(self.histograms(ids).map(|one| one.size()), 1.0),
            }
        });
        services.collect()
    }

    fn refusals(&self, services: &[ServiceId]) -> Refusals {
        let workers = self.counters();
        Refusals::sum(workers.flat_map(|counters| services.iter().map(|&id| counters.service(id))))
    }

    /// The histograms of some services, of each worker.
    fn histograms(&self, ids: &[ServiceId]) -> impl Iterator<Item = &ServiceHistograms> {
        let workers = self.counters();
        workers.flat_map(|counters| ids.iter().map(|id| &counters.services[id.index()]))
    }

    /// The ports of SNAT addresses. They are many: other work goes on after each address.
    async fn snat_ports(&self) -> Vec<SnatPorts> {
        let (active, snapshot) = (self.active(), self.snapshot.borrow().clone());
        let mut all = vec![];
        for (numbers, service) in active.numbers.iter().zip(&active.config().services) {
            if !matches!(service.mode, Mode::Snat(_)) {
                continue;
            }
            for &id in &numbers.pool {
                let address = &snapshot[id];
                let usage = address.of(service.protocol.ip_protocol()).usage(self.now());
                all.push(SnatPorts {
                    service: service.name.clone(),
                    address: address.address.to_string(),
                    is_live: snapshot.is_snat_live(id),
                    addresses: service.addresses,
                    taken: usage.taken,
                    resting: usage.resting,
                    max: PORTS,
                });
                yield_now().await;
            }
        }
        all
    }

    /// The configuration's backends, and removed ones as long as they have transfers. One with another address is a new
    /// one: the counters of all that had the names are added up, so that they never fall.
    fn sample_backends(&self) -> Vec<metrics::Backend> {
        let active = self.active();
        let registry = &active.registry;
        let names = |id: BackendId| {
            let backend = &registry[id].what;
            (&*registry[backend.service()].name, &*backend.name)
        };
        let mut namesakes: HashMap<(&str, &str), Vec<BackendId>> = HashMap::new();
        for (id, _) in registry.numbered_backends() {
            namesakes.entry(names(id)).or_default().push(id);
        }
        let backends = self.backend_facts().into_iter().filter_map(|facts| {
            // A removed one is shown by the configured one of its names.
            let ids = namesakes.remove(&names(facts.id))?;
            Some(metrics::Backend {
                service: facts.service,
                name: facts.name,
                condition: facts.condition,
                weight: facts.weight,
                max: facts.max_transfers,
                kind: kind(registry[registry[facts.id].what.service()].protocol),
                transfers: self.transfers(&ids),
                answers: self.answers(&ids),
                checks: facts.check.map(|check| check.counts),
            })
        });
        backends.collect()
    }

    fn transfers(&self, backends: &[BackendId]) -> Transfers {
        let workers = self.counters();
        Transfers::sum(workers.flat_map(|counters| backends.iter().map(|&id| counters.backend(id))))
    }

    fn answers(&self, backends: &[BackendId]) -> Buckets {
        let workers = self.counters();
        let answers = workers.flat_map(|counters| backends.iter().map(|&id| counters.answers(id)));
        Buckets::sum(answers, MILLI)
    }
}

/// The kind of flows that clients of a service of this protocol have.
fn kind(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tftp => "transfer",
        Protocol::Ftp(_) | Protocol::Tcp | Protocol::Udp | Protocol::Any => "connection",
    }
}
