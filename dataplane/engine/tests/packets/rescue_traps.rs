//! Where a rescue could do harm.

use crate::rescue::{
    HAD, absorbed, asks_again, catches_up, die, download, goes_on, other, said, says, taken_over,
};
use engine::flow::view::State;
use engine::select::maglev::Maglevs;
use engine::select::rota::{Member, Rota, Scheduler};
use engine::tables::{BackendId, Duty, Owner, Rotas};
use engine::verdict::Verdict;
use kit::gate::Gate;
use kit::notice::{REFUSED, about};
use kit::packet::Packet;
use kit::story::{ack, data, oack, rrq, rrq_with, wrq};
use kit::talk::{Talk, ask, run};
use kit::world::{FLOWS, INSIDE, OUTSIDE, Via, origins, tables};
use std::net::SocketAddr;

/// A reload gave the only server another name, and so a number.
#[test]
fn a_server_does_not_go_on_in_its_own_place() {
    let via = Via::Nat;
    let mut world = tables();
    let again = world.backends[usize::from(via.backend(0))].clone();
    let new = world.backends.len() as BackendId;
    world.backends.push(again);
    let mut gate = Gate::with(world, FLOWS);
    let first = download(&mut gate, via);
    gate.change(|tables| {
        tables.backends[usize::from(via.backend(0))].duty = Duty::Draining;
        let members = vec![Member { id: new, address: via.server(0), weight: 1 }];
        let rota = Rota::new(Scheduler::RoundRobin, members, &mut Maglevs::default());
        tables.rotas[usize::from(via.service())] = Rotas::from([rota, Rota::default()]);
    });
    for _ in 0..3 {
        gate.wait(30);
        first.server_gets(gate.take(first.ack(HAD)), &first.ack(HAD).payload);
    }
    goes_on(&mut gate, first, first, HAD + 1..=HAD + 2);
}

/// Nobody downloads anything for a client that has gone; and a late packet of its does not begin that again.
#[test]
fn a_client_that_gives_up_is_let_go() {
    for via in Via::SEEN {
        let (mut gate, first, next) = taken_over(via);
        absorbed(&mut gate, first.client_error(0));
        gate.wait(15);
        assert_eq!(said(&mut gate), []);
        next.server_is_told_off(gate.take(next.data(1, 512)));
        let (old, new) = (usize::from(via.backend(0)), usize::from(via.backend(1)));
        gate.change(|tables| {
            tables.backends[old].duty = Duty::Serving;
            tables.backends[new].duty = Duty::Down;
        });
        absorbed(&mut gate, first.ack(HAD));
        assert_eq!(said(&mut gate), []);
        gate.wait(100);
        assert!(gate.transfers().is_empty());
    }
}

#[test]
fn a_request_that_gets_lost_comes_again_however_often_the_client_speaks() {
    for every in [3, 5, 9, 10, 11] {
        let (mut gate, first, next) = taken_over(Via::Nat);
        gate.wait(every);
        absorbed(&mut gate, first.ack(HAD));
        asks_again(&mut gate, next);
    }
}

/// The server waits for the ACK of the client's block, though the window is already on its way.
#[test]
fn the_rest_of_a_window_does_not_swallow_an_ack() {
    let via = Via::Nat;
    let options = [("blksize", 1024), ("windowsize", 4)];
    let mut gate = Gate::new();
    let request = rrq_with(via.client(), via.vip(), "boot.img", &options);
    let first = ask(&mut gate, via, &request);
    let _ = gate.take(oack(first.server, first.seen_as, &options)).sent();
    let _ = gate.take(first.ack(0)).sent();
    (1..=6).for_each(|block| drop(gate.take(first.data(block, 1024)).sent()));
    let _ = gate.take(first.ack(4)).sent();
    let _ = gate.take(first.ack(6)).sent();
    die(&mut gate, first);
    absorbed(&mut gate, first.ack(6));
    let next = other(first);
    assert_eq!(said(&mut gate).len(), 1);
    absorbed(&mut gate, oack(next.server, next.seen_as, &options));
    says(&mut gate, next.server, next.seen_as, &[0, 4, 0, 0]);
    (1..=4).for_each(|block| absorbed(&mut gate, next.data(block, 1024)));
    says(&mut gate, next.server, next.seen_as, &[0, 4, 0, 4]);
    (5..=8).for_each(|block| absorbed(&mut gate, next.data(block, 1024)));
    says(&mut gate, next.server, next.seen_as, &[0, 4, 0, 6]);
    let block = next.data(7, 1024);
    first.client_gets(gate.take(block.clone()), &block.payload);
}

#[test]
fn two_that_are_ejected_don_t_throw_transfers_at_each_other() {
    let via = Via::Nat;
    let mut gate = Gate::new();
    let _ = download(&mut gate, via);
    gate.moves();
    gate.change(|tables| {
        for n in [0, 1] {
            tables.backends[usize::from(via.backend(n))].duty = Duty::Ejected;
        }
    });
    gate.wait(100);
    assert_eq!(said(&mut gate), []);
    gate.moved(&[]);
}

/// All is there: nobody needs to go on.
#[test]
fn the_last_ack_ends_it_also_when_another_server_was_asked() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let first = download(&mut gate, via);
        let _ = gate.take(first.data(HAD + 1, 100)).sent();
        die(&mut gate, first);
        gate.wait(5);
        asks_again(&mut gate, other(first));
        absorbed(&mut gate, first.ack(HAD + 1));
        assert_eq!(gate.transfer(via.client()).state, State::Completed);
        let moves = gate.moves();
        assert_eq!((moves.get("completed"), moves.get("lost")), (Some(&1), None));
        other(first).server_is_told_off(gate.take(other(first).data(1, 512)));
    }
}

#[test]
fn the_other_server_may_answer_from_an_alias() {
    let via = Via::Nat;
    let mut gate = Gate::new();
    let alias = via.address([10, 1, 0, 77]);
    gate.change(|tables| {
        let other = &mut tables.backends[usize::from(via.backend(1))];
        other.aliases = vec![alias];
        let server = other.server;
        tables.addresses.insert(alias, Owner::Routed(server));
        origins(tables, via.backend(1), &[alias, via.server(1)]);
    });
    let first = download(&mut gate, via);
    die(&mut gate, first);
    absorbed(&mut gate, first.ack(HAD));
    asks_again(&mut gate, other(first));
    let next = Talk { server: SocketAddr::new(alias, 40_000), ..first };
    absorbed(&mut gate, next.data(1, 512));
    let (_, frame) = gate.core.speak(gate.now).expect("it is acknowledged");
    assert_eq!(Packet::read(&frame).destination, next.server);
}

/// Row 9 of what clients do.
#[test]
fn a_client_that_never_leaves_port_69() {
    for via in Via::SEEN {
        let (mut gate, first, next) = taken_over(via);
        absorbed(&mut gate, ack(first.client, first.vip, HAD));
        said(&mut gate);
        catches_up(&mut gate, next, 1..=HAD);
        goes_on(&mut gate, first, next, HAD + 1..=HAD + 2);
    }
}

/// The sorcerer's apprentice (RFC 1123 §4.2.3.1).
#[test]
fn what_comes_four_times_is_acknowledged_once() {
    let (mut gate, _, next) = taken_over(Via::Nat);
    (0..4).for_each(|_| absorbed(&mut gate, next.data(1, 512)));
    assert_eq!(said(&mut gate).len(), 1);
}

/// It was ejected, but it works.
#[test]
fn an_upload_to_an_ejected_server_goes_on() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = ask(&mut gate, via, &wrq(via.client(), via.vip(), "crash.log"));
        let _ = gate.take(talk.says(&[0, 4, 0, 0])).sent();
        let block = |n| data(talk.client, talk.vip_tid(), n, 512);
        let _ = gate.take(block(1)).sent();
        let backend = usize::from(gate.transfer(via.client()).backend);
        gate.change(|tables| tables.backends[backend].duty = Duty::Ejected);
        gate.wait(10);
        let _ = gate.take(block(1)).sent();
        assert_eq!(said(&mut gate), []);
    }
}

/// The server that was left wakes up when its client asks it for something else.
#[test]
fn the_process_that_was_left_is_not_taken_for_the_next_one() {
    let via = Via::Nat;
    let (mut gate, first, next) = taken_over(via);
    catches_up(&mut gate, next, 1..=HAD);
    let _ = gate.take(next.data(HAD + 1, 7)).sent();
    let _ = gate.take(first.ack(HAD + 1)).sent();
    gate.change(|tables| {
        tables.backends[usize::from(via.backend(0))].duty = Duty::Serving;
        tables.backends[usize::from(via.backend(1))].duty = Duty::Draining;
    });
    let second = ask(&mut gate, via, &rrq(via.client(), via.vip(), "other.img"));
    assert_eq!(second.server.ip(), first.server.ip());
    first.server_is_told_off(gate.take(first.data(HAD + 1, 512)));
    let second = second.with_tid(51_000);
    second.client_gets(gate.take(second.data(1, 512)), &second.data(1, 512).payload);
}

/// Another server, or somebody among the clients who takes its address.
#[test]
fn only_a_transfer_s_own_server_can_say_that_it_is_dead() {
    let via = Via::Nat;
    let mut gate = Gate::new();
    let first = download(&mut gate, via);
    let up = gate.take(first.ack(HAD)).sent();
    let what = REFUSED[0];
    for (by, interface) in [(via.server(1), INSIDE), (via.server(0), OUTSIDE)] {
        let outcome = gate.take_by(interface, about(&up, by, what, 0, 48));
        assert_ne!(outcome.verdict, Verdict::Absorb, "{by}");
        assert_eq!(said(&mut gate), []);
    }
    assert_eq!(gate.moves().get("unreachable"), None);
}

/// Neither repetitions of what was answered, nor closed ports of what has ended.
#[test]
fn what_is_no_fault_of_a_server_does_not_count() {
    let via = Via::Nat;
    let mut gate = Gate::new();
    let request = rrq(via.client(), via.vip(), "boot.img");
    let talk = ask(&mut gate, via, &request);
    let _ = gate.take(talk.data(1, 100)).sent();
    let _ = gate.take(&request).sent();
    let up = gate.take(talk.ack(1)).sent();
    let _ = gate.take(about(&up, talk.server.ip(), REFUSED[0], 0, 48));
    let moves = gate.moves();
    assert_eq!((moves.get("ignored"), moves.get("unreachable")), (None, None));
    let _ = run(&mut gate, via, via.client());
}
