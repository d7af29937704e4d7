//! Failover of requests that a backend leaves unanswered.

use engine::scheduler::backend_group::Scheduler;
use engine::scheduler::persistence::Persistence;
use engine::snapshot::BackendState;
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::packets::rrq;
use kit::topology::{FLOWS, Via, groups, snapshot};
use kit::transfer::{Transfer, ask, client, run};
use std::net::SocketAddr;

/// Ticks between a client's repetitions.
const RETRY: u32 = 10;

fn repeat(gate: &mut EngineHarness, transfer: Transfer) -> Transfer {
    gate.wait(RETRY);
    ask(gate, transfer.via, &rrq(transfer.client, transfer.vip, "boot.img"))
}

fn first(gate: &mut EngineHarness, via: Via) -> Transfer {
    ask(gate, via, &rrq(via.client(), via.vip(), "boot.img"))
}

#[test]
fn a_request_left_unanswered_goes_elsewhere_at_its_second_repetition() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let silent = first(&mut gate, via);
        assert_eq!(repeat(&mut gate, silent).server, silent.server);
        gate.moves();
        let other = repeat(&mut gate, silent);
        assert_ne!(other.server, silent.server);
        gate.moved(&[
            ("received", 1),
            ("transmitted", 1),
            ("retransmitted", 1),
            ("ignored", 1),
            ("unanswered", 1),
            ("asked_elsewhere", 1),
            ("ended", 1),
            ("started", 1),
            ("packets_in", 1),
        ]);
        if via.is_dsr() {
            continue;
        }
        // The first backend answers too late.
        let late = gate.take(silent.data(1, 512));
        assert!(matches!(late.verdict, Verdict::Answer | Verdict::Drop(_)), "{late:?}");
        other.client_gets(gate.take(other.data(1, 512)), &other.data(1, 512).payload);
        let late = gate.take(silent.data(1, 512));
        assert!(matches!(late.verdict, Verdict::Answer | Verdict::Drop(_)), "{late:?}");
        other.server_gets(gate.take(other.ack(1)), &other.ack(1).payload);
        assert_eq!(gate.transfer(via.client()).backend, via.backend(1));
    }
}

#[test]
fn a_suspected_backend_gets_one_chance_less_and_one_that_is_down_none() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let silent = first(&mut gate, via);
        let backend = via.backend(0);
        gate.change(|snapshot| snapshot[backend].state = BackendState::Suspect);
        assert_ne!(repeat(&mut gate, silent).server, silent.server);

        let mut gate = EngineHarness::new();
        let silent = first(&mut gate, via);
        gate.change(|snapshot| snapshot[backend].state = BackendState::Down);
        let at_once = ask(&mut gate, via, &rrq(silent.client, silent.vip, "boot.img"));
        assert_ne!(at_once.server, silent.server);
    }
}

#[test]
fn what_is_said_several_times_at_once_stays_where_it_is() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let once = first(&mut gate, via);
        for _ in 0..5 {
            assert_eq!(first(&mut gate, via).server, once.server);
        }
    }
}

#[test]
fn the_only_backend_is_asked_for_ever() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let silent = first(&mut gate, via);
        let other = via.backend(1);
        gate.change(|snapshot| snapshot[other].state = BackendState::Draining);
        for _ in 0..5 {
            assert_eq!(repeat(&mut gate, silent).server, silent.server);
        }
        let only = via.backend(0);
        gate.change(|snapshot| snapshot[only].hop = None);
        let request = rrq(silent.client, silent.vip, "boot.img");
        gate.take(request).dropped(DropReason::NoBackend);
    }
}

#[test]
fn the_client_stays_with_the_one_that_answered() {
    for via in Via::ALL {
        let mut snapshot = snapshot();
        snapshot[via.service()].persistence = Some(Persistence::of_clients(1000));
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        let silent = first(&mut gate, via);
        let _ = repeat(&mut gate, silent);
        let other = repeat(&mut gate, silent);
        let next = ask(&mut gate, via, &rrq(via.client(), via.vip(), "next"));
        assert_eq!(next.server, other.server);
        assert_ne!(next.server, silent.server);
    }
}

/// Silences counted against the first backend since the last call.
fn silences(gate: &mut EngineHarness) -> u64 {
    gate.moves().get("silences").copied().unwrap_or_default()
}

/// A client that the first backend ignores, and that goes to the other one with its second repetition.
fn left_alone(gate: &mut EngineHarness, via: Via, client: SocketAddr) -> Transfer {
    let request = rrq(client, via.vip(), "boot.img");
    gate.change(|snapshot| {
        snapshot[via.group()] = groups(via, Scheduler::RoundRobin, [1, 0]);
    });
    let first = ask(gate, via, &request);
    assert_eq!(first.server.ip(), via.server(0));
    gate.change(|snapshot| {
        snapshot[via.group()] = groups(via, Scheduler::RoundRobin, [1, 1]);
    });
    (0..2).fold(first, |_, _| {
        gate.wait(RETRY);
        ask(gate, via, &request)
    })
}

/// A spoofing client does not hear the other backend.
#[test]
fn silence_counts_when_the_client_is_heard_and_not_before() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let other = left_alone(&mut gate, via, via.client());
        assert_eq!(other.server.ip(), via.server(1), "{via:?}");
        assert_eq!(silences(&mut gate), 0, "{via:?}");
        if !via.is_dsr() {
            let _ = gate.take(other.data(1, 512)).sent();
            assert_eq!(silences(&mut gate), 0, "{via:?}");
        }
        let _ = gate.take(other.ack(1)).sent();
        assert_eq!(silences(&mut gate), 1, "{via:?}");
        let _ = gate.take(other.ack(2)).sent();
        assert_eq!(silences(&mut gate), 0, "{via:?}");
        let backend = &gate.engine.state.counters.backend(via.backend(0));
        assert_eq!(backend.silences.value(), 1, "{via:?}");
    }
}

#[test]
fn one_client_counts_once_a_minute_whatever_its_port() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let count = |gate: &mut EngineHarness, client: SocketAddr| {
            let transfer = left_alone(gate, via, client);
            if !via.is_dsr() {
                let _ = gate.take(transfer.data(1, 512)).sent();
            }
            let _ = gate.take(transfer.ack(1)).sent();
            silences(gate)
        };
        let at = |port| SocketAddr::new(via.client().ip(), port);
        assert_eq!([3000, 3001, 3002].map(|port| count(&mut gate, at(port))), [1, 0, 0]);
        // An IPv6 /64 network counts once.
        assert_eq!(count(&mut gate, client(via, 1)), u64::from(!via.is_v6()), "{via:?}");
        gate.wait(600);
        assert_eq!(count(&mut gate, at(3003)), 1, "{via:?}");
    }
}

/// One client's silent downloads do not count repeatedly either.
#[test]
fn a_client_that_plays_dead_counts_once() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        gate.change(|snapshot| {
            snapshot[via.group()] = groups(via, Scheduler::RoundRobin, [1, 1]);
        });
        for port in 3000..3006 {
            let transfer = run(&mut gate, via, SocketAddr::new(via.client().ip(), port));
            for _ in 0..6 {
                gate.wait(RETRY);
                let _ = gate.take(transfer.ack(1));
            }
            assert_eq!(gate.moves().get("failed_over"), Some(&1), "{via:?}");
        }
        for n in [0, 1] {
            let backend = &gate.engine.state.counters.backend(via.backend(n));
            assert!(backend.silences.value() <= 1, "{via:?}");
        }
    }
}
