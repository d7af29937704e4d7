//! The load of a worker: the time of its turns, and the rows in use.

use kit::packets::{CLIENT, rrq};
use kit::topology::{Via, snapshot};
use kit::worker_set::WorkerSet;
use std::time::{Duration, Instant};
use worker::memory::MemoryPort;

fn set() -> WorkerSet<MemoryPort> {
    WorkerSet::new(1, snapshot())
}

#[test]
fn turns_with_frames_are_busy_and_others_idle() {
    let mut set = set();
    let start = Instant::now();
    let turn_at = |set: &mut WorkerSet<MemoryPort>, micros| {
        let now = set.now;
        set.workers[0].turn(now, start + Duration::from_micros(micros));
    };
    turn_at(&mut set, 0);
    set.arrive(0, rrq(CLIENT, Via::Nat.vip(), "f"));
    turn_at(&mut set, 5);
    turn_at(&mut set, 12);
    turn_at(&mut set, 15);
    let load = &set.channels[0].counters.load;
    assert_eq!((load.busy.value(), load.idle.value()), (7000, 8000));
}
