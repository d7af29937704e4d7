//! Messages of control to a worker, and what comes back.

use engine::flow::view::{FlowQuery, State, TransferView};
use engine::own::uses::Uses;
use engine::select::look::Look;
use engine::tables::Tables;
use kit::house::House;
use kit::story::{CLIENT, rrq};
use kit::world::{Via, tables};
use std::net::SocketAddr;
use std::sync::Arc;
use worker::latency;
use worker::memory::MemoryPort;
use worker::news::{News, Return};

fn house(max_flows: u32) -> House<MemoryPort> {
    House::with(1, tables(), max_flows, |_| MemoryPort::new(4096))
}

fn tell(house: &House<MemoryPort>, news: News) {
    house.desks[0].news.push(news).expect("room");
}

fn ask(house: &House<MemoryPort>, limit: usize, of: impl FnOnce(&mut FlowQuery)) {
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
    tell(house, News::Flows(Box::new(query)));
}

fn returned(house: &House<MemoryPort>) -> Option<FlowQuery> {
    match house.desks[0].returns.pop()? {
        Return::Flows(query) => Some(*query),
        Return::Tables(_)
        | Return::Room(_)
        | Return::Uses(_)
        | Return::Look(_)
        | Return::Latencies(_) => panic!("something else"),
    }
}

fn request(house: &House<MemoryPort>, n: u16, via: Via) {
    let [high, low] = n.to_be_bytes();
    let client = SocketAddr::new(via.address([192, 168, high, low]), 2070);
    house.arrive(0, rrq(client, via.vip(), "boot.img"));
}

#[test]
fn new_tables_come_into_force_and_the_old_ones_go_back() {
    let mut house = house(64);
    house.arrive(0, rrq(CLIENT, Via::Nat.vip(), "f"));
    house.turn();
    assert_eq!(house.left().len(), 1);
    let mut next = tables();
    next.set_live(Via::Nat.service(), false);
    let next = Arc::new(next);
    tell(&house, News::Tables(Arc::clone(&next)));
    house.arrive(0, rrq(CLIENT, Via::Nat.vip(), "f"));
    house.turn();
    assert_eq!(house.ledger().at("vip-down"), 1, "in the same turn");
    let Some(Return::Tables(old)) = house.desks[0].returns.pop() else { panic!() };
    assert!(old.is_live(Via::Nat.service()));
    assert_eq!(Arc::strong_count(&old), 1, "the last one: control frees it");
    assert_eq!(Arc::strong_count(&next), 2);
}

#[test]
fn no_news_is_taken_while_nothing_can_go_back() {
    let mut house = house(64);
    let returns = &house.desks[0].returns;
    while returns.push(Return::Tables(Arc::new(Tables::default()))).is_ok() {}
    tell(&house, News::Tables(Arc::new(tables())));
    house.turn();
    assert_eq!(house.desks[0].news.len(), 1);
    house.desks[0].returns.pop();
    house.turn();
    assert!(house.desks[0].news.is_empty());
    assert!(house.desks[0].returns.is_full());
}

/// Each packet leaves in the turn that it came in, however many rows there are to look at.
#[test]
fn a_question_for_a_million_transfers_holds_up_no_packet() {
    const ROWS: u32 = 1 << 20;
    const AT_ONCE: u32 = 2048;
    let mut house = house(2 * ROWS);
    let ask_for = |house: &House<MemoryPort>, n: u32| {
        let [a, b, c, _] = (n << 8).to_be_bytes();
        let client = SocketAddr::from(([11 + a, b, c, 1], 2070));
        house.arrive(0, rrq(client, Via::Nat.vip(), "f"));
    };
    for first in (0..ROWS).step_by(AT_ONCE as usize) {
        (first..first + AT_ONCE).for_each(|n| ask_for(&house, n));
        (0..AT_ONCE / 32).for_each(|_| house.turn());
        assert_eq!(house.left().len(), AT_ONCE as usize, "{first}: {:?}", house.ledger());
    }
    ask(&house, 10, |_| {});
    let mut turns = 0;
    let answer = loop {
        ask_for(&house, ROWS + turns);
        house.turn();
        assert_eq!(house.left().len(), 1, "in the same turn");
        turns += 1;
        if let Some(answer) = returned(&house) {
            break answer;
        }
    };
    assert!(answer.matching >= ROWS as usize && answer.found.len() == 10, "{}", answer.matching);
    assert!(turns > 1000, "some rows a turn, not all in one: {turns} turns");
}

#[test]
fn a_question_is_answered() {
    let mut house = house(64);
    for n in 0..10 {
        request(&house, n, if n % 2 == 0 { Via::Nat } else { Via::Dsr });
    }
    house.wait(3);
    ask(&house, 100, |_| {});
    house.turn();
    let answer = returned(&house).expect("an answer");
    assert_eq!((answer.matching, answer.found.len()), (10, 10));
    let view: &TransferView = &answer.found[0];
    assert_eq!((&view.file[..], view.state, view.tid), (&b"boot.img"[..], State::Requested, None));

    ask(&house, 100, |query| query.service = Some(Via::Nat.service()));
    house.turn();
    let answer = returned(&house).expect("an answer");
    assert_eq!(answer.matching, 5);
    assert!(answer.found.iter().all(|view| view.service == Via::Nat.service()));

    let client = Via::Nat.address([192, 168, 0, 3]);
    ask(&house, 100, |query| query.client = Some(client));
    house.turn();
    let answer = returned(&house).expect("an answer");
    assert_eq!((answer.matching, answer.found[0].client.ip()), (1, client));
}

#[test]
fn who_would_be_chosen_is_answered() {
    let mut house = house(64);
    let client = Via::Nat.address([192, 168, 0, 3]);
    tell(&house, News::Look(Box::new(Look::new(client, Via::Nat.service()))));
    house.turn();
    let Some(Return::Look(seen)) = house.desks[0].returns.pop() else { panic!() };
    assert_eq!((seen.chosen, seen.turn), (Some(Via::Nat.backend(0)), Some(Via::Nat.backend(0))));
}

#[test]
fn a_long_answer_takes_several_turns_and_keeps_its_limit() {
    let mut house = house(1000);
    for n in 0..900 {
        request(&house, n, Via::Nat);
    }
    // All requests first: a turn takes a burst.
    for _ in 0..30 {
        house.turn();
    }
    ask(&house, 50, |_| {});
    house.turn();
    assert!(returned(&house).is_none(), "a thousand places are not looked at in one turn");
    for _ in 0..10 {
        house.turn();
    }
    let answer = returned(&house).expect("an answer");
    assert_eq!((answer.found.len(), answer.found.capacity(), answer.matching), (50, 50, 900));
}

#[test]
fn a_question_without_room_only_counts() {
    let mut house = house(64);
    request(&house, 1, Via::Snat);
    house.turn();
    ask(&house, 0, |_| {});
    house.turn();
    let answer = returned(&house).expect("an answer");
    assert_eq!((answer.matching, answer.found.len()), (1, 0));
}

#[test]
fn every_question_comes_back() {
    let mut house = house(1000);
    for _ in 0..3 {
        ask(&house, 1, |_| {});
    }
    for _ in 0..10 {
        house.turn();
    }
    let answers: Vec<_> = std::iter::from_fn(|| returned(&house)).collect();
    assert_eq!(answers.len(), 3);
    assert_eq!(answers.last().expect("the last one").cursor, 1000);
}

#[test]
fn a_turn_with_frames_is_timed_and_others_are_not() {
    let mut house = house(64);
    for busy in [true, false, true] {
        if busy {
            request(&house, 1, Via::Nat);
        }
        house.turn();
    }
    let recorded = |house: &mut House<MemoryPort>| {
        tell(house, News::Latencies(Box::new(latency::none())));
        house.turn();
        let Some(Return::Latencies(recorded)) = house.desks[0].returns.pop() else { panic!() };
        recorded
    };
    let first = recorded(&mut house);
    assert_eq!(first.len(), 2);
    assert!(first.min() > 0);
    assert_eq!(recorded(&mut house).len(), 0, "it starts anew");
}

#[test]
fn what_transfers_use_is_told() {
    let mut house = house(1000);
    let world = tables();
    let uses = |house: &mut House<MemoryPort>| {
        tell(house, News::Uses(Box::new(Uses::of(&world))));
        for _ in 0..10 {
            house.turn();
        }
        let Some(Return::Uses(uses)) = house.desks[0].returns.pop() else { panic!() };
        assert!(uses.is_whole);
        let places = |used: &[bool]| {
            used.iter().enumerate().filter(|(_, used)| **used).map(|(n, _)| n).collect::<Vec<_>>()
        };
        [places(&uses.backends), places(&uses.vips), places(&uses.snat)]
    };
    assert_eq!(uses(&mut house), [const { vec![] }; 3]);
    request(&house, 1, Via::Nat);
    request(&house, 2, Via::Snat46);
    house.turn();
    let of = |via: Via| usize::from(via.backend(0));
    let both = [Via::Nat, Via::Snat46];
    let expected = [both.map(of).to_vec(), both.map(|via| via as usize).to_vec(), vec![1]];
    assert_eq!(uses(&mut house), expected);
    house.wait(700);
    assert_eq!(uses(&mut house), [const { vec![] }; 3], "both were given up");
}

#[test]
fn half_an_answer_says_so() {
    let mut house = house(1000);
    for _ in 0..2 {
        tell(&house, News::Uses(Box::new(Uses::of(&tables()))));
    }
    house.turn();
    house.turn();
    let Some(Return::Uses(uses)) = house.desks[0].returns.pop() else { panic!() };
    assert!(!uses.is_whole, "another question took its place");
}
