//! Any frames, at any time, to two workers: mutated packets of real clients and servers.
#![no_main]

use engine::counters::Transfers;
use engine::scheduler::backend_group::Scheduler;
use engine::scheduler::transfer_limit::{Places, TransferLimit};
use engine::snapshot::Protocol;
use kit::connections::{add, add_rules};
use kit::topology::{IDLE, Via, groups};
use kit::worker_set::WorkerSet;
use libfuzzer_sys::fuzz_target;
use traces::rows::ROWS;
use traces::script::decode;
use worker::memory::MemoryPort;

const WORKERS: u16 = 2;
/// Rows of each worker for transfers and for connections: a few clients fill them.
const PLACES: u32 = 16;
/// Most ticks between two frames.
const MOST_TICKS: u16 = 700;
/// Ticks stepped one by one before a frame; more are skipped, or a run would take a second.
const FEW_TICKS: u16 = 4;
/// Idle timeouts to wait for at the end: then no flow is left, nor one that another flow kept alive.
const IDLE_TIMES: u32 = 4;
/// Counters of ends.
const ENDS: [&str; 10] = [
    "completed",
    "size_probes",
    "not_found",
    "failed",
    "unheard",
    "unanswered",
    "timed_out",
    "replaced",
    "evicted",
    "lost",
];

fuzz_target!(|script: &[u8]| {
    let mut snapshot = ROWS[0].snapshot(Via::Nat);
    for row in &ROWS {
        row.modes.iter().for_each(|&via| row.prepare(&mut snapshot, via));
    }
    for via in [Via::Dsr, Via::Dsr6] {
        snapshot[via.group()] = groups(via, Scheduler::SourceHash, [1, 1]);
    }
    add(&mut snapshot, Protocol::Udp, 53, [1, 1]);
    add_rules(&mut snapshot, None);
    snapshot.services.iter_mut().for_each(|service| service.idle_timeout = IDLE);
    for backend in &mut snapshot.backends {
        backend.cap.get_or_insert_with(|| TransferLimit::new(u32::MAX, Places::default()));
    }
    let caps: Vec<_> = snapshot.backends.iter().filter_map(|backend| backend.cap.clone()).collect();
    let mut set = WorkerSet::with(WORKERS, snapshot, PLACES, |_| MemoryPort::new(64));
    for arrival in decode(script) {
        let ticks = arrival.ticks % MOST_TICKS;
        set.skip(ticks.saturating_sub(FEW_TICKS).into());
        set.wait(ticks.min(FEW_TICKS).into());
        set.arrive(usize::from(arrival.queue) % usize::from(WORKERS), arrival.frame);
        // Counters balance after each turn.
        for _ in 0..4 {
            set.turn();
        }
        set.left();
        set.left_to_kernel();
    }
    (0..IDLE_TIMES).for_each(|_| set.skip(IDLE));
    let total = transfers(&set);
    let of = |name| total[Transfers::NAMES.iter().position(|&one| one == name).expect("a counter")];
    let ends: u64 = ENDS.into_iter().map(of).sum();
    assert_eq!((of("started") + of("adopted"), ends), (of("ended"), of("ended")));
    assert!(caps.iter().all(|cap| cap.taken() == 0));
});

/// Counters of transfers, over all workers and backends. Collecting all counters would take a fifth of a run's time.
fn transfers(set: &WorkerSet<MemoryPort>) -> [u64; Transfers::NAMES.len()] {
    let mut total = [0; Transfers::NAMES.len()];
    for set in set.channels.iter().flat_map(|channel| &channel.counters.backends) {
        set.values().iter().zip(&mut total).for_each(|(value, sum)| *sum += value);
    }
    total
}
