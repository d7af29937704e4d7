//! Requests that a backend leaves unanswered.

use engine::reason::Reason;
use engine::select::rota::Scheduler;
use engine::select::sticky::Persistence;
use engine::tables::Duty;
use engine::verdict::Verdict;
use kit::gate::Gate;
use kit::story::rrq;
use kit::talk::{Talk, ask, client, run};
use kit::world::{FLOWS, Via, rotas, tables};
use std::net::SocketAddr;

/// Ticks between a client's repetitions.
const RETRY: u32 = 10;

fn repeat(gate: &mut Gate, talk: Talk) -> Talk {
    gate.wait(RETRY);
    ask(gate, talk.via, &rrq(talk.client, talk.vip, "boot.img"))
}

fn first(gate: &mut Gate, via: Via) -> Talk {
    ask(gate, via, &rrq(via.client(), via.vip(), "boot.img"))
}

#[test]
fn a_request_left_unanswered_goes_elsewhere_at_its_second_repetition() {
    for via in Via::ALL {
        let mut gate = Gate::new();
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
        // The first one wakes up: too late.
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
        let mut gate = Gate::new();
        let silent = first(&mut gate, via);
        let backend = usize::from(via.backend(0));
        gate.change(|tables| tables.backends[backend].duty = Duty::Suspected);
        assert_ne!(repeat(&mut gate, silent).server, silent.server);

        let mut gate = Gate::new();
        let silent = first(&mut gate, via);
        gate.change(|tables| tables.backends[backend].duty = Duty::Down);
        let at_once = ask(&mut gate, via, &rrq(silent.client, silent.vip, "boot.img"));
        assert_ne!(at_once.server, silent.server);
    }
}

#[test]
fn what_is_said_several_times_at_once_stays_where_it_is() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        let once = first(&mut gate, via);
        for _ in 0..5 {
            assert_eq!(first(&mut gate, via).server, once.server);
        }
    }
}

#[test]
fn the_only_backend_is_asked_for_ever() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        let silent = first(&mut gate, via);
        let other = usize::from(via.backend(1));
        gate.change(|tables| tables.backends[other].duty = Duty::Draining);
        for _ in 0..5 {
            assert_eq!(repeat(&mut gate, silent).server, silent.server);
        }
        let only = usize::from(via.backend(0));
        gate.change(|tables| tables.backends[only].hop = None);
        let request = rrq(silent.client, silent.vip, "boot.img");
        gate.take(request).dropped(Reason::NoBackend);
    }
}

#[test]
fn the_client_stays_with_the_one_that_answered() {
    for via in Via::ALL {
        let mut tables = tables();
        tables.services[usize::from(via.service())].persistence =
            Some(Persistence::of_clients(1000));
        let mut gate = Gate::with(tables, FLOWS);
        let silent = first(&mut gate, via);
        let _ = repeat(&mut gate, silent);
        let other = repeat(&mut gate, silent);
        let next = ask(&mut gate, via, &rrq(via.client(), via.vip(), "next"));
        assert_eq!(next.server, other.server);
        assert_ne!(next.server, silent.server);
    }
}

/// What counts against the first backend since the last look.
fn silences(gate: &mut Gate) -> u64 {
    gate.moves().get("silences").copied().unwrap_or_default()
}

/// A client that the first backend leaves alone, and that goes elsewhere with its second repetition.
fn left_alone(gate: &mut Gate, via: Via, client: SocketAddr) -> Talk {
    let request = rrq(client, via.vip(), "boot.img");
    gate.change(|tables| {
        let service = usize::from(via.service());
        tables.rotas[service] = rotas(via, Scheduler::RoundRobin, [1, 0]);
    });
    let first = ask(gate, via, &request);
    assert_eq!(first.server.ip(), via.server(0));
    gate.change(|tables| {
        let service = usize::from(via.service());
        tables.rotas[service] = rotas(via, Scheduler::RoundRobin, [1, 1]);
    });
    (0..2).fold(first, |_, _| {
        gate.wait(RETRY);
        ask(gate, via, &request)
    })
}

/// Whoever asks in others' names does not hear what the other backend says to them.
#[test]
fn silence_counts_when_the_client_is_heard_and_not_before() {
    for via in Via::ALL {
        let mut gate = Gate::new();
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
        let backend = &gate.core.own.counters.backends[usize::from(via.backend(0))];
        assert_eq!(backend.silences.value(), 1, "{via:?}");
    }
}

#[test]
fn one_client_counts_once_a_minute_whatever_its_port() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        let count = |gate: &mut Gate, client: SocketAddr| {
            let talk = left_alone(gate, via, client);
            if !via.is_dsr() {
                let _ = gate.take(talk.data(1, 512)).sent();
            }
            let _ = gate.take(talk.ack(1)).sent();
            silences(gate)
        };
        let at = |port| SocketAddr::new(via.client().ip(), port);
        assert_eq!([3000, 3001, 3002].map(|port| count(&mut gate, at(port))), [1, 0, 0]);
        // Of IPv6 a network of 64 bits is one.
        assert_eq!(count(&mut gate, client(via, 1)), u64::from(!via.is_v6()), "{via:?}");
        gate.wait(600);
        assert_eq!(count(&mut gate, at(3003)), 1, "{via:?}");
    }
}

/// Nor do downloads that one client has go on elsewhere, by keeping silent itself.
#[test]
fn a_client_that_plays_dead_counts_once() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        gate.change(|tables| {
            let service = usize::from(via.service());
            tables.rotas[service] = rotas(via, Scheduler::RoundRobin, [1, 1]);
        });
        for port in 3000..3006 {
            let talk = run(&mut gate, via, SocketAddr::new(via.client().ip(), port));
            for _ in 0..6 {
                gate.wait(RETRY);
                let _ = gate.take(talk.ack(1));
            }
            assert_eq!(gate.moves().get("failed_over"), Some(&1), "{via:?}");
        }
        for n in [0, 1] {
            let backend = &gate.core.own.counters.backends[usize::from(via.backend(n))];
            assert!(backend.silences.value() <= 1, "{via:?}");
        }
    }
}
