//! Frames that arrive at a worker that does not own them.

use engine::reason::Reason;
use kit::house::{House, Wire};
use kit::packet::Packet;
use kit::story::{CLIENT, ack, data, rrq};
use kit::world::{INSIDE, Via, gate_mac, owner, tables};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use worker::memory::MemoryPort;

/// The one of two workers that owns [`CLIENT`], and the other.
fn two() -> (usize, usize) {
    let right = usize::from(owner(CLIENT.ip(), 2));
    (right, 1 - right)
}

/// The client's request arrives at this worker; answers which server it reached.
fn asked(house: &mut House<MemoryPort>, worker: usize) -> IpAddr {
    house.arrive(worker, rrq(CLIENT, Via::Nat.vip(), "boot.img"));
    house.turn();
    house.turn();
    let [request] = &house.left()[..] else { panic!("one frame") };
    Packet::read(request).destination.ip()
}

#[test]
fn order_is_kept() {
    let (_, wrong) = two();
    let mut house = House::<MemoryPort>::new(2, tables());
    let server = SocketAddr::new(asked(&mut house, wrong), 5000);
    // Both sides have spoken.
    house.arrive(wrong, data(server, CLIENT, 1, 512));
    house.wait(2);
    house.arrive(wrong, ack(CLIENT, SocketAddr::new(Via::Nat.vip().ip(), 5000), 1));
    house.wait(2);
    house.left();
    // Several bursts, in the middle of one as well as over its end.
    for block in 1..=100 {
        house.arrive(wrong, data(server, CLIENT, block, 512));
    }
    for _ in 0..8 {
        house.turn();
    }
    let left = house.left();
    let blocks = left.iter().map(|frame| {
        let payload = Packet::read(frame).payload;
        u16::from_be_bytes([payload[2], payload[3]])
    });
    assert!(blocks.eq(1..=100));
    house.moved(&[
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
    let mut house = House::<MemoryPort>::new(2, tables());
    let address = asked(&mut house, wrong);
    let server = |port| SocketAddr::new(address, port);
    house.arrive(wrong, data(server(5000), CLIENT, 1, 512));
    house.wait(2);
    house.left();
    house.arrive(wrong, data(server(6000), CLIENT, 1, 512));
    house.wait(2);
    let inside = &house.wires[right][usize::from(INSIDE)];
    let told = Packet::read(&inside.leave().expect("a frame"));
    assert_eq!((told.to, told.destination), (kit::world::mac(address), server(6000)));
    assert_eq!(told.from, gate_mac(INSIDE));
    assert_eq!(house.ledger().at("answered"), 1);
}

#[test]
fn a_full_inbox_drops_and_counts() {
    let (right, wrong) = two();
    let mut house = House::<MemoryPort>::new(2, tables());
    let burst = 32;
    let bursts = 200;
    // The owner stands still: its inbox holds 128 batches.
    for _ in 0..bursts {
        for _ in 0..burst {
            house.arrive(wrong, ack(CLIENT, Via::Nat.vip(), 1));
        }
        house.workers[wrong].turn(house.now, Instant::now());
    }
    house.moved(&[
        ("received", burst * bursts),
        ("handed_over", 128 * burst),
        (Reason::HandOverFull.name(), (bursts - 128) * burst),
    ]);
    kit::ledger::balances(&house.desks[wrong].counters);
    for _ in 0..128 {
        house.workers[right].turn(house.now, Instant::now());
    }
    house.moved(&[("taken_over", 128 * burst), (Reason::NoTransfer.name(), 128 * burst)]);
    kit::ledger::balances(&house.desks[right].counters);
}

#[test]
fn a_worker_keeps_up_with_another_of_the_same_speed() {
    let (right, wrong) = two();
    let via = Via::Nat;
    let mut house = House::<MemoryPort>::new(2, tables());
    let server = SocketAddr::new(via.server(0), 5000);
    // Both ports are busy, and all of it arrives on one queue of each.
    for _ in 0..300 {
        for _ in 0..32 {
            house.arrive(wrong, ack(via.client(), via.vip(), 1));
            house.arrive(wrong, data(server, via.client(), 1, 64));
        }
        house.workers[wrong].turn(house.now, Instant::now());
        house.workers[right].turn(house.now, Instant::now());
        house.left_to_kernel();
    }
    assert_eq!(house.ledger().at(Reason::HandOverFull.name()), 0);
}
