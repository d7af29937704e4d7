//! Slow start: the share of returning backends grows.

use engine::scheduler::backend_group::Scheduler;
use engine::scheduler::slow_start::SlowStart;
use engine::types::tick::Tick;
use kit::engine_harness::EngineHarness;
use kit::packets::rrq;
use kit::topology::{FLOWS, Via, groups, hop, snapshot};
use kit::transfer::{ask, client};
use std::ops::Range;

const LENGTH: u32 = 300;
/// The harness's start time.
const START: Tick = Tick(1000);

/// The first of the two backends comes back at the start.
fn gate(via: Via, scheduler: Scheduler) -> EngineHarness {
    let mut snapshot = snapshot();
    snapshot[via.group()] = groups(via, scheduler, [1, 1]);
    let back = &mut snapshot[via.backend(0)];
    back.slow_start = Some(SlowStart { since: START, ticks: LENGTH });
    EngineHarness::with(snapshot, FLOWS)
}

/// Number of requests by these clients, for different files, that the first backend gets.
fn first_gets(gate: &mut EngineHarness, via: Via, clients: Range<u16>) -> usize {
    let request = |n| rrq(client(via, n), via.vip(), &format!("{n}.img"));
    let servers = clients.map(|n| ask(gate, via, &request(n)).server.ip());
    servers.filter(|&server| server == via.server(0)).count()
}

#[test]
fn a_share_grows_from_little_to_the_whole() {
    for scheduler in [Scheduler::RoundRobin, Scheduler::SourceHash, Scheduler::FileHash] {
        for via in Via::ALL {
            let mut gate = gate(via, scheduler);
            let mut after = |ticks, first| {
                gate.now = START.after(ticks);
                first_gets(&mut gate, via, first..first + 400)
            };
            let (cold, half, warm) = (after(0, 0), after(LENGTH / 2, 400), after(LENGTH, 800));
            let all = format!("{via:?} {scheduler:?}: {cold}, {half}, {warm} of 400");
            assert!(cold <= 10, "{all}");
            // Round robin gives a third, since a skipped backend has its next turn sooner; hashes give a quarter.
            let due = if scheduler == Scheduler::RoundRobin { 133 } else { 100 };
            assert!((due - 30..due + 30).contains(&half), "{all}");
            assert!((165..=235).contains(&warm), "{all}");
        }
    }
}

#[test]
fn the_fewest_transfers_for_what_the_weight_is_meanwhile() {
    for via in Via::ALL {
        let mut gate = gate(via, Scheduler::LeastTransfers);
        gate.now = START.after(LENGTH / 2 - 1);
        assert_eq!(first_gets(&mut gate, via, 0..60), 20, "{via:?}");
    }
}

#[test]
fn whoever_is_left_alone_gets_everything() {
    for scheduler in [
        Scheduler::RoundRobin,
        Scheduler::LeastTransfers,
        Scheduler::SourceHash,
        Scheduler::FileHash,
    ] {
        for via in Via::ALL {
            let mut gate = gate(via, scheduler);
            let second = via.backend(1);
            gate.change(|snapshot| snapshot[second].hop = None);
            assert_eq!(first_gets(&mut gate, via, 0..20), 20, "{via:?} {scheduler:?}");
            gate.change(|snapshot| snapshot[second].hop = Some(hop(via.server(1))));
            assert!(first_gets(&mut gate, via, 20..40) < 20, "{via:?} {scheduler:?}");
        }
    }
}

/// With the same hash, all workers and gates choose alike at the same moment.
#[test]
fn a_client_s_choice_is_the_same_in_the_same_moment() {
    for via in Via::ALL {
        let choices = || {
            let mut gate = gate(via, Scheduler::SourceHash);
            gate.now = START.after(LENGTH / 2);
            let request = |n| rrq(client(via, n), via.vip(), "boot.img");
            let server = |n| ask(&mut gate, via, &request(n)).server.ip();
            (0..40).map(server).collect::<Vec<_>>()
        };
        assert_eq!(choices(), choices());
    }
}
