//! Allocation and release of all ports of an address, which takes an interpreter too long.
#![cfg(not(miri))]

use super::blocks::IN_LINE;
use super::*;
use std::collections::HashSet;
use std::net::Ipv4Addr;
use wire::ip::PROTOCOL_UDP;

const ALL: usize = 64_512;

/// A worker at a SNAT address, and the time.
struct At<'a> {
    ports: &'a PortAllocator,
    turn: Turn,
    by: Taker,
}

impl<'a> At<'a> {
    fn new(ports: &'a PortAllocator, worker: u16, workers: u16) -> At<'a> {
        At { ports, turn: Turn::default(), by: Taker { worker, workers, now: Tick(5000) } }
    }

    fn take(&mut self, server: u16) -> Option<Taken> {
        self.ports.take(&mut self.turn, ServerId(server), self.by)
    }

    fn take_all(&mut self, server: u16) -> Vec<u16> {
        std::iter::from_fn(|| self.take(server)).map(|taken| taken.port).collect()
    }

    fn give_back(&mut self, port: u16, rest: Rest) {
        self.ports.give_back(&mut self.turn, port, rest, self.by);
    }

    fn wait(&mut self, ticks: u32) {
        self.by.now = self.by.now.after(ticks);
    }
}

#[test]
fn a_worker_has_all_of_them_in_order_and_none_twice() {
    let ports = PortAllocator::new();
    let mut at = At::new(&ports, 0, 1);
    let all = at.take_all(1);
    assert!(all.iter().copied().eq(1024..=u16::MAX));
    at.give_back(2000, Rest::NONE);
    at.give_back(1500, Rest::NONE);
    assert_eq!(at.take(1).map(|taken| taken.port), Some(1500), "what has come back last");
    assert_eq!(at.take(1), None, "until the next tick");
    at.wait(1);
    assert_eq!(at.take_all(1), [2000]);
}

#[test]
fn usage_counts_ports_in_use_and_those_that_rest() {
    let ports = PortAllocator::new();
    let mut at = At::new(&ports, 0, 1);
    assert_eq!(ports.usage(at.by.now), Usage::default());
    let all = at.take_all(1);
    assert_eq!(ports.usage(at.by.now), Usage { taken: PORTS, resting: 0 });
    let rests = [
        Rest::NONE,
        Rest::unanswered(ServerId(1), &Earlier::NONE, at.by.now),
        Rest::answered(ServerId(2), &Earlier::running([40_000, 0], [true, false]), at.by.now),
        Rest::of_several(at.by.now),
    ];
    all.iter().zip(rests).for_each(|(&port, rest)| at.give_back(port, rest));
    assert_eq!(ports.usage(at.by.now), Usage { taken: PORTS - 4, resting: 3 });
    at.wait(640);
    assert_eq!(ports.usage(at.by.now), Usage { taken: PORTS - 4, resting: 0 });
}

#[test]
fn a_port_rests_for_its_server_and_not_for_others() {
    let ports = PortAllocator::new();
    let mut at = At::new(&ports, 0, 1);
    at.take_all(1);
    at.give_back(2000, Rest::unanswered(ServerId(1), &Earlier::NONE, at.by.now));
    at.wait(1);
    assert_eq!(at.take(1), None, "a late answer could be anything");
    assert_eq!(at.take(2), Some(Taken { port: 2000, earlier: Earlier::NONE }));
    at.give_back(2000, Rest::unanswered(ServerId(1), &Earlier::NONE, at.by.now));
    at.wait(40);
    assert_eq!(at.take(1).map(|taken| taken.port), Some(2000));
}

#[test]
fn the_one_that_rests_for_longest_is_better_than_none_and_its_tids_are_known() {
    let ports = PortAllocator::new();
    let mut at = At::new(&ports, 0, 1);
    at.take_all(1);
    for port in [3000, 2000, 4000] {
        at.give_back(port, Rest::answered(ServerId(1), &running([port + 7, 9]), at.by.now));
        at.wait(1);
    }
    assert_eq!(at.take(1), Some(Taken { port: 3000, earlier: running([3007, 9]) }));
    assert_eq!(at.take(2), Some(Taken { port: 2000, earlier: Earlier::NONE }), "the next in order");
    at.wait(640);
    assert_eq!(at.take(1), Some(Taken { port: 4000, earlier: Earlier::NONE }));
}

/// Unusable ports do not hide those behind them for ever.
#[test]
fn a_search_goes_on_where_the_last_one_gave_up() {
    let ports = PortAllocator::new();
    let mut at = At::new(&ports, 0, 1);
    at.take_all(1);
    for port in 1024..1024 + LOOKS as u16 {
        at.give_back(port, Rest::unanswered(ServerId(1), &Earlier::NONE, at.by.now));
    }
    at.give_back(9000, Rest::NONE);
    at.wait(1);
    assert_eq!(at.take(1), None);
    assert_eq!(at.take(1).map(|taken| taken.port), Some(9000));
}

#[test]
fn workers_have_parts_of_their_own_and_none_the_other_s() {
    let ports = PortAllocator::new();
    let mut seen = HashSet::new();
    let mut all: Vec<_> = (0..3).map(|worker| At::new(&ports, worker, 3)).collect();
    for _ in 0..ALL / 3 {
        for at in &mut all {
            let port = at.take(1).expect("a port").port;
            assert!(port >= 1024 && seen.insert(port));
            assert_eq!(ports.owner(port), Some(at.by.worker));
            assert!(Share::Ours.has(port / IN_BLOCK / IN_LINE, at.by));
        }
    }
    assert!(all.iter_mut().all(|at| at.take(1).is_none()));
}

#[test]
fn a_worker_borrows_what_others_don_t_use_but_not_all_of_it() {
    let ports = PortAllocator::new();
    let [mut greedy, mut modest] = [0, 1].map(|worker| At::new(&ports, worker, 4));
    let running = modest.take(1).expect("a port");
    // Of each share, 47 of 63 lines may be lent. The running connection is in another line.
    assert_eq!(greedy.take_all(1).len(), ALL / 4 + 3 * 47 * 256);
    assert_eq!(ports.owner(running.port), Some(1));
    for worker in [1, 2, 3] {
        let left = At::new(&ports, worker, 4).take_all(1).len();
        assert_eq!(left, 16 * 256 - usize::from(worker == 1), "worker {worker}");
    }
}

#[test]
fn what_is_lent_comes_home_when_it_is_idle() {
    let ports = PortAllocator::new();
    let [mut greedy, mut owner] = [0, 1].map(|worker| At::new(&ports, worker, 2));
    owner.take_all(1);
    let all: Vec<u16> = (1024..=u16::MAX).filter(|&port| ports.owner(port) == Some(1)).collect();
    all.iter().for_each(|&port| owner.give_back(port, Rest::NONE));
    owner.turn = Turn::default();
    let borrowed = greedy.take_all(1);
    let lent: Vec<u16> =
        borrowed.into_iter().filter(|&port| !Share::Ours.has(port / 256, greedy.by)).collect();
    assert!(lent.len() > ALL / 4);
    assert!(lent.iter().all(|&port| ports.owner(port) == Some(0)));
    for &port in &lent {
        greedy.give_back(port, Rest::NONE);
    }
    owner.wait(1);
    assert_eq!(owner.take_all(1).len(), ALL / 2);
}

#[test]
fn nobody_gives_back_what_is_another_s() {
    let ports = PortAllocator::new();
    let [mut one, mut other] = [0, 1].map(|worker| At::new(&ports, worker, 2));
    let port = one.take(1).expect("a port").port;
    other.give_back(port, Rest::NONE);
    assert!(ports.has(port, 0));
    one.give_back(port + 1, Rest::NONE);
    assert!(ports.has(port, 0) && !ports.has(port + 1, 0));
}

#[test]
fn a_process_goes_on_with_its_ports_and_those_behind_them() {
    let ports = PortAllocator::new();
    for port in [1040, 65_534, 1050] {
        assert!(ports.can_be_of(port, 3));
        ports.claim(port, 3);
    }
    assert!(!ports.can_be_of(1041, 2) && ports.can_be_of(1041, 3) && !ports.can_be_of(80, 3));
    let mut at = At { turn: Turn::behind(1050), ..At::new(&ports, 3, 8) };
    let all = at.take_all(1);
    assert!([1040, 65_534, 1050].iter().all(|port| !all.contains(port)));
    let fresh = PortAllocator::new();
    let mut alone = At { turn: Turn::behind(65_535), ..At::new(&fresh, 0, 1) };
    assert_eq!(alone.take(1).map(|taken| taken.port), Some(1024));
}

#[test]
fn what_gives_way_has_had_its_port_for_longest() {
    let ports = PortAllocator::new();
    let mut at = At::new(&ports, 0, 1);
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
    let mut udp = At::new(address.of(PROTOCOL_UDP), 0, 1);
    let mut tcp = At::new(address.of(PROTOCOL_TCP), 0, 1);
    assert_eq!(udp.take_all(1).len(), ALL);
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
                let mut at = At::new(ports, worker, WORKERS);
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
