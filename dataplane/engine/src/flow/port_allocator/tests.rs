//! Allocation and release of all ports of an address, which takes an interpreter too long.
#![cfg(not(miri))]

use super::blocks::IN_LINE;
use super::*;
use std::collections::HashSet;
use std::net::Ipv4Addr;
use wire::ip::PROTOCOL_UDP;

const ALL: usize = 64_512;
/// Ports of a share; the last four entries have half of it.
const SHARE: usize = 512;
/// Ports that can be lent: half of each share but the last four and one's own.
const LENT: usize = 123 * SHARE / 2;

fn entry(place: u16) -> RssEntry {
    RssEntry::at(place).expect("an entry")
}

/// Clients of an RSS entry at a SNAT address, and the time.
struct At<'a> {
    ports: &'a PortAllocator,
    turn: Turn,
    by: Taker,
}

impl<'a> At<'a> {
    fn new(ports: &'a PortAllocator, place: u16) -> At<'a> {
        let by = Taker { entry: entry(place), now: Tick(5000) };
        At { ports, turn: Turn::default(), by }
    }

    fn take(&mut self, server: u16) -> Option<Taken> {
        self.ports.take(&mut self.turn, ServerId(server), self.by)
    }

    fn take_all(&mut self, server: u16) -> Vec<u16> {
        std::iter::from_fn(|| self.take(server)).map(|taken| taken.port).collect()
    }

    fn give_back(&mut self, port: u16, rest: Rest) {
        self.ports.give_back(&mut self.turn, port, rest);
    }

    fn wait(&mut self, ticks: u32) {
        self.by.now = self.by.now.after(ticks);
    }
}

/// The place among the lines that are shared out, in turns.
fn line(port: u16) -> u16 {
    port / IN_BLOCK / IN_LINE - FIRST / IN_BLOCK / IN_LINE
}

#[test]
fn an_entry_has_its_share_in_order_then_what_others_lend_and_none_twice() {
    let ports = PortAllocator::new();
    let mut at = At::new(&ports, 0);
    let all = at.take_all(1);
    let (home, lent) = all.split_at(SHARE);
    assert!(home.iter().copied().eq((1024..1280).chain(33_792..34_048)));
    assert!(lent.iter().copied().eq(34_048..=u16::MAX));
    assert_eq!(lent.len(), LENT);
    at.give_back(35_000, Rest::NONE);
    at.give_back(1100, Rest::NONE);
    assert_eq!(at.take(1).map(|taken| taken.port), Some(1100), "what has come back last");
    assert_eq!(at.take(1), None, "until the next tick");
    at.wait(1);
    assert_eq!(at.take_all(1), [35_000]);
}

#[test]
fn usage_counts_ports_in_use_and_those_that_rest() {
    let ports = PortAllocator::new();
    let mut at = At::new(&ports, 0);
    assert_eq!(ports.usage(at.by.now), Usage::default());
    let all = at.take_all(1);
    let most = (SHARE + LENT) as u32;
    assert_eq!(ports.usage(at.by.now), Usage { taken: most, resting: 0 });
    let rests = [
        Rest::NONE,
        Rest::unanswered(ServerId(1), &Earlier::NONE, at.by.now),
        Rest::answered(ServerId(2), &Earlier::running([40_000, 0], [true, false]), at.by.now),
        Rest::of_several(at.by.now),
    ];
    all.iter().zip(rests).for_each(|(&port, rest)| at.give_back(port, rest));
    assert_eq!(ports.usage(at.by.now), Usage { taken: most - 4, resting: 3 });
    at.wait(640);
    assert_eq!(ports.usage(at.by.now), Usage { taken: most - 4, resting: 0 });
}

#[test]
fn a_port_rests_for_its_server_and_not_for_others() {
    let ports = PortAllocator::new();
    let mut at = At::new(&ports, 0);
    at.take_all(1);
    at.give_back(1200, Rest::unanswered(ServerId(1), &Earlier::NONE, at.by.now));
    at.wait(1);
    assert_eq!(at.take(1), None, "a late answer could be anything");
    assert_eq!(at.take(2), Some(Taken { port: 1200, earlier: Earlier::NONE }));
    at.give_back(1200, Rest::unanswered(ServerId(1), &Earlier::NONE, at.by.now));
    at.wait(40);
    assert_eq!(at.take(1).map(|taken| taken.port), Some(1200));
}

#[test]
fn the_one_that_rests_for_longest_is_better_than_none_and_its_tids_are_known() {
    let ports = PortAllocator::new();
    let mut at = At::new(&ports, 0);
    at.take_all(1);
    for port in [33_800, 1200, 33_900] {
        at.give_back(port, Rest::answered(ServerId(1), &running([port + 7, 9]), at.by.now));
        at.wait(1);
    }
    assert_eq!(at.take(1), Some(Taken { port: 33_800, earlier: running([33_807, 9]) }));
    assert_eq!(at.take(2), Some(Taken { port: 1200, earlier: Earlier::NONE }), "the next in order");
    at.wait(640);
    assert_eq!(at.take(1), Some(Taken { port: 33_900, earlier: Earlier::NONE }));
}

/// Unusable ports do not hide those behind them for ever.
#[test]
fn a_search_goes_on_where_the_last_one_gave_up() {
    let ports = PortAllocator::new();
    let mut at = At::new(&ports, 0);
    at.take_all(1);
    for port in 1024..1024 + LOOKS as u16 {
        at.give_back(port, Rest::unanswered(ServerId(1), &Earlier::NONE, at.by.now));
    }
    at.give_back(34_000, Rest::NONE);
    at.wait(1);
    assert_eq!(at.take(1), None);
    assert_eq!(at.take(1).map(|taken| taken.port), Some(34_000));
}

/// A server has died, of which clients behind one address have downloaded more than their entry's share is.
#[test]
fn resting_ports_don_t_hide_the_idle_ones_that_others_lend() {
    let rests: [fn(Tick) -> Rest; 2] =
        [Rest::of_several, |now| Rest::answered(ServerId(1), &running([7, 9]), now)];
    for rest in rests {
        let ports = PortAllocator::new();
        let mut at = At::new(&ports, 0);
        let home: Vec<_> = (0..SHARE).filter_map(|_| at.take(1)).collect();
        home.iter().for_each(|taken| at.give_back(taken.port, rest(at.by.now)));
        at.wait(1);
        let lent: Vec<_> = (0..LENT).filter_map(|_| at.take(1)).collect();
        assert!(lent.iter().all(|taken| taken.earlier == Earlier::NONE));
        assert_eq!(lent.iter().filter(|taken| taken.port >= 34_048).count(), LENT);
    }
}

#[test]
fn entries_have_parts_of_their_own_and_none_the_other_s() {
    let ports = PortAllocator::new();
    let mut seen = HashSet::new();
    for place in 0..ENTRIES {
        let mut at = At::new(&ports, place);
        for _ in 0..if place < 124 { SHARE } else { SHARE / 2 } {
            let port = at.take(1).expect("a port").port;
            assert!(port >= 1024 && seen.insert(port));
            assert_eq!(ports.owner(port), Some(at.by.entry));
            assert_eq!(line(port) % ENTRIES, place);
        }
    }
    assert_eq!(seen.len(), ALL);
    assert!((0..ENTRIES).all(|place| At::new(&ports, place).take(1).is_none()));
}

#[test]
fn an_entry_borrows_what_others_don_t_use_but_not_all_of_it() {
    let ports = PortAllocator::new();
    let [mut greedy, mut modest] = [0, 1].map(|place| At::new(&ports, place));
    let running = modest.take(1).expect("a port");
    // The running connection is in a line that is never lent.
    assert_eq!(greedy.take_all(1).len(), SHARE + LENT);
    assert_eq!(ports.owner(running.port), Some(entry(1)));
    for place in 1..ENTRIES {
        let left = At::new(&ports, place).take_all(1).len();
        assert_eq!(left, SHARE / 2 - usize::from(place == 1), "entry {place}");
    }
}

#[test]
fn what_is_lent_comes_home_when_it_is_idle() {
    let ports = PortAllocator::new();
    let [mut greedy, mut owner] = [0, 1].map(|place| At::new(&ports, place));
    let borrowed = greedy.take_all(1);
    let lent = borrowed.into_iter().filter(|&port| line(port) % ENTRIES == 1);
    let lent: Vec<u16> = lent.collect();
    assert_eq!(lent.len(), SHARE / 2);
    assert!(lent.iter().all(|&port| ports.owner(port) == Some(entry(0))));
    assert_eq!(owner.take_all(1).len(), SHARE / 2, "what is never lent");
    lent.iter().for_each(|&port| greedy.give_back(port, Rest::NONE));
    owner.wait(1);
    assert_eq!(owner.take_all(1), lent);
}

#[test]
fn what_is_free_is_not_given_back() {
    let ports = PortAllocator::new();
    let mut at = At::new(&ports, 0);
    let port = at.take(1).expect("a port").port;
    at.give_back(port + 1, Rest::unanswered(ServerId(1), &Earlier::NONE, at.by.now));
    assert_eq!(at.turn.back, None);
    assert_eq!(at.take(1).map(|taken| taken.port), Some(port + 1));
}

#[test]
fn a_process_goes_on_with_its_ports_and_those_behind_them() {
    let ports = PortAllocator::new();
    for port in [1040, 65_534, 1050] {
        assert!(ports.can_be_of(port, entry(3)));
        ports.claim(port, entry(3));
    }
    assert!(!ports.can_be_of(1041, entry(2)) && ports.can_be_of(1041, entry(3)));
    assert!(!ports.can_be_of(80, entry(3)));
    let mut at = At { turn: Turn::behind(1050), ..At::new(&ports, 3) };
    let all = at.take_all(1);
    assert!([1040, 65_534, 1050].iter().all(|port| !all.contains(port)));
    let fresh = PortAllocator::new();
    let mut alone = At { turn: Turn::behind(65_535), ..At::new(&fresh, 0) };
    assert_eq!(alone.take(1).map(|taken| taken.port), Some(1024));
}

/// Builds without entries gave ports to workers: clients of several entries of one worker share a block.
#[test]
fn a_block_of_before_can_be_of_several_entries_of_one_worker() {
    let ports = PortAllocator::new();
    assert!(ports.can_be_of(1040, entry(3)) && ports.can_be_of(1041, entry(4)));
    ports.claim(1040, entry(3));
    ports.claim(1041, entry(4));
    assert_eq!(ports.owner(1041), Some(entry(3)), "packets find the worker by the block");
    let mut at = At::new(&ports, 3);
    at.give_back(1040, Rest::NONE);
    at.give_back(1041, Rest::NONE);
    assert!(ports.can_be_of(1040, entry(4)), "idle");
}

#[test]
fn what_gives_way_has_had_its_port_for_longest() {
    let ports = PortAllocator::new();
    let mut at = At::new(&ports, 0);
    let all = at.take_all(7);
    for (id, &port) in (0..).zip(&all).filter(|(id, _)| id % 2 == 1) {
        ports.note(port, Holder::Connection(id));
    }
    let mut expendable = |may_go: fn(Holder) -> bool| {
        ports.expendable(&mut at.turn, at.by, |port, holder| {
            may_go(holder).then_some((port, holder))
        })
    };
    assert_eq!(expendable(|_| true), Some((1024, Holder::Transfer(ServerId(7)))));
    let is_connection = |holder| matches!(holder, Holder::Connection(_));
    assert_eq!(expendable(is_connection), Some((1025, Holder::Connection(1))));
    assert_eq!(expendable(is_connection), Some((1027, Holder::Connection(3))));
    assert_eq!(expendable(|_| false), None, "some were looked at");
    let next = 1028 + LOOKS as u16;
    assert_eq!(expendable(|_| true).map(|(port, _)| port), Some(next));
}

#[test]
fn tcp_has_ports_of_its_own() {
    let address = SnatAddress::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut udp = At::new(address.of(PROTOCOL_UDP), 0);
    let mut tcp = At::new(address.of(PROTOCOL_TCP), 0);
    assert_eq!(udp.take_all(1).len(), SHARE + LENT);
    assert_eq!(tcp.take(1).map(|taken| taken.port), Some(1024));
}

/// Workers on threads of their own allocate and release, at times more than there are ports.
#[test]
fn two_workers_never_have_the_same_port() {
    const WORKERS: u16 = 4;
    let ports = PortAllocator::new();
    let held: Vec<AtomicU32> = (0..=u16::MAX).map(|_| AtomicU32::new(0)).collect();
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (ports, held) = (&ports, &held);
            scope.spawn(move || {
                let mut at = At::new(ports, worker);
                let mut mine = vec![];
                for round in 0..12u32 {
                    while mine.len() < (u32::from(worker) + round) as usize % 4 * 9000 + 100 {
                        at.wait(1);
                        let Some(Taken { port, .. }) = at.take(1) else { break };
                        assert_eq!(held[usize::from(port)].swap(1, Relaxed), 0, "port {port}");
                        mine.push(port);
                    }
                    for port in mine.drain(..mine.len() / 2) {
                        assert_eq!(held[usize::from(port)].swap(0, Relaxed), 1);
                        at.give_back(port, Rest::NONE);
                    }
                }
            });
        }
    });
}

fn running(tids: [u16; 2]) -> Earlier {
    Earlier::running(tids, [false, true])
}
