//! A process is killed, and the next one goes on with its transfers.

use engine::flow::view::State;
use engine::own::adopt::Adopted;
use engine::select::cap::{Cap, Places};
use engine::tables::{Duty, Mode};
use engine::verdict::Verdict;
use kit::gate::Gate;
use kit::story::rrq;
use kit::talk::{Talk, ask, client, run};
use kit::world::{FLOWS, Via, tables};

fn adopted(whole: usize, broken: usize) -> Adopted {
    Adopted { whole, broken }
}

/// One more block and its end.
fn ends_well(gate: &mut Gate, talk: Talk) {
    let last = talk.data(2, 7);
    if !talk.via.is_dsr() {
        talk.client_gets(gate.take(last.clone()), &last.payload);
    }
    let _ = gate.take(talk.ack(2)).sent();
}

#[test]
fn running_transfers_go_on() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        let talks: Vec<_> = (0..10).map(|n| run(&mut gate, via, client(via, n))).collect();
        gate.wait(20);
        let mut gate = gate.reborn(tables());
        assert_eq!(gate.adopted, adopted(10, 0));
        gate.moved(&[("started", 10), ("inherited", 10)]);
        for &talk in &talks {
            ends_well(&mut gate, talk);
        }
        let moves = gate.moves();
        if !via.is_dsr() {
            assert_eq!((moves.get("completed"), moves.get("ended")), (Some(&10), Some(&10)));
        }
        gate.wait(1000);
        assert!(gate.transfers().is_empty(), "they end in time");
    }
}

#[test]
fn what_they_have_nobody_else_gets() {
    for via in [Via::Snat, Via::Snat6, Via::Snat46, Via::Snat64] {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, client(via, 1));
        let mut gate = gate.reborn(tables());
        let other = run(&mut gate, via, client(via, 2));
        assert_ne!(other.seen_as, talk.seen_as);
        ends_well(&mut gate, talk);
        ends_well(&mut gate, other);
    }
}

#[test]
fn a_request_that_waits_stays_where_it_is() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        let request = rrq(client(via, 1), via.vip(), "boot.img");
        let _ = run(&mut gate, via, client(via, 9));
        let asked = ask(&mut gate, via, &request);
        let mut gate = gate.reborn(tables());
        gate.wait(10);
        let again = ask(&mut gate, via, &request);
        assert_eq!((again.server, again.seen_as), (asked.server, asked.seen_as));
        assert_eq!(gate.moves().get("retransmitted"), Some(&1));
    }
}

#[test]
fn ended_ones_linger_and_are_not_counted() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        ends_well(&mut gate, talk);
        let mut gate = gate.reborn(tables());
        assert_eq!(gate.transfer(via.client()).state, State::Completed);
        gate.moved(&[]);
        // The server has not heard the last ACK.
        let again = talk.data(2, 7);
        talk.client_gets(gate.take(again.clone()), &again.payload);
        gate.wait(100);
        assert!(gate.transfers().is_empty());
    }
}

#[test]
fn places_at_backends_are_taken_as_before() {
    let via = Via::Nat;
    let mut gate = Gate::new();
    let talk = run(&mut gate, via, client(via, 1));
    let mut limited = tables();
    let places = Places::default();
    let backend = usize::from(gate.transfer(talk.client).backend);
    limited.backends[backend].cap = Some(Cap::new(1, places.clone()));
    let mut gate = gate.reborn(limited);
    for n in 2..6 {
        let other = ask(&mut gate, via, &rrq(client(via, n), via.vip(), "boot.img"));
        assert_ne!(other.server, talk.server, "it is full");
    }
    ends_well(&mut gate, talk);
    assert!(Cap::new(1, places).has_room());
}

#[test]
fn what_does_not_fit_the_configuration_is_given_up() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        let _ = run(&mut gate, via, client(via, 1));
        let other = if via.is_dsr() { Mode::Nat } else { Mode::Dsr };
        let mut changed = tables();
        changed.services[usize::from(via.service())].mode = other;
        let mut gate = gate.reborn(changed);
        assert_eq!(gate.adopted, adopted(0, 1));
        gate.moved(&[]);
        assert!(gate.transfers().is_empty());

        let mut gate = Gate::new();
        let _ = run(&mut gate, via, client(via, 1));
        let mut fewer = tables();
        fewer.backends.truncate(usize::from(via.backend(0)));
        fewer.addresses = Default::default();
        assert_eq!(gate.reborn(fewer).adopted, adopted(0, 1));
        gate = Gate::with(tables(), FLOWS);
        assert_eq!(gate.adopted, adopted(0, 0));
    }
}

/// It dies while another server catches up with a dead one's transfer.
#[test]
fn a_rescue_goes_on_too() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let dead = usize::from(gate.transfer(talk.client).backend);
        gate.change(|tables| tables.backends[dead].duty = Duty::Down);
        gate.wait(1);
        assert_eq!(gate.take(talk.ack(1)).verdict, Verdict::Absorb);
        let mut gate = gate.reborn(tables());
        let (_, request) = gate.core.speak(gate.now).expect("it asks again");
        assert!(request.ends_with(&rrq(talk.client, talk.vip, "boot.img").payload));
    }
}
