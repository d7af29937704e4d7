//! Metrics of the workers.

use super::buckets::Buckets;
use super::page::Page;
use crate::histogram::Histogram;
use engine::counters::{Counters, Load, Packets};
use engine::types::drop_reason::DropReason;
use std::fmt;
use std::time::Duration;
use worker::latency::Latencies;

/// The bounds of the histogram of turns.
const TURNS: &[Duration] = &[
    Duration::from_micros(1),
    Duration::from_micros(2),
    Duration::from_micros(5),
    Duration::from_micros(10),
    Duration::from_micros(20),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(100),
];

/// A worker.
#[derive(Debug)]
pub struct Worker {
    number: String,
    core: String,
    packets: Packets,
    /// Drops in the order of [`DropReason::ALL`].
    drops: Vec<u64>,
    load: Load,
    /// Rows in use: transfers, connections, expected and half-open ones.
    rows: [u64; 4],
    max_flows: u32,
    turns: Histogram,
}

impl Worker {
    /// Reads a worker's counters. `max_flows` is the size of each of its tables.
    pub fn new(
        (number, core): (usize, u16),
        counters: &Counters,
        latencies: &Latencies,
        max_flows: u32,
    ) -> Worker {
        let mut turns = Histogram::new(TURNS);
        for step in latencies.iter_recorded() {
            let time = Duration::from_nanos(step.value_iterated_to());
            turns.record(time, step.count_at_value());
        }
        let rows = &counters.occupancy;
        Worker {
            number: number.to_string(),
            core: core.to_string(),
            packets: Packets::sum([&*counters.packets]),
            drops: DropReason::ALL.iter().map(|&one| counters.drops.of(one).value()).collect(),
            load: Load::sum([&*counters.load]),
            rows: [&rows.transfers, &rows.connections, &rows.expected, &rows.half_open]
                .map(|gauge| gauge.value()),
            max_flows,
            turns,
        }
    }

    fn labels(&self) -> [(&str, &str); 2] {
        [("worker", &self.number), ("core", &self.core)]
    }

    fn with<'a>(&'a self, name: &'a str, value: &'a str) -> [(&'a str, &'a str); 3] {
        [("worker", &*self.number), ("core", &*self.core), (name, value)]
    }
}

pub(super) fn encode(workers: &[Worker], page: &mut Page) -> fmt::Result {
    packets(workers, page)?;
    let drops = workers.iter().flat_map(|worker| {
        let drops = DropReason::ALL.iter().zip(&worker.drops);
        drops.map(|(reason, &count)| (worker.with("reason", reason.name()), count))
    });
    page.counter("worker_dropped_packets", "Packets dropped, by reason", drops)?;
    let turns = workers.iter().map(|worker| (worker.labels(), Buckets::from(&worker.turns)));
    let help = "Time of turns that received frames from a device, which is the frames' latency";
    page.histogram("worker_turn_seconds", help, turns)?;
    load(workers, page)?;
    rows(workers, page)
}

fn packets(workers: &[Worker], page: &mut Page) -> fmt::Result {
    let mut lone = |name: &str, help: &str, of: fn(&Packets) -> u64| {
        page.counter(name, help, workers.iter().map(|one| (one.labels(), of(&one.packets))))
    };
    lone("worker_received_packets", "Frames received from devices", |it| it.received.value())?;
    lone("worker_received_bytes", "Bytes received from devices", |it| it.bytes_received.value())?;
    lone("worker_transmitted_bytes", "Bytes of forwarded frames and answers", |it| {
        it.bytes_transmitted.value()
    })?;
    lone(
        "worker_second_chance_packets",
        "Clients' packets sent on to the pair's other gate",
        |it| it.second_chances.value(),
    )?;
    let verdicts = workers.iter().flat_map(|worker| {
        let it = &worker.packets;
        let verdicts = [
            ("transmitted", it.transmitted.value()),
            ("answered", it.answered.value()),
            ("to-kernel", it.to_kernel.value()),
            ("handed-over", it.handed_over.value()),
            ("held", it.held.value()),
            ("absorbed", it.absorbed.value()),
            ("dropped", worker.drops.iter().sum()),
        ];
        verdicts.map(|(verdict, count)| (worker.with("verdict", verdict), count))
    });
    page.counter("worker_packets", "Packets by verdict", verdicts)?;
    let sources = workers.iter().flat_map(|worker| {
        let it = &worker.packets;
        let sources = [
            ("taken-over", it.taken_over.value()),
            ("kernel", it.from_kernel.value()),
            ("released", it.released.value()),
            ("made", it.made.value()),
        ];
        sources.map(|(source, count)| (worker.with("source", source), count))
    });
    let help = "Packets that came from elsewhere than a device, by source";
    page.counter("worker_injected_packets", help, sources)
}

fn load(workers: &[Worker], page: &mut Page) -> fmt::Result {
    let mut lone = |name: &str, help: &str, of: fn(&Load) -> u64| {
        let series = workers.iter().map(|worker| {
            let time = Duration::from_nanos(of(&worker.load));
            (worker.labels(), time.as_secs_f64())
        });
        page.seconds(name, help, series)
    };
    lone("worker_busy_seconds", "Time of turns that moved frames", |load| load.busy.value())?;
    lone("worker_idle_seconds", "Time of turns that found no frames", |load| load.idle.value())
}

fn rows(workers: &[Worker], page: &mut Page) -> fmt::Result {
    let used = workers.iter().flat_map(|worker| {
        let kinds = ["transfer", "connection", "expected", "half-open"].into_iter();
        kinds.zip(worker.rows).map(|(kind, rows)| (worker.with("kind", kind), rows))
    });
    page.gauge("worker_flows", "Rows in use of the worker's tables", used)?;
    let most = workers.iter().flat_map(|worker| {
        let kinds = ["transfer", "connection"];
        kinds.map(|kind| (worker.with("kind", kind), worker.max_flows.into()))
    });
    let help =
        "Rows of the worker's tables; connections share theirs with expected and half-open ones";
    page.gauge("worker_flows_max", help, most)
}
