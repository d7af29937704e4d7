//! Differential test: the same frames twice must give the same output. Compared are one worker and three; with and
//! without a reload of the same configuration before each frame; with and without a restart.
//!
//! Documented exceptions are left out. Between workers: SNAT ports, as each worker has its own, and identifications of
//! datagrams. After a restart: the order of SNAT ports, held fragments, and inspected FTP connections.
#![no_main]

use engine::scheduler::backend_group::Scheduler;
use engine::snapshot::{Protocol, Snapshot};
use kit::connections::add;
use kit::engine_harness::EngineHarness;
use kit::topology::{self, Via};
use kit::worker_set::WorkerSet;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use traces::rows::ROWS;
use traces::script::{Arrival, decode};
use wire::ethernet;
use worker::command_channel::{Command, Reply};
use worker::memory::MemoryPort;

/// Rows for all clients of a script: workers evict independently of each other.
const PLACES: u32 = 512;
/// Most ticks between two frames.
const MOST_TICKS: u16 = 700;
/// Turns until a frame has been handed over, held and released.
const TURNS: usize = 4;

fuzz_target!(|script: &[u8]| {
    let Some((&how, script)) = script.split_first() else { return };
    match how % 3 {
        0 => through_three_workers(script),
        1 => through_reloads(script),
        _ => through_a_restart(script, how.into()),
    }
});

fn through_three_workers(script: &[u8]) {
    let mut one = WorkerSet::with(1, without_pools(ROWS[0].snapshot(Via::Nat)), PLACES, wire);
    let mut three = WorkerSet::with(3, without_pools(ROWS[0].snapshot(Via::Nat)), PLACES, wire);
    for arrival in decode(script) {
        let queue = usize::from(arrival.queue % 3);
        let alone = leaves(&mut one, 0, &arrival).map(without_number);
        let together = leaves(&mut three, queue, &arrival).map(without_number);
        assert_eq!(sorted(alone), sorted(together));
    }
}

fn through_reloads(script: &[u8]) {
    let snapshot = ROWS[0].snapshot(Via::Nat);
    // Own snapshots: workers with a common snapshot share the SNAT ports.
    let mut plain = WorkerSet::with(1, ROWS[0].snapshot(Via::Nat), PLACES, wire);
    let mut reloaded = WorkerSet::with(1, snapshot.clone(), PLACES, wire);
    for arrival in decode(script) {
        let command = Command::Snapshot(Arc::new(snapshot.clone()));
        assert!(reloaded.channels[0].commands.push(command).is_ok(), "a message a turn");
        assert!(
            leaves(&mut plain, 0, &arrival).eq(leaves(&mut reloaded, 0, &arrival)),
            "a reload that says nothing changes nothing"
        );
        assert!(matches!(reloaded.channels[0].replies.pop(), Some(Reply::Snapshot(_))));
    }
}

fn through_a_restart(script: &[u8], at: usize) {
    let snapshot = || {
        let mut snapshot = topology::snapshot();
        add(&mut snapshot, Protocol::Tcp, 22, [1, 0]);
        for (via, groups) in Via::ALL.into_iter().zip(&mut snapshot.groups) {
            // By a source hash, dsr adopts flows, but not in a worker's first second.
            let (scheduler, weights) = match via.is_dsr() {
                true => (Scheduler::RoundRobin, [1, 0]),
                false => (Scheduler::SourceHash, [1, 1]),
            };
            *groups = topology::groups(via, scheduler, weights);
        }
        without_pools(snapshot)
    };
    let mut lives = EngineHarness::with(snapshot(), PLACES);
    let mut dies = EngineHarness::with(snapshot(), PLACES);
    for (n, arrival) in decode(script).filter(|arrival| !is_part(arrival.frame)).enumerate() {
        if n == at / 3 {
            dies = dies.reborn(snapshot());
        }
        let [alive, again] = [&mut lives, &mut dies].map(|gate| {
            gate.now = gate.now.after(u32::from(arrival.ticks % MOST_TICKS));
            gate.wait(1);
            let outcome = gate.take(arrival.frame);
            (outcome.verdict, without_number(outcome.bytes))
        });
        assert_eq!(alive, again);
    }
}

fn wire(_: engine::types::id::InterfaceId) -> MemoryPort {
    MemoryPort::new(64)
}

/// Frames that leave after this one, also to the kernel.
fn leaves(
    set: &mut WorkerSet<MemoryPort>,
    queue: usize,
    arrival: &Arrival,
) -> impl Iterator<Item = Vec<u8>> {
    use engine::types::frame::Frame;
    set.skip((arrival.ticks % MOST_TICKS).into());
    set.arrive(queue, arrival.frame);
    (0..TURNS).for_each(|_| set.turn());
    let for_the_kernel = set.left_to_kernel().into_iter().map(|frame| frame.bytes().to_vec());
    set.left().into_iter().chain(for_the_kernel.collect::<Vec<_>>())
}

fn sorted(frames: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut frames: Vec<_> = frames.collect();
    frames.sort();
    frames
}

/// The snapshot without services that have a SNAT pool.
fn without_pools(mut snapshot: Snapshot) -> Snapshot {
    for via in Via::ALL.into_iter().filter(|via| via.is_snat()) {
        snapshot.set_live(via.vip_id(), false);
    }
    snapshot
}

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ETHERNET: usize = size_of::<ethernet::Ethernet>();

/// The frame without IPv4 identification and header checksum.
fn without_number(mut frame: Vec<u8>) -> Vec<u8> {
    if frame.get(12..14) == Some(&IPV4) && frame.len() >= ETHERNET + 20 {
        frame[ETHERNET + 4..ETHERNET + 6].fill(0);
        frame[ETHERNET + 10..ETHERNET + 12].fill(0);
    }
    frame
}

/// Whether the frame may hold a fragment.
fn is_part(frame: &[u8]) -> bool {
    let fragment = frame.get(ETHERNET + 6..ETHERNET + 8).unwrap_or_default();
    match frame.get(12..14) {
        Some(ether_type) if ether_type == IPV4 => fragment != [0, 0] && fragment != [0x40, 0],
        // Also behind other extension headers.
        Some(ether_type) if ether_type == IPV6 => {
            fragment.first().is_some_and(|&next| next != 17 && next != 6)
        }
        Some(_) | None => false,
    }
}
