//! Backends with a limit of concurrent transfers.

use crate::pools::leave_ports;
use engine::scheduler::backend_group::Scheduler;
use engine::scheduler::persistence::Persistence;
use engine::scheduler::transfer_limit::{Places, TransferLimit};
use engine::snapshot::Snapshot;
use engine::types::drop_reason::DropReason;
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::rrq;
use kit::topology::{FLOWS, IDLE, Via, groups, owner, snapshot};
use kit::transfer::{Transfer, ask, client, run};
use std::net::SocketAddr;
use wire::ip::PROTOCOL_UDP;

const ALL: [Scheduler; 4] =
    [Scheduler::RoundRobin, Scheduler::LeastTransfers, Scheduler::SourceHash, Scheduler::FileHash];

/// The snapshot with these limits for a service's backends.
fn limited(via: Via, scheduler: Scheduler, most: [u32; 2]) -> Snapshot {
    let mut snapshot = snapshot();
    snapshot[via.group()] = groups(via, scheduler, [1, 1]);
    for (n, most) in most.into_iter().enumerate() {
        let cap = TransferLimit::new(most, Places::default());
        snapshot[via.backend(n)].cap = Some(cap);
    }
    snapshot
}

fn request(via: Via, n: u16) -> Packet {
    rrq(client(via, n), via.vip(), "boot.img")
}

fn taken(gate: &EngineHarness, via: Via) -> [u32; 2] {
    let cap = |n| gate.engine.snapshot[via.backend(n)].cap.clone();
    [0, 1].map(|n| cap(n).expect("a limit").taken())
}

#[test]
fn what_one_has_no_place_for_the_next_one_gets_and_what_none_has_is_dropped() {
    for via in Via::ALL {
        for scheduler in ALL {
            let mut gate = EngineHarness::with(limited(via, scheduler, [3, 2]), FLOWS);
            let talks: Vec<Transfer> =
                (0..5).map(|n| ask(&mut gate, via, &request(via, n))).collect();
            assert_eq!(taken(&gate, via), [3, 2], "{via:?} {scheduler:?}");
            gate.moves();
            gate.take(request(via, 9)).dropped(DropReason::BackendsFull);
            gate.moved(&[("received", 1), ("backends-full", 1)]);
            // The client repeats its request, and meanwhile a transfer has ended.
            let ended = talks[usize::from(scheduler == Scheduler::RoundRobin)];
            if !via.is_dsr() {
                let _ = gate.take(ended.data(1, 512)).sent();
            }
            let _ = gate.take(ended.client_error(0)).sent();
            let next = ask(&mut gate, via, &request(via, 9));
            assert_eq!(next.server.ip(), ended.server.ip(), "{via:?} {scheduler:?}");
            gate.take(request(via, 10)).dropped(DropReason::BackendsFull);
        }
    }
}

#[test]
fn a_request_that_is_repeated_counts_once() {
    for via in Via::ALL {
        let mut gate = EngineHarness::with(limited(via, Scheduler::RoundRobin, [1, 0]), FLOWS);
        for _ in 0..3 {
            ask(&mut gate, via, &request(via, 0));
            assert_eq!(taken(&gate, via), [1, 0]);
        }
        // Another request of the same endpoint replaces the earlier transfer.
        ask(&mut gate, via, &rrq(client(via, 0), via.vip(), "other"));
        assert_eq!(taken(&gate, via), [1, 0]);
        gate.take(request(via, 1)).dropped(DropReason::BackendsFull);
    }
}

#[test]
fn a_client_that_stays_with_its_backend_goes_elsewhere_when_that_is_full() {
    for via in Via::ALL {
        let mut snapshot = limited(via, Scheduler::RoundRobin, [1, 2]);
        snapshot[via.service()].persistence = Some(Persistence::of_clients(1000));
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        let mut server = |port| {
            let at = SocketAddr::new(via.client().ip(), port);
            ask(&mut gate, via, &rrq(at, via.vip(), "boot.img")).server.ip()
        };
        assert_eq!([1, 2, 3].map(&mut server), [0, 1, 1].map(|n| via.server(n)));
    }
}

/// Every end releases the transfer's room at once, even while its row is kept.
#[test]
fn every_end_gives_the_place_back() {
    let ends: [fn(&mut EngineHarness, Transfer); 6] = [
        // Completed.
        |gate, transfer| {
            let _ = gate.take(transfer.data(1, 10)).sent();
            let _ = gate.take(transfer.ack(1)).sent();
        },
        // A size probe, no such file, another error.
        |gate, transfer| {
            let _ = gate.take(transfer.data(1, 512)).sent();
            let _ = gate.take(transfer.client_error(8)).sent();
        },
        |gate, transfer| {
            let _ = gate.take(transfer.server_error(1)).sent();
        },
        |gate, transfer| {
            let _ = gate.take(transfer.server_error(3)).sent();
        },
        // Unanswered, and silent.
        |gate, _| gate.wait(IDLE),
        |gate, transfer| {
            let _ = gate.take(transfer.data(1, 512)).sent();
            gate.wait(IDLE);
        },
    ];
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(limited(via, Scheduler::RoundRobin, [1, 0]), FLOWS);
        for (n, end) in (0..).zip(ends) {
            let transfer = ask(&mut gate, via, &request(via, n));
            assert_eq!(taken(&gate, via), [1, 0]);
            end(&mut gate, transfer);
            assert_eq!(taken(&gate, via), [0, 0], "{via:?}: end {n}");
        }
    }
}

#[test]
fn a_request_that_comes_to_nothing_takes_no_place() {
    let via = Via::Snat;
    let mut gate = EngineHarness::with(limited(via, Scheduler::RoundRobin, [5, 5]), FLOWS);
    leave_ports(&mut gate, (via, PROTOCOL_UDP), via.client(), 0);
    gate.take(rrq(via.client(), via.vip(), "f")).dropped(DropReason::SnatPoolEmpty);
    assert_eq!(taken(&gate, via), [0, 0]);
    // A table full of running transfers.
    let via = Via::Nat;
    let most = [FLOWS; 2];
    let mut gate = EngineHarness::with(limited(via, Scheduler::RoundRobin, most), FLOWS);
    for n in 0..FLOWS as u16 {
        run(&mut gate, via, client(via, n));
    }
    gate.take(rrq(client(via, 1000), via.vip(), "f")).dropped(DropReason::FlowTableFull);
    assert_eq!(taken(&gate, via), [FLOWS / 2; 2]);
}

#[test]
fn workers_keep_to_one_limit_together() {
    const WORKERS: u16 = 2;
    for via in Via::ALL {
        for scheduler in ALL {
            let snapshot = limited(via, scheduler, [3, 4]);
            let mut gates: Vec<_> = (0..WORKERS)
                .map(|n| EngineHarness::one_of(n, WORKERS, snapshot.clone(), FLOWS))
                .collect();
            let mut of = |n: u16| {
                let worker = usize::from(owner(client(via, n).ip(), WORKERS));
                (worker, gates[worker].take(request(via, n)))
            };
            let mut asked = [0; 2];
            for n in 0..7 {
                let (worker, outcome) = of(n);
                let _ = outcome.sent();
                asked[worker] += 1;
            }
            assert!(asked.iter().all(|&n| n > 0), "{asked:?}");
            for n in 7..20 {
                of(n).1.dropped(DropReason::BackendsFull);
            }
            assert_eq!(taken(&gates[0], via), [3, 4], "{via:?} {scheduler:?}");
        }
    }
}

/// Control may set, change and remove a limit while transfers run.
#[test]
fn a_limit_that_comes_later_counts_what_is_there() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let set = |gate: &mut EngineHarness, most: Option<(u32, &Places)>| {
            let cap = most.map(|(most, places)| TransferLimit::new(most, places.clone()));
            gate.change(|snapshot| {
                snapshot[via.group()] = groups(via, Scheduler::RoundRobin, [1, 0]);
                snapshot[via.backend(0)].cap = cap;
            });
        };
        set(&mut gate, None);
        let first = ask(&mut gate, via, &request(via, 0));
        ask(&mut gate, via, &request(via, 1));
        let places = Places::default();
        set(&mut gate, Some((2, &places)));
        gate.take(request(via, 2)).dropped(DropReason::BackendsFull);
        set(&mut gate, Some((3, &places)));
        ask(&mut gate, via, &request(via, 2));
        // Below the current number.
        set(&mut gate, Some((1, &places)));
        gate.take(request(via, 3)).dropped(DropReason::BackendsFull);
        set(&mut gate, None);
        ask(&mut gate, via, &request(via, 3));
        if !via.is_dsr() {
            let _ = gate.take(first.data(1, 512)).sent();
        }
        let _ = gate.take(first.client_error(0)).sent();
        set(&mut gate, Some((4, &places)));
        ask(&mut gate, via, &request(via, 4));
        gate.take(request(via, 5)).dropped(DropReason::BackendsFull);
        assert_eq!(TransferLimit::new(4, places).taken(), 4, "{via:?}");
    }
}
