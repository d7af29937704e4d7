//! Any frames, at any time, to two workers: what real clients and servers send, changed at will.
#![no_main]

use engine::count::Transfers;
use engine::select::cap::{Cap, Places};
use engine::tables::Protocol;
use kit::connections::{add, add_rules};
use kit::house::House;
use kit::world::{IDLE, Via};
use libfuzzer_sys::fuzz_target;
use traces::rows::ROWS;
use traces::script::decode;
use worker::memory::MemoryPort;

const WORKERS: u16 = 2;
/// Each worker's places for transfers, and for connections: a few clients have them all.
const PLACES: u32 = 16;
/// Ticks between two frames.
const MOST_TICKS: u16 = 700;
/// Ticks that are stepped through one by one before a frame; more are skipped, or a run would take a second.
const FEW_TICKS: u16 = 4;
/// Times that everything is left idle for its timeout: then no transfer and no connection is there any longer, and none
/// that those kept alive.
const IDLE_TIMES: u32 = 4;
/// In what ways they end.
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
    let mut tables = ROWS[0].tables(Via::Nat);
    for row in &ROWS {
        row.modes.iter().for_each(|&via| row.prepare(&mut tables, via));
    }
    add(&mut tables, Protocol::Udp, 53, [1, 1]);
    add_rules(&mut tables, None);
    tables.services.iter_mut().for_each(|service| service.idle_timeout = IDLE);
    for backend in &mut tables.backends {
        backend.cap.get_or_insert_with(|| Cap::new(u32::MAX, Places::default()));
    }
    let caps: Vec<_> = tables.backends.iter().filter_map(|backend| backend.cap.clone()).collect();
    let mut house = House::with(WORKERS, tables, PLACES, |_| MemoryPort::new(64));
    for arrival in decode(script) {
        let ticks = arrival.ticks % MOST_TICKS;
        house.skip(ticks.saturating_sub(FEW_TICKS).into());
        house.wait(ticks.min(FEW_TICKS).into());
        house.arrive(usize::from(arrival.queue) % usize::from(WORKERS), arrival.frame);
        // The counters balance after each turn.
        for _ in 0..4 {
            house.turn();
        }
        house.left();
        house.left_to_kernel();
    }
    (0..IDLE_TIMES).for_each(|_| house.skip(IDLE));
    let total = transfers(&house);
    let of = |name| total[Transfers::NAMES.iter().position(|&one| one == name).expect("a counter")];
    let ends: u64 = ENDS.into_iter().map(of).sum();
    assert_eq!((of("started"), ends), (of("ended"), of("ended")));
    assert!(caps.iter().all(|cap| cap.taken() == 0));
});

/// Counters of transfers, over all workers and backends. A ledger of all counters takes a fifth of a run's time.
fn transfers(house: &House<MemoryPort>) -> [u64; Transfers::NAMES.len()] {
    let mut total = [0; Transfers::NAMES.len()];
    for set in house.desks.iter().flat_map(|desk| &desk.counters.backends) {
        set.values().iter().zip(&mut total).for_each(|(value, sum)| *sum += value);
    }
    total
}
