//! Queues without room: drop and count, never wait.

use engine::types::drop_reason::DropReason;
use engine::types::frame::Frame;
use kit::packets::{CLIENT, arp, ping, rrq};
use kit::topology::{FLOWS, Via, snapshot};
use kit::worker_set::WorkerSet;
use std::net::SocketAddr;
use worker::memory::MemoryPort;

#[test]
fn what_the_device_does_not_take_is_dropped() {
    let mut set = WorkerSet::<MemoryPort>::with(1, snapshot(), FLOWS, |_| MemoryPort::new(40));
    let vip = Via::Dsr.vip();
    let client = |n| SocketAddr::new(CLIENT.ip(), 2000 + n);
    for n in 0..30 {
        set.arrive(0, rrq(client(n), vip, "f"));
    }
    set.turn();
    for n in 0..10 {
        set.arrive(0, ping(CLIENT.ip(), vip.ip(), n, 1, b""));
        set.arrive(0, rrq(client(100 + n), vip, "f"));
    }
    set.turn();
    // 30 and then 10 of 20: the rest found the queue full, in order.
    assert_eq!(set.left().len(), 40);
    set.moved(&[
        ("received", 50),
        ("transmitted", 35),
        ("answered", 5),
        (DropReason::TransmitFull.name(), 10),
        ("started", 40),
        ("packets_in", 40),
    ]);
    set.arrive(0, rrq(client(200), vip, "f"));
    set.turn();
    assert_eq!(set.counter_values().at(DropReason::TransmitFull.name()), 10, "there is room again");
}

#[test]
fn bytes_are_those_of_frames_that_came_and_went() {
    let mut set = WorkerSet::<MemoryPort>::with(1, snapshot(), FLOWS, |_| MemoryPort::new(1));
    let frame = rrq(CLIENT, Via::Dsr.vip(), "f").padded().bytes();
    for _ in 0..2 {
        set.arrive(0, frame.clone());
        set.turn();
    }
    let packets = &set.channels[0].counters.packets;
    assert_eq!(packets.bytes_received.value(), 2 * 60);
    assert_eq!(packets.bytes_transmitted.value(), 60, "the other one did not go");
}

#[test]
fn a_flood_for_the_kernel_fills_its_ring_and_no_more() {
    let mut set = WorkerSet::<MemoryPort>::new(1, snapshot());
    let frames = 1500;
    for n in 0..frames {
        set.arrive(0, ping(CLIENT.ip(), Via::Nat.host(0, 2), 1, n as u16, b""));
    }
    let question = arp(CLIENT.ip(), Via::Nat.host(0, 2));
    set.arrive(0, question.clone());
    set.arrive(0, rrq(CLIENT, Via::Nat.vip(), "f"));
    set.wait(50);
    assert_eq!(set.left().len(), 1, "the request behind the flood");
    let left = set.left_to_kernel();
    assert_eq!(left[0].bytes(), question, "what is urgent comes first");
    let to_kernel = left.len() as u64;
    let frames = frames + 1;
    set.moved(&[
        ("received", frames + 1),
        ("to_kernel", to_kernel),
        (DropReason::KernelFull.name(), frames - to_kernel),
        ("transmitted", 1),
        ("started", 1),
        ("packets_in", 1),
    ]);
    assert!(to_kernel < frames);
}
