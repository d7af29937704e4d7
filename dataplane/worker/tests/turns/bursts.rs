//! The number of frames that a turn receives, and the order in which they leave.

use engine::types::frame::BURST;
use kit::packets::{CLIENT, arp, rrq};
use kit::topology::{FLOWS, Via, snapshot};
use kit::worker_set::WorkerSet;
use std::net::SocketAddr;
use worker::memory::MemoryPort;

const REQUESTS: u16 = 5 * BURST as u16;

fn set() -> WorkerSet<MemoryPort> {
    WorkerSet::with(1, snapshot(), FLOWS, |_| MemoryPort::new(1024))
}

fn client(n: u16) -> SocketAddr {
    SocketAddr::new(CLIENT.ip(), 2000 + n)
}

fn request(set: &WorkerSet<MemoryPort>, n: u16) {
    set.arrive(0, rrq(client(n), Via::Dsr.vip(), "f"));
}

/// The clients whose requests left, by number.
fn left(set: &WorkerSet<MemoryPort>) -> Vec<u16> {
    const SOURCE_PORT: usize = 34;
    let number = |frame: &Vec<u8>| u16::from_be_bytes([frame[SOURCE_PORT], frame[SOURCE_PORT + 1]]);
    set.left().iter().map(|frame| number(frame) - 2000).collect()
}

#[test]
fn a_busy_device_gets_four_bursts_a_turn() {
    let mut set = set();
    (0..REQUESTS).for_each(|n| request(&set, n));
    set.turn();
    assert_eq!(left(&set), (0..4 * BURST as u16).collect::<Vec<_>>());
    set.turn();
    assert_eq!(left(&set), (4 * BURST as u16..REQUESTS).collect::<Vec<_>>());
}

#[test]
fn what_waits_from_a_mixed_burst_leaves_before_the_next_one() {
    let mut set = set();
    for n in 0..REQUESTS / 2 {
        if n == 5 {
            set.arrive(0, arp(CLIENT.ip(), Via::Nat.host(0, 2)));
        }
        request(&set, n);
    }
    set.turn();
    assert_eq!(left(&set), (0..REQUESTS / 2).collect::<Vec<_>>());
    assert_eq!(set.left_to_kernel().len(), 1);
}
