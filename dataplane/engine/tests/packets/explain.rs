//! Selection traces: the backend that would be chosen.

use engine::scheduler::backend_group::Scheduler;
use engine::scheduler::persistence::Persistence;
use engine::scheduler::transfer_limit::{Places, TransferLimit};
use engine::snapshot::{BackendState, Snapshot};
use engine::state::explain::SelectionTrace;
use engine::types::id::BackendId;
use kit::engine_harness::EngineHarness;
use kit::packets::rrq;
use kit::topology::{FLOWS, Via, groups, snapshot};
use kit::transfer::{ask, client};
use std::net::IpAddr;

fn gate(via: Via, scheduler: Scheduler, change: impl FnOnce(&mut Snapshot)) -> EngineHarness {
    let mut snapshot = snapshot();
    snapshot[via.group()] = groups(via, scheduler, [2, 1]);
    change(&mut snapshot);
    EngineHarness::with(snapshot, FLOWS)
}

fn look(gate: &EngineHarness, via: Via, client: IpAddr) -> SelectionTrace {
    let mut question = SelectionTrace::new(client, via.service());
    gate.engine.explain(&mut question, gate.now);
    question
}

fn server_of(gate: &EngineHarness, backend: Option<BackendId>) -> Option<IpAddr> {
    backend.map(|id| gate.engine.snapshot[id].address)
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
        let mut gate = gate(via, Scheduler::RoundRobin, |snapshot| {
            let service = &mut snapshot[via.service()];
            service.persistence = Some(Persistence::of_clients(100));
        });
        let at = client(via, 0);
        let first = look(&gate, via, at.ip()).chosen;
        ask(&mut gate, via, &rrq(at, via.vip(), "f"));
        let again = look(&gate, via, at.ip());
        assert_eq!((again.remembered, again.chosen), (first, first));
        let id = first.expect("a backend");
        gate.change(|snapshot| snapshot[id].state = BackendState::Down);
        let other = look(&gate, via, at.ip());
        assert_eq!(other.remembered, first);
        assert!(other.chosen.is_some_and(|chosen| chosen != id), "{other:?}");
    }
}

#[test]
fn whose_turn_it_is_is_seen_whatever_speaks_against_it() {
    for via in Via::ALL {
        let [first, second] = [0, 1].map(|n| via.backend(n));
        let mut gate = gate(via, Scheduler::RoundRobin, |snapshot| {
            let cap = TransferLimit::new(0, Places::default());
            snapshot[first].cap = Some(cap);
        });
        let at = client(via, 0).ip();
        let seen = look(&gate, via, at);
        assert_eq!((seen.turn, seen.chosen), (Some(first), Some(second)));
        gate.change(|snapshot| snapshot[second].state = BackendState::Ejected);
        assert_eq!(look(&gate, via, at).chosen, Some(second), "better than none");
        gate.change(|snapshot| snapshot[second].hop = None);
        assert_eq!(look(&gate, via, at).chosen, None);
        let cap = |gate: &EngineHarness| gate.engine.snapshot[first].cap.clone();
        assert_eq!(cap(&gate).map(|cap| cap.taken()), Some(0), "no place is taken");
    }
}
