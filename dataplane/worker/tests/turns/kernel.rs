//! The slow path: frames for the kernel and frames from it.

use engine::types::frame::Frame;
use etherparse::{Icmpv6Type, IpNumber};
use kit::packets::{CLIENT, arp, icmpv6, ip};
use kit::topology::{INSIDE, OUTSIDE, Via, gate_mac, snapshot};
use kit::worker_set::WorkerSet;
use worker::memory::{MemoryFrame, MemoryPool, MemoryPort};
use worker::port::Pool;

#[test]
fn frames_for_the_kernel_come_as_they_were_by_the_same_interface() {
    let mut set = WorkerSet::<MemoryPort>::new(2, snapshot());
    let question = arp(CLIENT.ip(), Via::Nat.host(0, 2));
    let inner = ip(Via::Nat.server(0), CLIENT.ip(), IpNumber::TCP, &[7; 20]);
    for worker in 0..2 {
        set.arrive(worker, question.clone());
        set.arrive(worker, inner.clone());
        set.turn();
        let rings = &set.kernel[worker];
        let [outside, inside] = [OUTSIDE, INSIDE].map(|id| &rings[usize::from(id)]);
        for (ring, frame) in [(&outside.urgent, &question), (&inside.to_kernel, &inner)] {
            assert_eq!(ring.pop().expect("a frame").bytes(), frame);
        }
        for ring in [outside, inside] {
            assert!(ring.urgent.is_empty() && ring.to_kernel.is_empty());
        }
    }
    set.moved(&[("received", 4), ("to_kernel", 4)]);
}

#[test]
fn frames_from_the_kernel_leave_by_the_same_interface() {
    let mut set = WorkerSet::<MemoryPort>::new(2, snapshot());
    for (worker, interface) in [(0, OUTSIDE), (1, INSIDE), (1, OUTSIDE)] {
        let frame = [&[0xff; 6], &gate_mac(interface).0[..], &[8, 6, worker as u8]].concat();
        let ring = &set.kernel[worker][usize::from(interface)].from_kernel;
        ring.push(MemoryPool.frame(&frame).expect("a buffer")).expect("room");
        set.turn();
        let sent = set.wires[worker][usize::from(interface)].wire_out.pop();
        assert_eq!(sent, Some(MemoryFrame::new(&frame)));
    }
    assert!(set.left().is_empty());
    set.moved(&[("from_kernel", 3), ("transmitted", 3)]);
}

#[test]
fn a_flood_from_the_kernel_does_not_hold_up_a_turn() {
    let mut set = WorkerSet::<MemoryPort>::new(1, snapshot());
    let ring = &set.kernel[0][0].from_kernel;
    while ring.push(MemoryFrame::new(&[0; 60])).is_ok() {}
    let all = ring.len() as u64;
    set.turn();
    let first = set.counter_values().at("transmitted");
    assert!(first > 0 && first < all, "{first} of {all}");
    set.wait(100);
    set.moved(&[("from_kernel", all), ("transmitted", all)]);
}

/// No redirect leaves, over either address family.
#[test]
fn the_kernel_s_redirects_do_not_leave() {
    let mut set = WorkerSet::<MemoryPort>::new(1, snapshot());
    let message = Icmpv6Type::Unknown { type_u8: 137, code_u8: 0, bytes5to8: [0; 4] };
    let [from, to] = [2, 9].map(|host| Via::Nat6.host(0, host));
    let over_v6 = icmpv6(from, to, message, 255, &[0; 32]);
    let [from, to] = [2, 9].map(|host| Via::Nat.host(0, host));
    let over_v4 = ip(from, to, IpNumber::ICMP, &[5, 1, 0, 0, 10, 0, 0, 9]);
    let error = ip(from, to, IpNumber::ICMP, &[3, 1, 0, 0, 0, 0, 0, 0]);
    let ring = &set.kernel[0][0].from_kernel;
    for frame in [&over_v4, &over_v6, &error] {
        ring.push(MemoryPool.frame(frame).expect("a buffer")).expect("room");
    }
    set.turn();
    let sent = set.wires[0][usize::from(OUTSIDE)].wire_out.pop();
    assert_eq!(sent, Some(MemoryFrame::new(&error)));
    assert!(set.left().is_empty());
    set.moved(&[("from_kernel", 3), ("redirect", 2), ("transmitted", 1)]);
}
