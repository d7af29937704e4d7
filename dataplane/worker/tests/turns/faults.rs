//! Transfers over a network that loses, repeats and reorders.

use crate::transfers::{carry, crowd, pass};
use engine::types::frame::{BURST, Burst, Frame};
use kit::farm::Farm;
use kit::topology::{FLOWS, Via, snapshot};
use kit::worker_set::{Wire, WorkerSet};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use worker::memory::{MemoryFrame, MemoryPort};
use worker::port::Port;

/// Percentages of frames that a fault happens to.
#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    lost: u32,
    repeated: u32,
    swapped: u32,
    /// Kept back for some bursts.
    late: u32,
}

/// Bursts that a frame is kept back at most: less than it takes to fetch the shortest file, whose
/// late request would rightly fetch it again.
const LATEST: u32 = 8;

/// A port behind a bad network.
#[derive(Clone)]
struct Faulty {
    port: MemoryPort,
    faults: Faults,
    chance: Rc<RefCell<Chance>>,
    /// Frames kept back, and for how many more bursts.
    late: Rc<RefCell<Vec<(u32, MemoryFrame)>>>,
}

/// Xorshift: the same faults at every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32 % n
    }

    fn strikes(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }
}

impl Wire for Faulty {
    fn new(room: usize) -> Faulty {
        Faulty::with(room, Faults::default(), 1)
    }

    fn arrive(&self, frame: &[u8]) {
        self.port.arrive(frame);
    }

    fn leave(&self) -> Option<Vec<u8>> {
        self.port.leave()
    }
}

impl Faulty {
    fn with(room: usize, faults: Faults, seed: u64) -> Faulty {
        let chance = Rc::new(RefCell::new(Chance(seed)));
        Faulty { port: MemoryPort::new(room), faults, chance, late: Rc::default() }
    }

    fn disturb(&self, burst: &mut Burst<MemoryFrame>) {
        let mut chance = self.chance.borrow_mut();
        let mut late = self.late.borrow_mut();
        for frame in std::mem::take(burst) {
            if chance.strikes(self.faults.lost) {
                continue;
            }
            if chance.strikes(self.faults.late) {
                late.push((chance.below(LATEST), frame));
                continue;
            }
            if chance.strikes(self.faults.repeated) && burst.len() < BURST - 1 {
                burst.push(frame.clone());
            }
            if burst.len() < BURST {
                burst.push(frame);
            }
        }
        for (turns, frame) in std::mem::take(&mut *late) {
            match turns {
                0 if burst.len() < BURST => burst.push(frame),
                _ => late.push((turns.saturating_sub(1), frame)),
            }
        }
        for place in 1..burst.len() {
            if chance.strikes(self.faults.swapped) {
                burst.swap(place - 1, place);
            }
        }
    }
}

impl Port for Faulty {
    type Buffer = MemoryFrame;

    fn receive(&mut self, burst: &mut Burst<MemoryFrame>) {
        self.port.receive(burst);
        self.disturb(burst);
    }

    /// Sends all frames; those that are lost on the way count as sent.
    fn transmit(&mut self, burst: &mut Burst<MemoryFrame>) {
        let mut chance = self.chance.borrow_mut();
        burst.retain(|_| !chance.strikes(self.faults.lost));
        self.port.transmit(burst);
    }

    fn frame(&mut self, frame: &[u8]) -> Option<MemoryFrame> {
        self.port.frame(frame)
    }
}

/// Carries a crowd over this network, by two workers' queues in turn.
fn through(faults: Faults, via: &[Via], seed: u64) -> (Farm, WorkerSet<Faulty>) {
    let mut each = seed;
    let wire = |_| {
        each = each.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Faulty::with(4096, faults, each)
    };
    let mut set = WorkerSet::with(2, snapshot(), FLOWS, wire);
    let mut farm = crowd(via);
    let mut turn = 0;
    carry(&mut set, &mut farm, 20_000, || {
        turn += 1;
        turn % 2
    });
    assert_eq!(farm.errors, 0, "no ERROR reaches a client");
    for frame in set.left_to_kernel() {
        // The kernel routes: it may only be a server that was given up.
        assert!(!frame.bytes().is_empty());
        farm.foreign += 1;
    }
    (farm, set)
}

const SEEDS: std::ops::Range<u64> = 1..9;

#[test]
fn repetition_and_reordering_in_a_burst_cost_nothing() {
    let faults = Faults { repeated: 20, swapped: 30, ..Faults::default() };
    for seed in SEEDS {
        let (farm, set) = through(faults, &Via::SEEN, seed);
        assert_eq!(farm.foreign, 0);
        assert!(farm.told_off > 0, "a repeated request makes a second server process");
        assert!(set.counter_values().at("strays") > 0);
    }
}

#[test]
fn loss_delays_and_no_more() {
    let faults = Faults { lost: 8, ..Faults::default() };
    for seed in SEEDS {
        let (farm, _) = through(faults, &[Via::Snat, Via::Snat6, Via::Snat46, Via::Snat64], seed);
        assert_eq!(farm.foreign, 0);
    }
}

#[test]
fn in_dsr_too_all_arrives() {
    let faults = Faults { lost: 8, swapped: 10, ..Faults::default() };
    for seed in SEEDS {
        through(faults, &[Via::Dsr, Via::Dsr6], seed);
    }
}

#[test]
fn all_at_once_with_source_nat() {
    let faults = Faults { lost: 5, repeated: 5, swapped: 20, late: 0 };
    for seed in SEEDS {
        assert_eq!(
            through(faults, &[Via::Snat, Via::Snat6, Via::Snat46, Via::Snat64], seed).0.foreign,
            0
        );
    }
}

#[test]
fn loss_shows_a_client_no_other_server() {
    let faults = Faults { lost: 8, ..Faults::default() };
    for seed in SEEDS {
        assert_eq!(through(faults, &[Via::Nat, Via::Nat6], seed).0.foreign, 0);
    }
}

#[test]
fn late_packets_cost_nothing() {
    let faults = Faults { late: 10, repeated: 10, ..Faults::default() };
    for seed in SEEDS {
        assert_eq!(through(faults, &Via::SEEN, seed).0.foreign, 0);
    }
}

/// Failover without notice: half of the servers die, and their clients' downloads are whole all the same.
#[test]
fn downloads_outlive_their_servers_over_a_bad_network() {
    let faults = Faults { lost: 4, repeated: 4, swapped: 10, late: 0 };
    for seed in SEEDS {
        let mut each = seed;
        let wire = |_| {
            each = each.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            Faulty::with(4096, faults, each)
        };
        let mut set = WorkerSet::with(2, snapshot(), FLOWS, wire);
        let mut farm = Farm::default();
        for (m, via) in Via::SEEN.into_iter().enumerate() {
            for (n, size) in [40_000, 60_000, 61_440, 80_000].into_iter().enumerate() {
                let address = via.address([192, 168, m as u8, n as u8]);
                farm.get(SocketAddr::new(address, 2070), via.vip(), size);
            }
        }
        let mut turn = 0;
        let mut queue = || {
            turn += 1;
            turn % 2
        };
        for _ in 0..30 {
            pass(&mut set, &mut farm, &mut queue);
        }
        assert_eq!(farm.done(), 0, "they died too late");
        Via::SEEN.iter().for_each(|via| farm.kill(via.server(0)));
        carry(&mut set, &mut farm, 20_000, queue);
        assert_eq!(farm.errors, 0, "no ERROR reaches a client");
        let counter_values = set.counter_values();
        assert!(counter_values.at("resumed") > 0 && counter_values.at("lost") == 0);
        let ended = counter_values.at("ended")
            - counter_values.at("failed_over")
            - counter_values.at("unanswered");
        assert!(ended >= 24, "{ended}");
    }
}
