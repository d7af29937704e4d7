//! Frames that arrive at a worker that does not own them.

use engine::types::drop_reason::DropReason;
use kit::packet::Packet;
use kit::packets::{CLIENT, ack, data, rrq};
use kit::topology::{INSIDE, Via, gate_mac, owner, snapshot};
use kit::worker_set::{Wire, WorkerSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use worker::memory::MemoryPort;

/// The one of two workers that owns [`CLIENT`], and the other.
fn two() -> (usize, usize) {
    let right = usize::from(owner(CLIENT.ip(), 2));
    (right, 1 - right)
}

/// Has the client's request arrive at this worker; returns the server that it reached.
fn asked(set: &mut WorkerSet<MemoryPort>, worker: usize) -> IpAddr {
    set.arrive(worker, rrq(CLIENT, Via::Nat.vip(), "boot.img"));
    set.turn();
    set.turn();
    let [request] = &set.left()[..] else { panic!("one frame") };
    Packet::read(request).destination.ip()
}

#[test]
fn order_is_kept() {
    let (_, wrong) = two();
    let mut set = WorkerSet::<MemoryPort>::new(2, snapshot());
    let server = SocketAddr::new(asked(&mut set, wrong), 5000);
    // Both sides have spoken.
    set.arrive(wrong, data(server, CLIENT, 1, 512));
    set.wait(2);
    set.arrive(wrong, ack(CLIENT, SocketAddr::new(Via::Nat.vip().ip(), 5000), 1));
    set.wait(2);
    set.left();
    // Several bursts, in the middle of one as well as over its end.
    for block in 1..=100 {
        set.arrive(wrong, data(server, CLIENT, block, 512));
    }
    for _ in 0..8 {
        set.turn();
    }
    let left = set.left();
    let blocks = left.iter().map(|frame| {
        let payload = Packet::read(frame).payload;
        u16::from_be_bytes([payload[2], payload[3]])
    });
    assert!(blocks.eq(1..=100));
    set.moved(&[
        ("received", 103),
        ("handed_over", 103),
        ("taken_over", 103),
        ("transmitted", 103),
        ("started", 1),
        ("packets_in", 2),
        ("packets_out", 101),
        ("responded", 1),
    ]);
}

#[test]
fn an_answer_leaves_by_the_interface_that_its_cause_came_in_by() {
    let (right, wrong) = two();
    let mut set = WorkerSet::<MemoryPort>::new(2, snapshot());
    let address = asked(&mut set, wrong);
    let server = |port| SocketAddr::new(address, port);
    set.arrive(wrong, data(server(5000), CLIENT, 1, 512));
    set.wait(2);
    set.left();
    set.arrive(wrong, data(server(6000), CLIENT, 1, 512));
    set.wait(2);
    let inside = &set.wires[right][usize::from(INSIDE)];
    let told = Packet::read(&inside.leave().expect("a frame"));
    assert_eq!((told.to, told.destination), (kit::topology::mac(address), server(6000)));
    assert_eq!(told.from, gate_mac(INSIDE));
    assert_eq!(set.counter_values().at("answered"), 1);
}

#[test]
fn a_full_inbox_drops_and_counts() {
    let (right, wrong) = two();
    let mut set = WorkerSet::<MemoryPort>::new(2, snapshot());
    let burst = 32;
    let bursts = 200;
    // The owner stands still: its inbox holds 128 batches.
    for _ in 0..bursts {
        for _ in 0..burst {
            set.arrive(wrong, ack(CLIENT, Via::Nat.vip(), 1));
        }
        set.workers[wrong].turn(set.now, Instant::now());
    }
    set.moved(&[
        ("received", burst * bursts),
        ("handed_over", 128 * burst),
        (DropReason::HandOverFull.name(), (bursts - 128) * burst),
    ]);
    kit::counters::balances(&set.channels[wrong].counters);
    for _ in 0..128 {
        set.workers[right].turn(set.now, Instant::now());
    }
    set.moved(&[("taken_over", 128 * burst), (DropReason::NoTransfer.name(), 128 * burst)]);
    kit::counters::balances(&set.channels[right].counters);
}

#[test]
fn a_worker_keeps_up_with_another_of_the_same_speed() {
    let (right, wrong) = two();
    let via = Via::Nat;
    let mut set = WorkerSet::<MemoryPort>::new(2, snapshot());
    let server = SocketAddr::new(via.server(0), 5000);
    // Both ports are busy, and all of it arrives on one queue of each.
    for _ in 0..300 {
        for _ in 0..32 {
            set.arrive(wrong, ack(via.client(), via.vip(), 1));
            set.arrive(wrong, data(server, via.client(), 1, 64));
        }
        set.workers[wrong].turn(set.now, Instant::now());
        set.workers[right].turn(set.now, Instant::now());
        set.left_to_kernel();
    }
    assert_eq!(set.counter_values().at(DropReason::HandOverFull.name()), 0);
}
