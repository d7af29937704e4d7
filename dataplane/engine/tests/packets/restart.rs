//! A killed process and its successor, which continues the transfers.

use engine::flow::state::TransferState;
use engine::scheduler::transfer_limit::{Places, TransferLimit};
use engine::snapshot::{BackendState, Ftp, Protocol};
use engine::state::restore::Adopted;
use engine::types::mode::Mode;
use engine::types::verdict::Verdict;
use kit::connections::{Connection, add};
use kit::engine_harness::EngineHarness;
use kit::packets::rrq;
use kit::topology::{FLOWS, Via, owner, snapshot};
use kit::transfer::{Transfer, ask, client, run};
use std::net::SocketAddr;

const FTP: Protocol = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });

fn adopted(whole: usize, broken: usize) -> Adopted {
    Adopted { whole, broken }
}

/// One more block and its end.
fn ends_well(gate: &mut EngineHarness, transfer: Transfer) {
    let last = transfer.data(2, 7);
    if !transfer.via.is_dsr() {
        transfer.client_gets(gate.take(last.clone()), &last.payload);
    }
    let _ = gate.take(transfer.ack(2)).sent();
}

#[test]
fn running_transfers_go_on() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let talks: Vec<_> = (0..10).map(|n| run(&mut gate, via, client(via, n))).collect();
        gate.wait(20);
        let mut gate = gate.reborn(snapshot());
        assert_eq!(gate.adopted, adopted(10, 0));
        gate.moved(&[("started", 10), ("inherited", 10)]);
        for &transfer in &talks {
            ends_well(&mut gate, transfer);
        }
        let moves = gate.moves();
        if !via.is_dsr() {
            assert_eq!((moves.get("completed"), moves.get("ended")), (Some(&10), Some(&10)));
        }
        gate.wait(1000);
        assert!(gate.transfers().is_empty(), "they end in time");
    }
}

/// From one worker to three and to two: transfers and connections find their worker, and so do answers to SNAT ports.
#[test]
fn another_number_of_workers_goes_on_with_them() {
    for via in Via::ALL {
        let world = || {
            let mut snapshot = snapshot();
            add(&mut snapshot, Protocol::Tcp, 22, [1, 1]);
            snapshot
        };
        let mut gate = EngineHarness::with(world(), FLOWS);
        let talks: Vec<_> = (0..40).map(|n| run(&mut gate, via, client(via, n))).collect();
        let lines = (100..140).map(|n| Connection::open(&mut gate, via, client(via, n), 22));
        let mut lines: Vec<_> = lines.collect();
        let mut gates = vec![gate];
        for workers in [3_u16, 2] {
            gates = EngineHarness::rehomed(gates, workers, &world());
            let whole: usize = gates.iter().map(|gate| gate.adopted.whole).sum();
            assert_eq!(whole, talks.len() + lines.len(), "{via:?}: {workers} workers");
            for line in &mut lines {
                let gate = &mut gates[usize::from(owner(line.client.ip(), workers))];
                line.client_says(gate, "AP", "still here");
            }
        }
        for transfer in talks {
            let right = owner(transfer.client.ip(), 2);
            if via.is_snat() {
                let wrong = &mut gates[usize::from(1 - right)];
                assert_eq!(wrong.take(transfer.data(2, 7)).verdict, Verdict::HandOver(right));
            }
            ends_well(&mut gates[usize::from(right)], transfer);
        }
    }
}

/// Two workers fill the tables of one. What is over, what was read, and what is made anew, comes first in the old ones.
#[test]
fn fewer_workers_go_on_with_what_runs() {
    for via in Via::ALL {
        let mut world = snapshot();
        add(&mut world, Protocol::Tcp, 22, [1, 1]);
        add(&mut world, FTP, 21, [1, 1]);
        let mut gates: Vec<_> =
            (0..2).map(|n| EngineHarness::one_of(n, 2, world.clone(), FLOWS)).collect();
        let clients = |worker| {
            let all = (0..).map(move |n| client(via, n));
            all.filter(move |client| owner(client.ip(), 2) == worker).take(FLOWS as usize / 2)
        };
        for client in clients(0) {
            let transfer = run(&mut gates[0], via, client);
            let _ = gates[0].take(transfer.client_error(0)).sent();
            let mut line = Connection::open(&mut gates[0], via, client, 21);
            if via.is_dsr() {
                line.client_says(&mut gates[0], "R", "");
            }
        }
        let mut lines = vec![];
        let mut talks = vec![];
        for client in clients(1) {
            for port in [client.port(), client.port() + 1] {
                let client = SocketAddr::new(client.ip(), port);
                talks.push(run(&mut gates[1], via, client));
                lines.push(Connection::open(&mut gates[1], via, client, 22));
            }
        }
        let mut gate = EngineHarness::rehomed(gates, 1, &world).remove(0);
        assert_eq!(gate.adopted.whole, 2 * FLOWS as usize, "{via:?}");
        lines.iter_mut().for_each(|line| drop(line.client_says(&mut gate, "AP", "on")));
        talks.into_iter().for_each(|transfer| ends_well(&mut gate, transfer));
    }
}

#[test]
fn what_they_have_nobody_else_gets() {
    for via in [Via::Snat, Via::Snat6, Via::Snat46, Via::Snat64] {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, client(via, 1));
        let mut gate = gate.reborn(snapshot());
        let other = run(&mut gate, via, client(via, 2));
        assert_ne!(other.seen_as, transfer.seen_as);
        ends_well(&mut gate, transfer);
        ends_well(&mut gate, other);
    }
}

#[test]
fn a_request_that_waits_stays_where_it_is() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let request = rrq(client(via, 1), via.vip(), "boot.img");
        let _ = run(&mut gate, via, client(via, 9));
        let asked = ask(&mut gate, via, &request);
        let mut gate = gate.reborn(snapshot());
        gate.wait(10);
        let again = ask(&mut gate, via, &request);
        assert_eq!((again.server, again.seen_as), (asked.server, asked.seen_as));
        assert_eq!(gate.moves().get("retransmitted"), Some(&1));
    }
}

#[test]
fn ended_ones_linger_and_are_not_counted() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        ends_well(&mut gate, transfer);
        let mut gate = gate.reborn(snapshot());
        assert_eq!(gate.transfer(via.client()).state, TransferState::Completed);
        gate.moved(&[]);
        // The server has missed the last ACK.
        let again = transfer.data(2, 7);
        transfer.client_gets(gate.take(again.clone()), &again.payload);
        gate.wait(100);
        assert!(gate.transfers().is_empty());
    }
}

#[test]
fn places_at_backends_are_taken_as_before() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, via, client(via, 1));
    let mut limited = snapshot();
    let places = Places::default();
    let backend = usize::from(gate.transfer(transfer.client).backend);
    limited.backends[backend].cap = Some(TransferLimit::new(1, places.clone()));
    let mut gate = gate.reborn(limited);
    for n in 2..6 {
        let other = ask(&mut gate, via, &rrq(client(via, n), via.vip(), "boot.img"));
        assert_ne!(other.server, transfer.server, "it is full");
    }
    ends_well(&mut gate, transfer);
    assert!(TransferLimit::new(1, places).has_room());
}

#[test]
fn what_does_not_fit_the_configuration_is_given_up() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let _ = run(&mut gate, via, client(via, 1));
        let other = if via.is_dsr() { Mode::Nat } else { Mode::Dsr };
        let mut changed = snapshot();
        changed.services[usize::from(via.service())].mode = other;
        let mut gate = gate.reborn(changed);
        assert_eq!(gate.adopted, adopted(0, 1));
        gate.moved(&[]);
        assert!(gate.transfers().is_empty());

        let mut gate = EngineHarness::new();
        let _ = run(&mut gate, via, client(via, 1));
        let mut fewer = snapshot();
        fewer.backends.truncate(usize::from(via.backend(0)));
        fewer.addresses = Default::default();
        assert_eq!(gate.reborn(fewer).adopted, adopted(0, 1));
        gate = EngineHarness::with(snapshot(), FLOWS);
        assert_eq!(gate.adopted, adopted(0, 0));
    }
}

/// The process dies while another server takes over from a dead one.
#[test]
fn a_failover_goes_on_too() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let dead = usize::from(gate.transfer(transfer.client).backend);
        gate.change(|snapshot| snapshot.backends[dead].state = BackendState::Down);
        gate.wait(1);
        assert_eq!(gate.take(transfer.ack(1)).verdict, Verdict::Absorb);
        let mut gate = gate.reborn(snapshot());
        let (_, request) = gate.engine.originate(gate.now).expect("it asks again");
        assert!(request.ends_with(&rrq(transfer.client, transfer.vip, "boot.img").payload));
    }
}
