//! Interfaces that share a device, told apart by their VLANs.

use crate::fragments::parts;
use crate::transfers::crowd;
use etherparse::IpNumber;
use kit::farm::Farm;
use kit::fragments::Joiner;
use kit::packet::Packet;
use kit::packets::{CLIENT, arp, ip, rrq};
use kit::topology::{FLOWS, INSIDE, OUTSIDE, Via, gate_mac, snapshot};
use kit::worker_set::{ROOM, Wire, WorkerSet};
use wire::vlan::Vlans;
use worker::memory::{MemoryFrame, MemoryPort};
use worker::vlan_ports::VlanPort;

type Pair = [&'static [u16]; 2];

/// One device in one arm, its two interfaces in these VLANs.
fn set(workers: u16, vlans: Pair) -> WorkerSet<MemoryPort> {
    let vlan_ports = vlans.map(|ids| VlanPort { port: 0, vlans: Vlans::new(ids).unwrap() });
    WorkerSet::linked(workers, snapshot(), FLOWS, vlan_ports.into(), |_| MemoryPort::new(ROOM))
}

/// The frame as it is on the wire in these VLANs.
fn tagged(frame: &[u8], ids: &[u16]) -> Vec<u8> {
    let vlans = Vlans::new(ids).unwrap();
    let mut tags = vec![0; vlans.size()];
    vlans.write(&mut tags);
    [&frame[..12], &tags, &frame[12..]].concat()
}

/// The frame without its tags, which are these.
fn untagged(frame: &[u8], ids: &[u16]) -> Vec<u8> {
    let (vlans, size) = Vlans::of(frame);
    assert_eq!(vlans.ids(), ids);
    [&frame[..12], &frame[12 + size..]].concat()
}

/// All transfers of a crowd, over one cable; `frames` is how each packet comes.
fn carry(
    set: &mut WorkerSet<MemoryPort>,
    farm: &mut Farm,
    vlans: Pair,
    frames: fn(&Packet) -> Vec<Vec<u8>>,
) {
    let side = |mac: &[u8]| usize::from(mac == gate_mac(INSIDE).0);
    let (mut turn, mut number, mut joiner) = (0, 0, Joiner::default());
    for _ in 0..500 {
        let said = farm.says();
        for packet in farm.bypass(said) {
            number += 1;
            for frame in frames(&Packet { id: number, ..packet }) {
                turn = (turn + 1) % set.workers.len();
                set.wires[turn][0].arrive(&tagged(&frame, vlans[side(&frame[..6])]));
            }
        }
        for _ in 0..4 {
            set.turn();
        }
        set.wait(1);
        for frame in set.left() {
            let ids = vlans[side(&frame[6..12])];
            if let Some(whole) = joiner.take(untagged(&frame, ids)) {
                farm.hears(&whole);
            }
        }
        if farm.is_done() {
            return;
        }
    }
    panic!("the transfers are not through");
}

fn arrives_in_two_vlans(frames: fn(&Packet) -> Vec<Vec<u8>>) {
    for vlans in [[&[100][..], &[200]], [&[], &[200]], [&[7, 100], &[7, 200]], [&[100], &[5, 100]]]
    {
        for workers in [1, 2] {
            let mut set = set(workers, vlans);
            let mut farm = crowd(&Via::ALL);
            carry(&mut set, &mut farm, vlans, frames);
            assert_eq!((farm.foreign, farm.errors), (0, 0), "{vlans:?}");
            assert_eq!(set.counter_values().at("started"), 128);
            assert_eq!(set.counter_values().at("fragment"), 0);
        }
    }
}

#[test]
fn a_gate_with_one_arm_in_two_vlans() {
    arrives_in_two_vlans(|packet| vec![packet.bytes()]);
}

#[test]
fn fragments_come_in_vlans_too() {
    arrives_in_two_vlans(|packet| {
        let mut frames = parts(packet);
        frames.rotate_left(1);
        frames
    });
}

#[test]
fn frames_of_other_vlans_are_dropped() {
    let mut set = set(1, [&[100], &[7, 200]]);
    let request = rrq(CLIENT, Via::Snat.vip(), "f").bytes();
    for ids in [&[][..], &[200], &[7], &[100, 7], &[200, 7]] {
        set.wires[0][0].arrive(&tagged(&request, ids));
    }
    set.wires[0][0].arrive(&request[..13]);
    set.turn();
    set.moved(&[("received", 6), ("foreign-vlan", 6)]);
}

#[test]
fn a_mere_priority_is_untagged() {
    let mut set = set(1, [&[], &[200]]);
    let request = rrq(CLIENT, Via::Snat.vip(), "f").bytes();
    set.wires[0][0].arrive(&[&request[..12], &[0x81, 0, 0xe0, 0], &request[12..]].concat());
    set.turn();
    let [sent] = &set.left()[..] else { panic!("one frame") };
    assert_eq!(Vlans::of(sent), (Vlans::NONE, 0));
}

/// A priority tag: the kernel would ignore it, and might answer at a VIP.
#[test]
fn a_mere_priority_is_untagged_on_a_plain_interface_too() {
    let marked = |frame: &[u8]| [&frame[..12], &[0x81, 0, 0xe0, 0], &frame[12..]].concat();
    let mut set = WorkerSet::<MemoryPort>::new(1, snapshot());
    let request = rrq(CLIENT, Via::Snat.vip(), "f").bytes();
    set.wires[0][0].arrive(&marked(&marked(&request)));
    let ssh = ip(CLIENT.ip(), Via::Snat.vip().ip(), IpNumber::TCP, &[0; 20]);
    set.wires[0][0].arrive(&marked(&ssh));
    let question = arp(CLIENT.ip(), Via::Nat.host(0, 2));
    set.wires[0][0].arrive(&marked(&question));
    set.turn();
    set.moved(&[
        ("received", 3),
        ("transmitted", 1),
        ("bad-tcp", 1),
        ("to_kernel", 1),
        ("started", 1),
        ("packets_in", 1),
    ]);
    assert_eq!(set.left().len(), 1);
    assert_eq!(set.left_to_kernel(), [MemoryFrame::new(&question)]);
}

#[test]
fn the_kernel_sees_no_tags() {
    let mut set = set(1, [&[100], &[7, 200]]);
    let question = arp(CLIENT.ip(), Via::Nat.host(0, 2));
    for (interface, ids) in [(OUTSIDE, &[100][..]), (INSIDE, &[7, 200])] {
        let mut frame = question.clone();
        frame[..6].copy_from_slice(&[0xff; 6]);
        set.wires[0][0].arrive(&tagged(&frame, ids));
        set.turn();
        assert_eq!(set.left_to_kernel(), [MemoryFrame::new(&frame)]);
        let rings = &set.kernel[0][usize::from(interface)];
        rings.from_kernel.push(MemoryFrame::new(&question)).expect("room");
        set.turn();
        let [sent] = &set.left()[..] else { panic!("one frame") };
        assert_eq!(untagged(sent, ids), question);
    }
}

#[test]
fn a_plain_interface_leaves_tagged_frames_to_the_kernel() {
    let mut set = WorkerSet::<MemoryPort>::new(1, snapshot());
    let request = rrq(CLIENT, Via::Snat.vip(), "f").bytes();
    set.wires[0][0].arrive(&tagged(&request, &[100]));
    set.turn();
    assert_eq!(set.left_to_kernel(), [MemoryFrame::new(&tagged(&request, &[100]))]);
}
