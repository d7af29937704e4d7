//! Who would be chosen, before anybody is.

use engine::select::cap::{Cap, Places};
use engine::select::look::Look;
use engine::select::rota::Scheduler;
use engine::select::sticky::Persistence;
use engine::tables::{BackendId, Duty, Tables};
use kit::gate::Gate;
use kit::story::rrq;
use kit::talk::{ask, client};
use kit::world::{FLOWS, Via, rotas, tables};
use std::net::IpAddr;

fn gate(via: Via, scheduler: Scheduler, change: impl FnOnce(&mut Tables)) -> Gate {
    let mut tables = tables();
    tables.rotas[usize::from(via.service())] = rotas(via, scheduler, [2, 1]);
    change(&mut tables);
    Gate::with(tables, FLOWS)
}

fn look(gate: &Gate, via: Via, client: IpAddr) -> Look {
    let mut question = Look::new(client, via.service());
    gate.core.look(&mut question, gate.now);
    question
}

fn server_of(gate: &Gate, backend: Option<BackendId>) -> Option<IpAddr> {
    backend.map(|id| gate.core.tables.backends[usize::from(id)].address)
}

#[test]
fn it_is_who_is_chosen_next() {
    for scheduler in [Scheduler::RoundRobin, Scheduler::LeastTransfers, Scheduler::SourceHash] {
        for via in Via::ALL {
            let mut gate = gate(via, scheduler, |_| {});
            for n in 0..20 {
                let at = client(via, n);
                let seen = look(&gate, via, at.ip());
                assert_eq!(look(&gate, via, at.ip()), seen, "nothing moves by it");
                assert_eq!((seen.turn, seen.remembered), (seen.chosen, None));
                let server = ask(&mut gate, via, &rrq(at, via.vip(), "f")).server.ip();
                assert_eq!(server_of(&gate, seen.chosen), Some(server), "{via:?} {scheduler:?}");
            }
        }
    }
}

#[test]
fn what_is_remembered_comes_first() {
    for via in Via::ALL {
        let mut gate = gate(via, Scheduler::RoundRobin, |tables| {
            let service = &mut tables.services[usize::from(via.service())];
            service.persistence = Some(Persistence::of_clients(100));
        });
        let at = client(via, 0);
        let first = look(&gate, via, at.ip()).chosen;
        ask(&mut gate, via, &rrq(at, via.vip(), "f"));
        let again = look(&gate, via, at.ip());
        assert_eq!((again.remembered, again.chosen), (first, first));
        let id = first.expect("a backend");
        gate.change(|tables| tables.backends[usize::from(id)].duty = Duty::Down);
        let other = look(&gate, via, at.ip());
        assert_eq!(other.remembered, first);
        assert!(other.chosen.is_some_and(|chosen| chosen != id), "{other:?}");
    }
}

#[test]
fn whose_turn_it_is_is_seen_whatever_speaks_against_it() {
    for via in Via::ALL {
        let [first, second] = [0, 1].map(|n| via.backend(n));
        let mut gate = gate(via, Scheduler::RoundRobin, |tables| {
            let cap = Cap::new(0, Places::default());
            tables.backends[usize::from(first)].cap = Some(cap);
        });
        let at = client(via, 0).ip();
        let seen = look(&gate, via, at);
        assert_eq!((seen.turn, seen.chosen), (Some(first), Some(second)));
        gate.change(|tables| tables.backends[usize::from(second)].duty = Duty::Ejected);
        assert_eq!(look(&gate, via, at).chosen, Some(second), "better than none");
        gate.change(|tables| tables.backends[usize::from(second)].hop = None);
        assert_eq!(look(&gate, via, at).chosen, None);
        let cap = |gate: &Gate| gate.core.tables.backends[usize::from(first)].cap.clone();
        assert_eq!(cap(&gate).map(|cap| cap.taken()), Some(0), "no place is taken");
    }
}
