//! After its start a worker neither takes memory nor gives any back: counted by the allocator itself, over transfers
//! and connections in all modes, hand-over, expiry, full tables, queries and new snapshots.

mod connections;
mod counting;
mod lending;
mod sync;

use connections::connections;
use counting::calls;
use engine::flow::hash::Seed;
use engine::flow::query::FlowQuery;
use engine::scheduler::backend_group::Scheduler;
use engine::scheduler::persistence::Persistence;
use engine::scheduler::slow_start::SlowStart;
use engine::scheduler::transfer_limit::{Places, TransferLimit};
use engine::snapshot::access::Access;
use engine::snapshot::option_limits::OptionLimits;
use engine::state::explain::SelectionTrace;
use engine::state::references::References;
use engine::state::resize::Resize;
use engine::types::id::ServiceId;
use engine::types::tick::Tick;
use kit::farm::Farm;
use kit::fragments::cut;
use kit::growth::larger;
use kit::packet::Packet;
use kit::packets::{CLIENT, arp, data, ping, rrq, rrq_with};
use kit::topology::{Via, groups};
use kit::worker_set::{Wire as _, WorkerSet};
use lending::Lending;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use worker::command_channel::{Command, Query, Reply};
use worker::latency;

const WORKERS: u16 = 2;
/// Rows of the transfer table. The flood has more requests: the table is full for a while.
const PLACES: u32 = 128;
/// Transfers of some backends at a time: as many as there are, but for the flood.
const LIMIT: u32 = 60;

/// A turn of each worker, watched.
fn turn(set: &mut WorkerSet<Lending>) {
    let WorkerSet { workers, now, .. } = set;
    let now = *now;
    let calls = calls(|| workers.iter_mut().for_each(|worker| worker.turn(now, Instant::now())));
    assert_eq!(calls, 0, "calls to the allocator in a turn");
}

fn pass(set: &mut WorkerSet<Lending>, ticks: u32) {
    for _ in 0..ticks {
        set.now = set.now.after(1);
        turn(set);
    }
}

fn client(via: Via, net: u8, n: u16) -> SocketAddr {
    let [high, low] = n.to_be_bytes();
    SocketAddr::new(via.address([172, net, high, low]), 2070)
}

/// Transfers, all arriving at the first worker, until they are through.
fn transfers(set: &mut WorkerSet<Lending>, net: u8) {
    let mut farm = Farm::default();
    for (n, via) in (0..10).flat_map(|n| Via::ALL.map(|via| (n, via))) {
        let client = client(via, net + via as u8, n);
        farm.get(client, via.vip(), 3000);
        farm.put(SocketAddr::new(client.ip(), 9), via.vip(), 2048);
    }
    for _ in 0..100 {
        let said = farm.says();
        for packet in farm.bypass(said) {
            set.arrive(0, packet);
        }
        turn(set);
        pass(set, 2);
        set.left().iter().for_each(|frame| farm.hears(frame));
        if farm.is_done() {
            return;
        }
    }
    panic!("not through");
}

/// Frames that end in an answer, at the kernel, or nowhere.
fn noise(set: &mut WorkerSet<Lending>) {
    let stranger = client(Via::Nat, 99, 1).ip();
    for n in 0..200 {
        set.arrive(n % 2, arp(stranger, Via::Nat.vip().ip()));
        set.arrive(n % 2, arp(stranger, Via::Nat.host(0, 2)));
        set.arrive(n % 2, ping(stranger, Via::Nat.vip().ip(), 1, n as u16, b"hello"));
        set.arrive(
            n % 2,
            rrq(client(Via::Dsr, 99, n as u16), SocketAddr::new(Via::Dsr.vip().ip(), 7), ""),
        );
        set.arrive(n % 2, &[0u8; 40][..n % 40]);
        // Refused, limited, at its last hop, in parts of which the first one never comes.
        let (asks, via) = (client(Via::Snat6, 98, n as u16), Via::Snat6);
        set.arrive(n % 2, rrq(asks, via.vip(), "a/../secret/key"));
        let request = rrq_with(asks, via.vip(), "f", &[("blksize", 8192), ("multicast", 1)]);
        set.arrive(n % 2, &request);
        set.arrive(n % 2, Packet { ttl: 1, ..request });
        let upload = Packet { id: n as u16, ..data(asks, via.vip(), 1, 900) };
        set.arrive(n % 2, &cut(&upload, 400)[n % 3][..]);
    }
    pass(set, 30);
    set.left_to_kernel();
}

fn flood(set: &mut WorkerSet<Lending>, n: u16) {
    for via in Via::ALL {
        for n in 0..n {
            set.arrive(
                usize::from(n % 2),
                rrq(client(via, 100 + via as u8, n), via.vip(), "flood"),
            );
        }
        pass(set, 40);
        set.left();
    }
}

#[test]
fn no_memory_is_taken_or_given_back_after_the_start() {
    let mut world = connections::world();
    world[Via::Snat.service()].persistence = Some(Persistence { ticks: 50, prefixes: [24, 64] });
    world[Via::Snat6.service()].access = Access {
        deny_files: vec!["secret/**".into()],
        max_requests: Some(100),
        ..Access::default()
    };
    world[Via::Snat6.service()].options = OptionLimits {
        max_blksize: Some(1428),
        strip: vec!["multicast".into()],
        ..Default::default()
    };
    for (via, scheduler) in [
        (Via::Nat, Scheduler::LeastTransfers),
        (Via::Snat, Scheduler::SourceHash),
        (Via::Nat6, Scheduler::FileHash),
    ] {
        world[via.group()] = groups(via, scheduler, [2, 1]);
        for backend in [0, 1].map(|n| usize::from(via.backend(n))) {
            world.backends[backend].cap = Some(TransferLimit::new(LIMIT, Places::default()));
            world.backends[backend].slow_start = Some(SlowStart { since: Tick(1000), ticks: 500 });
        }
    }
    let mut set =
        WorkerSet::<Lending>::with(WORKERS, world.clone(), PLACES, |_| Lending::new(4096));
    // Whatever a thread does once.
    assert_eq!(calls(|| ()), 0);
    let seed = Seed([41, 42]);
    for round in 0..3 {
        let larger = larger(&world);
        transfers(&mut set, 16 + 8 * round);
        noise(&mut set);
        connections(&mut set, &world, round);
        for (number, channel) in (0..).zip(&set.channels) {
            let room = Resize::between(&world, &larger, number, PLACES, seed);
            let room = room.expect("there is more");
            channel.commands.push(Command::Resize(Box::new(room))).expect("room");
            channel
                .commands
                .push(Command::Query(Query::References(Box::new(References::of(&larger)))))
                .expect("room");
            channel
                .commands
                .push(Command::Query(Query::Selection(Box::new(SelectionTrace::new(
                    CLIENT.ip(),
                    ServiceId(0),
                )))))
                .expect("room");
            let found = Vec::with_capacity(20);
            let query = FlowQuery {
                service: None,
                client: None,
                found,
                connections: Vec::with_capacity(20),
                matching: 0,
                cursor: 0,
            };
            channel.commands.push(Command::Query(Query::Flows(Box::new(query)))).expect("room");
            channel.commands.push(Command::Snapshot(Arc::new(larger.clone()))).expect("room");
            channel
                .commands
                .push(Command::Query(Query::Latencies(Box::new(latency::none()))))
                .expect("room");
        }
        world = larger;
        flood(&mut set, 600);
        let answers =
            set.channels.iter().flat_map(|channel| std::iter::from_fn(|| channel.replies.pop()));
        let flows =
            answers.filter(|answer| matches!(answer, Reply::Query(Query::Flows(_)))).count();
        assert_eq!(flows, usize::from(WORKERS));
        pass(&mut set, 1300);
    }
    pass(&mut set, kit::connections::IDLE);
    let counter_values = set.counter_values();
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
        assert!(counter_values.at(counter) > 0, "{counter}");
    }
    assert_eq!(counter_values.at("started"), counter_values.at("ended"));
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
