//! Commands of control to a worker, and the replies.

use engine::flow::query::{FlowQuery, TransferView};
use engine::flow::state::TransferState;
use engine::snapshot::Snapshot;
use engine::state::explain::SelectionTrace;
use engine::state::references::References;
use kit::packets::{CLIENT, rrq};
use kit::topology::{Via, snapshot};
use kit::worker_set::WorkerSet;
use std::net::SocketAddr;
use std::sync::Arc;
use worker::command_channel::{Command, Query, Reply};
use worker::latency;
use worker::memory::MemoryPort;

fn set(max_flows: u32) -> WorkerSet<MemoryPort> {
    WorkerSet::with(1, snapshot(), max_flows, |_| MemoryPort::new(4096))
}

fn tell(set: &WorkerSet<MemoryPort>, command: Command) {
    set.channels[0].commands.push(command).expect("room");
}

fn ask(set: &WorkerSet<MemoryPort>, limit: usize, of: impl FnOnce(&mut FlowQuery)) {
    let found = Vec::with_capacity(limit);
    let mut query = FlowQuery {
        service: None,
        client: None,
        found,
        connections: vec![],
        matching: 0,
        cursor: 0,
    };
    of(&mut query);
    tell(set, Command::Query(Query::Flows(Box::new(query))));
}

fn answered(set: &WorkerSet<MemoryPort>) -> Option<FlowQuery> {
    match set.channels[0].replies.pop()? {
        Reply::Query(Query::Flows(query)) => Some(*query),
        other => panic!("{other:?}"),
    }
}

fn request(set: &WorkerSet<MemoryPort>, n: u16, via: Via) {
    let [high, low] = n.to_be_bytes();
    let client = SocketAddr::new(via.address([192, 168, high, low]), 2070);
    set.arrive(0, rrq(client, via.vip(), "boot.img"));
}

#[test]
fn a_new_snapshot_comes_into_force_and_the_old_one_goes_back() {
    let mut set = set(64);
    set.arrive(0, rrq(CLIENT, Via::Nat.vip(), "f"));
    set.turn();
    assert_eq!(set.left().len(), 1);
    let mut next = snapshot();
    next.set_live(Via::Nat.vip_id(), false);
    let next = Arc::new(next);
    tell(&set, Command::Snapshot(Arc::clone(&next)));
    set.arrive(0, rrq(CLIENT, Via::Nat.vip(), "f"));
    set.turn();
    assert_eq!(set.counter_values().at("vip-down"), 1, "in the same turn");
    let Some(Reply::Snapshot(old)) = set.channels[0].replies.pop() else { panic!() };
    assert!(old.is_live(Via::Nat.vip_id()));
    assert_eq!(Arc::strong_count(&old), 1, "the last one: control frees it");
    assert_eq!(Arc::strong_count(&next), 2);
}

#[test]
fn no_command_is_taken_while_no_reply_has_room() {
    let mut set = set(64);
    let replies = &set.channels[0].replies;
    while replies.push(Reply::Snapshot(Arc::new(Snapshot::default()))).is_ok() {}
    tell(&set, Command::Snapshot(Arc::new(snapshot())));
    set.turn();
    assert_eq!(set.channels[0].commands.len(), 1);
    set.channels[0].replies.pop();
    set.turn();
    assert!(set.channels[0].commands.is_empty());
    assert!(set.channels[0].replies.is_full());
}

/// Packets leave in the turn that they came in, however many rows a query looks at.
#[test]
fn a_query_for_a_million_transfers_holds_up_no_packet() {
    const ROWS: u32 = 1 << 20;
    const AT_ONCE: u32 = 2048;
    let mut set = set(2 * ROWS);
    let ask_for = |set: &WorkerSet<MemoryPort>, n: u32| {
        let [a, b, c, _] = (n << 8).to_be_bytes();
        let client = SocketAddr::from(([11 + a, b, c, 1], 2070));
        set.arrive(0, rrq(client, Via::Nat.vip(), "f"));
    };
    for first in (0..ROWS).step_by(AT_ONCE as usize) {
        (first..first + AT_ONCE).for_each(|n| ask_for(&set, n));
        (0..AT_ONCE / 32).for_each(|_| set.turn());
        assert_eq!(set.left().len(), AT_ONCE as usize, "{first}: {:?}", set.counter_values());
    }
    ask(&set, 10, |_| {});
    let mut turns = 0;
    let answer = loop {
        ask_for(&set, ROWS + turns);
        set.turn();
        assert_eq!(set.left().len(), 1, "in the same turn");
        turns += 1;
        if let Some(answer) = answered(&set) {
            break answer;
        }
    };
    assert!(answer.matching >= ROWS as usize && answer.found.len() == 10, "{}", answer.matching);
    assert!(turns > 1000, "some rows a turn, not all in one: {turns} turns");
}

#[test]
fn a_query_is_answered() {
    let mut set = set(64);
    for n in 0..10 {
        request(&set, n, if n % 2 == 0 { Via::Nat } else { Via::Dsr });
    }
    set.wait(3);
    ask(&set, 100, |_| {});
    set.turn();
    let answer = answered(&set).expect("an answer");
    assert_eq!((answer.matching, answer.found.len()), (10, 10));
    let view: &TransferView = &answer.found[0];
    assert_eq!(
        (&view.file[..], view.state, view.tid),
        (&b"boot.img"[..], TransferState::Requested, None)
    );

    ask(&set, 100, |query| query.service = Some(Via::Nat.service()));
    set.turn();
    let answer = answered(&set).expect("an answer");
    assert_eq!(answer.matching, 5);
    assert!(answer.found.iter().all(|view| view.service == Via::Nat.service()));

    let client = Via::Nat.address([192, 168, 0, 3]);
    ask(&set, 100, |query| query.client = Some(client));
    set.turn();
    let answer = answered(&set).expect("an answer");
    assert_eq!((answer.matching, answer.found[0].client.ip()), (1, client));
}

#[test]
fn who_would_be_chosen_is_answered() {
    let mut set = set(64);
    let client = Via::Nat.address([192, 168, 0, 3]);
    tell(
        &set,
        Command::Query(Query::Selection(Box::new(SelectionTrace::new(client, Via::Nat.service())))),
    );
    set.turn();
    let Some(Reply::Query(Query::Selection(seen))) = set.channels[0].replies.pop() else {
        panic!()
    };
    assert_eq!((seen.chosen, seen.turn), (Some(Via::Nat.backend(0)), Some(Via::Nat.backend(0))));
}

#[test]
fn a_long_answer_takes_several_turns_and_keeps_its_limit() {
    let mut set = set(1000);
    for n in 0..900 {
        request(&set, n, Via::Nat);
    }
    // All requests first: a turn takes a burst.
    for _ in 0..30 {
        set.turn();
    }
    ask(&set, 50, |_| {});
    set.turn();
    assert!(answered(&set).is_none(), "a thousand places are not looked at in one turn");
    for _ in 0..10 {
        set.turn();
    }
    let answer = answered(&set).expect("an answer");
    assert_eq!((answer.found.len(), answer.found.capacity(), answer.matching), (50, 50, 900));
}

#[test]
fn a_query_without_room_only_counts() {
    let mut set = set(64);
    request(&set, 1, Via::Snat);
    set.turn();
    ask(&set, 0, |_| {});
    set.turn();
    let answer = answered(&set).expect("an answer");
    assert_eq!((answer.matching, answer.found.len()), (1, 0));
}

#[test]
fn every_query_comes_back() {
    let mut set = set(1000);
    for _ in 0..3 {
        ask(&set, 1, |_| {});
    }
    for _ in 0..10 {
        set.turn();
    }
    let answers: Vec<_> = std::iter::from_fn(|| answered(&set)).collect();
    assert_eq!(answers.len(), 3);
    assert_eq!(answers.last().expect("the last one").cursor, 1000);
}

#[test]
fn a_turn_with_frames_is_timed_and_others_are_not() {
    let mut set = set(64);
    for busy in [true, false, true] {
        if busy {
            request(&set, 1, Via::Nat);
        }
        set.turn();
    }
    let recorded = |set: &mut WorkerSet<MemoryPort>| {
        tell(set, Command::Query(Query::Latencies(Box::new(latency::none()))));
        set.turn();
        let Some(Reply::Query(Query::Latencies(recorded))) = set.channels[0].replies.pop() else {
            panic!()
        };
        recorded
    };
    let first = recorded(&mut set);
    assert_eq!(first.len(), 2);
    assert!(first.min() > 0);
    assert_eq!(recorded(&mut set).len(), 0, "it starts anew");
}

#[test]
fn what_transfers_use_is_told() {
    let mut set = set(1000);
    let world = snapshot();
    let uses = |set: &mut WorkerSet<MemoryPort>| {
        tell(set, Command::Query(Query::References(Box::new(References::of(&world)))));
        for _ in 0..10 {
            set.turn();
        }
        let Some(Reply::Query(Query::References(uses))) = set.channels[0].replies.pop() else {
            panic!()
        };
        assert!(uses.is_whole);
        let places = |used: &[bool]| {
            used.iter().enumerate().filter(|(_, used)| **used).map(|(n, _)| n).collect::<Vec<_>>()
        };
        [places(&uses.backends), places(&uses.vips), places(&uses.snat)]
    };
    assert_eq!(uses(&mut set), [const { vec![] }; 3]);
    request(&set, 1, Via::Nat);
    request(&set, 2, Via::Snat46);
    set.turn();
    let of = |via: Via| usize::from(via.backend(0));
    let both = [Via::Nat, Via::Snat46];
    let expected = [both.map(of).to_vec(), both.map(|via| via as usize).to_vec(), vec![1]];
    assert_eq!(uses(&mut set), expected);
    set.wait(700);
    assert_eq!(uses(&mut set), [const { vec![] }; 3], "both were given up");
}

#[test]
fn half_an_answer_says_so() {
    let mut set = set(1000);
    for _ in 0..2 {
        tell(&set, Command::Query(Query::References(Box::new(References::of(&snapshot())))));
    }
    set.turn();
    set.turn();
    let Some(Reply::Query(Query::References(uses))) = set.channels[0].replies.pop() else {
        panic!()
    };
    assert!(!uses.is_whole, "another query took its place");
}
