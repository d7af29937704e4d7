//! Queues without room: drop and count, never wait.

use engine::frame::Frame;
use engine::reason::Reason;
use kit::house::House;
use kit::story::{CLIENT, arp, ping, rrq};
use kit::world::{FLOWS, Via, tables};
use std::net::SocketAddr;
use worker::memory::MemoryPort;

#[test]
fn what_the_device_does_not_take_is_dropped() {
    let mut house = House::<MemoryPort>::with(1, tables(), FLOWS, |_| MemoryPort::new(40));
    let vip = Via::Dsr.vip();
    let client = |n| SocketAddr::new(CLIENT.ip(), 2000 + n);
    for n in 0..30 {
        house.arrive(0, rrq(client(n), vip, "f"));
    }
    house.turn();
    for n in 0..10 {
        house.arrive(0, ping(CLIENT.ip(), vip.ip(), n, 1, b""));
        house.arrive(0, rrq(client(100 + n), vip, "f"));
    }
    house.turn();
    // 30 and then 10 of 20: the rest found the queue full, in order.
    assert_eq!(house.left().len(), 40);
    house.moved(&[
        ("received", 50),
        ("transmitted", 35),
        ("answered", 5),
        (Reason::TransmitFull.name(), 10),
        ("started", 40),
        ("packets_in", 40),
    ]);
    house.arrive(0, rrq(client(200), vip, "f"));
    house.turn();
    assert_eq!(house.ledger().at(Reason::TransmitFull.name()), 10, "there is room again");
}

#[test]
fn bytes_are_those_of_frames_that_came_and_went() {
    let mut house = House::<MemoryPort>::with(1, tables(), FLOWS, |_| MemoryPort::new(1));
    let frame = rrq(CLIENT, Via::Dsr.vip(), "f").padded().bytes();
    for _ in 0..2 {
        house.arrive(0, frame.clone());
        house.turn();
    }
    let packets = &house.desks[0].counters.packets;
    assert_eq!(packets.bytes_received.value(), 2 * 60);
    assert_eq!(packets.bytes_transmitted.value(), 60, "the other one did not go");
}

#[test]
fn a_flood_for_the_kernel_fills_its_ring_and_no_more() {
    let mut house = House::<MemoryPort>::new(1, tables());
    let frames = 1500;
    for n in 0..frames {
        house.arrive(0, ping(CLIENT.ip(), Via::Nat.station(0, 2), 1, n as u16, b""));
    }
    let question = arp(CLIENT.ip(), Via::Nat.station(0, 2));
    house.arrive(0, question.clone());
    house.arrive(0, rrq(CLIENT, Via::Nat.vip(), "f"));
    house.wait(50);
    assert_eq!(house.left().len(), 1, "the request behind the flood");
    let left = house.left_to_kernel();
    assert_eq!(left[0].bytes(), question, "what is urgent comes first");
    let to_kernel = left.len() as u64;
    let frames = frames + 1;
    house.moved(&[
        ("received", frames + 1),
        ("to_kernel", to_kernel),
        (Reason::KernelFull.name(), frames - to_kernel),
        ("transmitted", 1),
        ("started", 1),
        ("packets_in", 1),
    ]);
    assert!(to_kernel < frames);
}
