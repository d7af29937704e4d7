//! Requests that a backend leaves unanswered.

use engine::reason::Reason;
use engine::select::sticky::Persistence;
use engine::tables::Duty;
use engine::verdict::Verdict;
use kit::gate::Gate;
use kit::story::rrq;
use kit::talk::{Talk, ask};
use kit::world::{FLOWS, Via, tables};

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
