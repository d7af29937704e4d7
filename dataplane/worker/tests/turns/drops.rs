//! The last dropped frames, as control asks for them.

use engine::net::rss::owner;
use engine::types::drop_reason::DropReason;
use engine::types::id::InterfaceId;
use kit::packets::{CLIENT, arp, ping, rrq};
use kit::topology::{FLOWS, INSIDE, OUTSIDE, Via, gate_mac, snapshot};
use kit::worker_set::{Wire, WorkerSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use wire::vlan::Vlans;
use worker::command_channel::{Command, Query, Reply};
use worker::drop_history::{DropQuery, KEPT};
use worker::memory::MemoryPort;
use worker::vlan_ports::VlanPort;

/// Interface and frame of what a worker has dropped for this reason.
fn kept(
    set: &mut WorkerSet<MemoryPort>,
    worker: usize,
    reason: DropReason,
) -> Vec<(Option<InterfaceId>, Vec<u8>)> {
    let query = DropQuery { reason, frames: Vec::with_capacity(KEPT) };
    let query = Command::Query(Query::Drops(Box::new(query)));
    set.channels[worker].commands.push(query).expect("room");
    set.turn();
    match set.channels[worker].replies.pop() {
        Some(Reply::Query(Query::Drops(query))) => {
            query.frames.iter().map(|one| (one.interface, one.bytes.to_vec())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn dropped_frames_are_kept_with_their_interface() {
    let mut set = WorkerSet::<MemoryPort>::new(1, snapshot());
    let mut no_message = rrq(CLIENT, Via::Nat.vip(), "f").bytes();
    no_message[43] = 9;
    let short = [&gate_mac(INSIDE).0[..], &[4; 4]].concat();
    set.arrive(0, rrq(CLIENT, Via::Nat.vip(), "f"));
    set.arrive(0, no_message.clone());
    set.arrive(0, short.clone());
    set.turn();
    assert_eq!(kept(&mut set, 0, DropReason::BadTftp), [(Some(OUTSIDE), no_message)]);
    assert_eq!(kept(&mut set, 0, DropReason::Truncated), [(Some(INSIDE), short)]);
    assert!(kept(&mut set, 0, DropReason::NoTransfer).is_empty());
}

#[test]
fn frames_without_room_are_kept_too() {
    let mut set = WorkerSet::<MemoryPort>::with(1, snapshot(), FLOWS, |_| MemoryPort::new(1));
    for n in 0..3 {
        set.arrive(0, rrq(CLIENT, Via::Dsr.vip(), &format!("f{n}")));
        set.turn();
    }
    let lost = kept(&mut set, 0, DropReason::TransmitFull);
    assert_eq!(lost.len() as u64, set.counter_values().at("transmit-full"));
    assert!(!lost.is_empty() && lost.iter().all(|(interface, _)| *interface == Some(OUTSIDE)));
    let mut set = WorkerSet::<MemoryPort>::new(1, snapshot());
    for n in 0..1500 {
        set.arrive(0, ping(CLIENT.ip(), Via::Nat.host(0, 2), 1, n, b""));
    }
    set.wait(50);
    let lost = kept(&mut set, 0, DropReason::KernelFull);
    assert!(set.counter_values().at("kernel-full") > KEPT as u64);
    let last = ping(CLIENT.ip(), Via::Nat.host(0, 2), 1, 1499, b"");
    assert_eq!((lost.len(), lost.last()), (KEPT, Some(&(Some(OUTSIDE), last))));
}

#[test]
fn frames_that_no_worker_takes_over_are_kept() {
    let mut set = WorkerSet::<MemoryPort>::new(2, snapshot());
    let client = |n| SocketAddr::from(([192, 168, 0, n], 2070));
    let of_other = |client: &SocketAddr| match client.ip() {
        IpAddr::V4(ip) => owner(ip, 2) == 1,
        IpAddr::V6(_) => false,
    };
    let foreign: Vec<_> = (0..64).map(client).filter(of_other).collect();
    // Worker 1 has stalled.
    let (counters, now) = (Arc::clone(&set.channels[0].counters), set.now);
    while counters.drops.of(DropReason::HandOverFull).value() == 0 {
        foreign.iter().for_each(|&client| set.arrive(0, rrq(client, Via::Nat.vip(), "f")));
        set.workers[0].turn(now, Instant::now());
    }
    let lost = kept(&mut set, 0, DropReason::HandOverFull);
    assert!(!lost.is_empty() && lost.iter().all(|(interface, _)| *interface == Some(OUTSIDE)));
}

#[test]
fn a_frame_in_foreign_vlans_has_no_interface() {
    let vlan_ports = [[10], [20]].map(|ids| VlanPort { port: 0, vlans: Vlans::new(&ids).unwrap() });
    let mut set = WorkerSet::<MemoryPort>::linked(1, snapshot(), FLOWS, vlan_ports.into(), |_| {
        MemoryPort::new(8)
    });
    let frame = arp(CLIENT.ip(), Via::Nat.host(0, 2));
    set.wires[0][0].arrive(&frame);
    set.turn();
    assert_eq!(kept(&mut set, 0, DropReason::ForeignVlan), [(None, frame)]);
}
