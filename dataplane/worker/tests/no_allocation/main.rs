//! After its start a worker neither takes memory nor gives any back: counted by the allocator
//! itself, over transfers and connections in all modes, hand-over, expiry, full tables, questions and
//! new tables.

mod connections;
mod counting;
mod lending;

use connections::connections;
use counting::calls;
use engine::flow::key::Seed;
use engine::flow::view::FlowQuery;
use engine::own::room::Room;
use engine::own::uses::Uses;
use engine::policy::{Access, OptionLimits};
use engine::select::cap::{Cap, Places};
use engine::select::look::Look;
use engine::select::rota::Scheduler;
use engine::select::slow_start::SlowStart;
use engine::select::sticky::Persistence;
use engine::tick::Tick;
use kit::farm::Farm;
use kit::growth::larger;
use kit::house::{House, Wire as _};
use kit::packet::Packet;
use kit::parts::cut;
use kit::story::{CLIENT, arp, data, ping, rrq, rrq_with};
use kit::world::{Via, rotas};
use lending::Lending;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use worker::latency;
use worker::news::{News, Return};

const WORKERS: u16 = 2;
/// Fewer than the requests of the flood: the table is full for a while.
const PLACES: u32 = 128;
/// Transfers of some backends at a time: as many as there are, but for the flood.
const LIMIT: u32 = 60;

/// A turn of each worker, watched.
fn turn(house: &mut House<Lending>) {
    let House { workers, now, .. } = house;
    let now = *now;
    let calls = calls(|| workers.iter_mut().for_each(|worker| worker.turn(now, Instant::now())));
    assert_eq!(calls, 0, "calls to the allocator in a turn");
}

fn pass(house: &mut House<Lending>, ticks: u32) {
    for _ in 0..ticks {
        house.now = house.now.after(1);
        turn(house);
    }
}

fn client(via: Via, net: u8, n: u16) -> SocketAddr {
    let [high, low] = n.to_be_bytes();
    SocketAddr::new(via.address([172, net, high, low]), 2070)
}

/// Transfers, all arriving at the first worker, until they are through.
fn transfers(house: &mut House<Lending>, net: u8) {
    let mut farm = Farm::default();
    for (n, via) in (0..10).flat_map(|n| Via::ALL.map(|via| (n, via))) {
        let client = client(via, net + via as u8, n);
        farm.get(client, via.vip(), 3000);
        farm.put(SocketAddr::new(client.ip(), 9), via.vip(), 2048);
    }
    for _ in 0..100 {
        let said = farm.says();
        for packet in farm.bypass(said) {
            house.arrive(0, packet);
        }
        turn(house);
        pass(house, 2);
        house.left().iter().for_each(|frame| farm.hears(frame));
        if farm.is_done() {
            return;
        }
    }
    panic!("not through");
}

/// Frames that end in an answer, at the kernel, or nowhere.
fn noise(house: &mut House<Lending>) {
    let stranger = client(Via::Nat, 99, 1).ip();
    for n in 0..200 {
        house.arrive(n % 2, arp(stranger, Via::Nat.vip().ip()));
        house.arrive(n % 2, arp(stranger, Via::Nat.station(0, 2)));
        house.arrive(n % 2, ping(stranger, Via::Nat.vip().ip(), 1, n as u16, b"hello"));
        house.arrive(
            n % 2,
            rrq(client(Via::Dsr, 99, n as u16), SocketAddr::new(Via::Dsr.vip().ip(), 7), ""),
        );
        house.arrive(n % 2, &[0u8; 40][..n % 40]);
        // Refused, limited, at its last hop, in parts of which the first one never comes.
        let (asks, via) = (client(Via::Snat6, 98, n as u16), Via::Snat6);
        house.arrive(n % 2, rrq(asks, via.vip(), "a/../secret/key"));
        let request = rrq_with(asks, via.vip(), "f", &[("blksize", 8192), ("multicast", 1)]);
        house.arrive(n % 2, &request);
        house.arrive(n % 2, Packet { ttl: 1, ..request });
        let upload = Packet { id: n as u16, ..data(asks, via.vip(), 1, 900) };
        house.arrive(n % 2, &cut(&upload, 400)[n % 3][..]);
    }
    pass(house, 30);
    house.left_to_kernel();
}

fn flood(house: &mut House<Lending>, n: u16) {
    for via in Via::ALL {
        for n in 0..n {
            house.arrive(
                usize::from(n % 2),
                rrq(client(via, 100 + via as u8, n), via.vip(), "flood"),
            );
        }
        pass(house, 40);
        house.left();
    }
}

#[test]
fn no_memory_is_taken_or_given_back_after_the_start() {
    let mut world = connections::world();
    world.services[usize::from(Via::Snat.service())].persistence =
        Some(Persistence { ticks: 50, prefixes: [24, 64] });
    world.services[usize::from(Via::Snat6.service())].access = Access {
        deny_files: vec!["secret/**".into()],
        max_requests: Some(100),
        ..Access::default()
    };
    world.services[usize::from(Via::Snat6.service())].options = OptionLimits {
        max_blksize: Some(1428),
        strip: vec!["multicast".into()],
        ..Default::default()
    };
    for (via, scheduler) in [
        (Via::Nat, Scheduler::LeastTransfers),
        (Via::Snat, Scheduler::SourceHash),
        (Via::Nat6, Scheduler::FileHash),
    ] {
        world.rotas[usize::from(via.service())] = rotas(via, scheduler, [2, 1]);
        for backend in [0, 1].map(|n| usize::from(via.backend(n))) {
            world.backends[backend].cap = Some(Cap::new(LIMIT, Places::default()));
            world.backends[backend].slow_start = Some(SlowStart { since: Tick(1000), ticks: 500 });
        }
    }
    let mut house = House::<Lending>::with(WORKERS, world.clone(), PLACES, |_| Lending::new(4096));
    // Whatever a thread does once.
    assert_eq!(calls(|| ()), 0);
    let seed = Seed([41, 42]);
    for round in 0..3 {
        let larger = larger(&world);
        transfers(&mut house, 16 + 8 * round);
        noise(&mut house);
        connections(&mut house, &world, round);
        for (number, desk) in (0..).zip(&house.desks) {
            let room = Room::between(&world, &larger, number, PLACES, seed);
            let room = room.expect("there is more");
            desk.news.push(News::Room(Box::new(room))).expect("room");
            desk.news.push(News::Uses(Box::new(Uses::of(&larger)))).expect("room");
            desk.news.push(News::Look(Box::new(Look::new(CLIENT.ip(), 0)))).expect("room");
            let found = Vec::with_capacity(20);
            let query = FlowQuery {
                service: None,
                client: None,
                found,
                connections: Vec::with_capacity(20),
                matching: 0,
                cursor: 0,
            };
            desk.news.push(News::Flows(Box::new(query))).expect("room");
            desk.news.push(News::Tables(Arc::new(larger.clone()))).expect("room");
            desk.news.push(News::Latencies(Box::new(latency::none()))).expect("room");
        }
        world = larger;
        flood(&mut house, 600);
        let answers = house.desks.iter().flat_map(|desk| std::iter::from_fn(|| desk.returns.pop()));
        let flows = answers.filter(|answer| matches!(answer, Return::Flows(_))).count();
        assert_eq!(flows, usize::from(WORKERS));
        pass(&mut house, 1300);
    }
    pass(&mut house, kit::connections::IDLE);
    let ledger = house.ledger();
    for counter in [
        "completed",
        "handed_over",
        "taken_over",
        "evicted",
        "unanswered",
        "answered",
        "to_kernel",
        "no-service",
        "truncated",
        "timed_out",
        "file",
        "held",
        "backends-full",
        "failed",
        "lost",
        "made",
        "bad-reset",
        "no-connection",
    ] {
        assert!(ledger.at(counter) > 0, "{counter}");
    }
    assert_eq!(ledger.at("started"), ledger.at("ended"));
    let mut caps = world.backends.iter().filter_map(|backend| backend.cap.as_ref());
    assert!(caps.all(|cap| cap.taken() == 0));
}

#[test]
fn the_allocator_counts() {
    // Black boxes: an optimiser leaves out what nobody sees.
    assert_eq!(calls(|| drop(black_box(Box::new(1)))), 2);
    let mut vec = black_box(vec![1]);
    assert_eq!(calls(|| black_box(&mut vec).reserve_exact(100)), 1);
}
