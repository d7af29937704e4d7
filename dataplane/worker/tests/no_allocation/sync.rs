//! Rows of a pair of gates, taken in, followed, told and ended.

use crate::lending::Lending;
use crate::turn;
use engine::snapshot::{Ftp, Protocol, Snapshot};
use engine::state::sync::AddressSet;
use engine::state::sync::export::SyncExport;
use engine::state::sync::purge::SyncPurge;
use kit::connections::{Connection, add};
use kit::pair::{MIN_AGE, Pair, set_held};
use kit::topology::{FLOWS, Via, snapshot};
use kit::transfer::{client, run};
use kit::worker_set::{Wire as _, WorkerSet};
use std::sync::Arc;
use worker::command_channel::{Command, Query, Reply};

const FTP: Protocol = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });

fn world() -> Snapshot {
    let mut world = snapshot();
    add(&mut world, Protocol::Tcp, 22, [1, 1]);
    add(&mut world, FTP, 21, [1, 1]);
    world
}

/// A pair whose first gate has a transfer, a connection and a session of FTP in each mode.
fn active() -> Pair {
    let mut pair = Pair::new(world);
    let gate = &mut pair.gates[0];
    for via in Via::ALL {
        run(gate, via, client(via, 1));
        Connection::open(gate, via, client(via, 2), 22);
        let mut session = Connection::open(gate, via, client(via, 3), 21);
        if !via.is_dsr() {
            session.server_says(gate, "AP", "220 ready\r\n");
            session.client_says(gate, "A", "");
        }
    }
    pair.wait(MIN_AGE);
    pair
}

/// The worker's answer to a query. No turn calls the allocator.
fn ask(set: &mut WorkerSet<Lending>, query: Query) -> Query {
    let channel = set.channels[0].clone();
    channel.commands.push(Command::Query(query)).expect("room");
    loop {
        turn(set);
        if let Some(Reply::Query(answer)) = channel.replies.pop() {
            return answer;
        }
    }
}

fn hold(set: &mut WorkerSet<Lending>, is_held: bool) {
    let mut snapshot = world();
    set_held(&mut snapshot, is_held);
    set.channels[0].commands.push(Command::Snapshot(Arc::new(snapshot))).expect("room");
    turn(set);
    while set.channels[0].replies.pop().is_some() {}
}

#[test]
fn rows_of_a_pair_take_no_memory() {
    let mut standby = world();
    set_held(&mut standby, false);
    let mut set = WorkerSet::<Lending>::with(1, standby, FLOWS, |_| Lending::new(4096));
    let mut pair = active();
    let flows = 3 * Via::ALL.len();
    for _ in 0..2 {
        pair.forget(0);
        let rows = pair.rows(0);
        assert_eq!(rows.transfers.len() + rows.connections.len(), flows);
        let Query::Import(rows) = ask(&mut set, Query::Import(Box::new(rows))) else {
            panic!("another answer")
        };
        assert_eq!(rows.refused, [0; 6]);
    }
    hold(&mut set, true);
    let mut round = Box::new(SyncExport::new(FLOWS as usize, 0));
    round.begin(0, set.now);
    let Query::Export(round) = ask(&mut set, Query::Export(round)) else {
        panic!("another answer")
    };
    assert_eq!(round.transfers.len() + round.connections.len(), flows);
    hold(&mut set, false);
    let purge =
        SyncPurge::new(9, AddressSet { vips: vec![true; Via::ALL.len()], snat: vec![true; 2] });
    let Query::Purge(purge) = ask(&mut set, Query::Purge(Box::new(purge))) else {
        panic!("another answer")
    };
    assert_eq!(purge.ended as usize, flows);
}
