//! Situations in which failover could do harm.

use crate::download_failover::{
    HAD, absorbed, asks_again, catches_up, die, download, goes_on, other, said, says, taken_over,
};
use engine::flow::state::TransferState;
use engine::net::address_map::Owner;
use engine::scheduler::backend_group::{BackendGroup, Scheduler};
use engine::scheduler::maglev::Maglevs;
use engine::scheduler::member::Member;
use engine::snapshot::BackendState;
use engine::snapshot::service::BackendGroups;
use engine::types::id::BackendId;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::icmp_error::{REFUSED, about};
use kit::packet::Packet;
use kit::packets::{ack, data, oack, rrq, rrq_with, wrq};
use kit::topology::{FLOWS, INSIDE, OUTSIDE, Via, origins, snapshot};
use kit::transfer::{Transfer, ask, run};
use std::net::SocketAddr;

/// A reload renamed the only server, which so got another id.
#[test]
fn a_server_does_not_go_on_in_its_own_place() {
    let via = Via::Nat;
    let mut world = snapshot();
    let again = world[via.backend(0)].clone();
    let new = BackendId(world.backends.len() as u16);
    world.backends.push(again);
    let mut gate = EngineHarness::with(world, FLOWS);
    let first = download(&mut gate, via);
    gate.change(|snapshot| {
        snapshot[via.backend(0)].state = BackendState::Draining;
        let members = vec![Member { id: new, address: via.server(0), weight: 1 }];
        let group = BackendGroup::new(Scheduler::RoundRobin, members, &mut Maglevs::default());
        snapshot[via.group()] = BackendGroups::from([group, BackendGroup::default()]);
    });
    for _ in 0..3 {
        gate.wait(30);
        first.server_gets(gate.take(first.ack(HAD)), &first.ack(HAD).payload);
    }
    goes_on(&mut gate, first, first, HAD + 1..=HAD + 2);
}

/// A client that has left gets no download, and a late packet does not start it again.
#[test]
fn a_client_that_gives_up_is_let_go() {
    for via in Via::SEEN {
        let (mut gate, first, next) = taken_over(via);
        absorbed(&mut gate, first.client_error(0));
        gate.wait(15);
        assert_eq!(said(&mut gate), []);
        next.server_is_told_off(gate.take(next.data(1, 512)));
        let (old, new) = (usize::from(via.backend(0)), usize::from(via.backend(1)));
        gate.change(|snapshot| {
            snapshot.backends[old].state = BackendState::Active;
            snapshot.backends[new].state = BackendState::Down;
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

/// The server waits for the ACK of the client's block, though the window is already in flight.
#[test]
fn the_rest_of_a_window_does_not_swallow_an_ack() {
    let via = Via::Nat;
    let options = [("blksize", 1024), ("windowsize", 4)];
    let mut gate = EngineHarness::new();
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
    let mut gate = EngineHarness::new();
    let _ = download(&mut gate, via);
    gate.moves();
    gate.change(|snapshot| {
        for n in [0, 1] {
            snapshot[via.backend(n)].state = BackendState::Ejected;
        }
    });
    gate.wait(100);
    assert_eq!(said(&mut gate), []);
    gate.moved(&[]);
}

/// The file is complete: no server has to take over.
#[test]
fn the_last_ack_ends_it_also_when_another_server_was_asked() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let first = download(&mut gate, via);
        let _ = gate.take(first.data(HAD + 1, 100)).sent();
        die(&mut gate, first);
        gate.wait(5);
        asks_again(&mut gate, other(first));
        absorbed(&mut gate, first.ack(HAD + 1));
        assert_eq!(gate.transfer(via.client()).state, TransferState::Completed);
        let moves = gate.moves();
        assert_eq!((moves.get("completed"), moves.get("lost")), (Some(&1), None));
        other(first).server_is_told_off(gate.take(other(first).data(1, 512)));
    }
}

#[test]
fn the_other_server_may_answer_from_an_alias() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let alias = via.address([10, 1, 0, 77]);
    gate.change(|snapshot| {
        let other = &mut snapshot[via.backend(1)];
        other.aliases = vec![alias];
        let server = other.server;
        snapshot.addresses.insert(alias, Owner::Routed(server));
        origins(snapshot, via.backend(1), &[alias, via.server(1)]);
    });
    let first = download(&mut gate, via);
    die(&mut gate, first);
    absorbed(&mut gate, first.ack(HAD));
    asks_again(&mut gate, other(first));
    let next = Transfer { server: SocketAddr::new(alias, 40_000), ..first };
    absorbed(&mut gate, next.data(1, 512));
    let (_, frame) = gate.engine.originate(gate.now).expect("it is acknowledged");
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

/// Ejected, but working.
#[test]
fn an_upload_to_an_ejected_server_goes_on() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &wrq(via.client(), via.vip(), "crash.log"));
        let _ = gate.take(transfer.says(&[0, 4, 0, 0])).sent();
        let block = |n| data(transfer.client, transfer.vip_tid(), n, 512);
        let _ = gate.take(block(1)).sent();
        let backend = usize::from(gate.transfer(via.client()).backend);
        gate.change(|snapshot| snapshot.backends[backend].state = BackendState::Ejected);
        gate.wait(10);
        let _ = gate.take(block(1)).sent();
        assert_eq!(said(&mut gate), []);
    }
}

/// The replaced server resumes when its client sends it another request.
#[test]
fn the_process_that_was_left_is_not_taken_for_the_next_one() {
    let via = Via::Nat;
    let (mut gate, first, next) = taken_over(via);
    catches_up(&mut gate, next, 1..=HAD);
    let _ = gate.take(next.data(HAD + 1, 7)).sent();
    let _ = gate.take(first.ack(HAD + 1)).sent();
    gate.change(|snapshot| {
        snapshot[via.backend(0)].state = BackendState::Active;
        snapshot[via.backend(1)].state = BackendState::Draining;
    });
    let second = ask(&mut gate, via, &rrq(via.client(), via.vip(), "other.img"));
    assert_eq!(second.server.ip(), first.server.ip());
    first.server_is_told_off(gate.take(first.data(HAD + 1, 512)));
    let second = second.with_tid(51_000);
    second.client_gets(gate.take(second.data(1, 512)), &second.data(1, 512).payload);
}

/// Another server, or a client that spoofs the server's address.
#[test]
fn only_a_transfer_s_own_server_can_say_that_it_is_dead() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
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

/// Neither repetitions of answered requests nor closed ports of ended transfers count.
#[test]
fn what_is_no_fault_of_a_server_does_not_count() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let request = rrq(via.client(), via.vip(), "boot.img");
    let transfer = ask(&mut gate, via, &request);
    let _ = gate.take(transfer.data(1, 100)).sent();
    let _ = gate.take(&request).sent();
    let up = gate.take(transfer.ack(1)).sent();
    let _ = gate.take(about(&up, transfer.server.ip(), REFUSED[0], 0, 48));
    let moves = gate.moves();
    assert_eq!((moves.get("ignored"), moves.get("unreachable")), (None, None));
    let _ = run(&mut gate, via, via.client());
}
