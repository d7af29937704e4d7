//! The ports of SNAT pools: who gets one, who gives way, and what may still come to one that was another's.

use engine::core::Core;
use engine::flow::hosts::Endpoint;
use engine::flow::ports::Rest;
use engine::here::By;
use engine::mode::rules;
use engine::reason::Reason;
use engine::select::rota::Scheduler;
use engine::tables::{Mode, Owner, Protocol};
use engine::verdict::Verdict;
use kit::connections::{Line, add};
use kit::field::endpoint;
use kit::gate::Gate;
use kit::story::{data, datagram, rrq};
use kit::talk::{Talk, ask, client, run};
use kit::world::{FLOWS, IDLE, Via, owner, rotas, tables};
use std::net::SocketAddr;
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};

const POOLS: [Via; 2] = [Via::Snat, Via::Snat6];
const SSH: u16 = 22;
const ECHO: u16 = 7;
/// Ports that an address has.
const ALL: u32 = 64_512;

/// Of the first address, only the first ports of this protocol are left; all others are somebody's.
pub fn leave_ports(gate: &mut Gate, protocol: u8, left: usize) {
    leave_ports_of(gate, Via::Snat, protocol, left);
}

pub fn leave_ports_of(gate: &mut Gate, via: Via, protocol: u8, left: usize) {
    let Core { tables, own } = &mut gate.core;
    let here = own.here(tables, gate.now, 0, By::Device);
    let rules = rules(&tables.services[usize::from(via.service())].mode);
    let backend = here.backend(via.backend(0));
    let host = own.hosts.enter(client(via, 0).ip()).expect("a name");
    let taken = std::iter::from_fn(|| {
        let client = Endpoint { host, port: 2070 };
        rules.seen_as(client, backend, protocol, &mut own.pools(&here)).ok()
    });
    for seen_as in taken.collect::<Vec<_>>().into_iter().take(left) {
        rules.release(seen_as.endpoint, protocol, Rest::NONE, &mut own.pools(&here));
    }
    gate.wait(1);
}

/// A world whose first SNAT address has so many ports left.
fn pool_of(left: usize) -> Gate {
    let mut gate = Gate::new();
    leave_ports(&mut gate, PROTOCOL_UDP, left);
    gate
}

/// The same of `via`, whose service has one backend alone.
fn pool_with_one_server(via: Via, left: usize) -> Gate {
    let mut gate = Gate::new();
    let service = usize::from(via.service());
    gate.change(|tables| tables.rotas[service] = rotas(via, Scheduler::RoundRobin, [1, 0]));
    leave_ports_of(&mut gate, via, PROTOCOL_UDP, left);
    gate
}

fn get(via: Via, n: u16) -> kit::packet::Packet {
    rrq(client(via, n), via.vip(), "f")
}

/// The rest of a download that runs.
fn completes(gate: &mut Gate, talk: Talk) {
    talk.client_gets(gate.take(talk.data(2, 7)), &talk.data(2, 7).payload);
    talk.server_gets(gate.take(talk.ack(2)), &talk.ack(2).payload);
}

#[test]
fn running_transfers_keep_their_ports_and_the_pool_is_empty() {
    for via in POOLS {
        let mut gate = pool_with_one_server(via, 2);
        let running = [0, 1].map(|n| run(&mut gate, via, client(via, n)));
        gate.moves();
        for n in 2..20 {
            gate.take(get(via, n)).dropped(Reason::SnatPoolEmpty);
        }
        gate.moved(&[("received", 18), ("snat-pool-empty", 18)]);
        completes(&mut gate, running[0]);
        // What is over is found in a few tries, as some more are looked at with each.
        let tries = (0..ALL / 64 + 1).take_while(|_| {
            gate.take(get(via, 30)).verdict == Verdict::Drop(Reason::SnatPoolEmpty)
        });
        assert!(tries.count() < (ALL / 64 + 1) as usize);
        assert_eq!(gate.transfer(client(via, 30)).seen_as, running[0].seen_as);
        completes(&mut gate, running[1]);
    }
}

#[test]
fn whoever_was_not_heard_again_gives_way() {
    for via in POOLS {
        let mut gate = pool_with_one_server(via, 2);
        let running = run(&mut gate, via, client(via, 0));
        let answered = ask(&mut gate, via, &get(via, 1)).with_tid(50_001);
        answered.client_gets(gate.take(answered.data(1, 512)), &answered.data(1, 512).payload);
        // They have a moment to hear each other.
        gate.take(get(via, 2)).dropped(Reason::SnatPoolEmpty);
        gate.wait(2);
        gate.moves();
        let next = ask(&mut gate, via, &get(via, 2)).with_tid(50_002);
        gate.moved(&[
            ("received", 1),
            ("transmitted", 1),
            ("started", 1),
            ("evicted", 1),
            ("ended", 1),
            ("packets_in", 1),
        ]);
        assert_eq!(next.seen_as, answered.seen_as);
        // The one before repeats itself, and is not taken for the new one.
        next.with_tid(50_001).server_is_told_off(gate.take(answered.data(1, 512)));
        next.client_gets(gate.take(next.data(1, 512)), &next.data(1, 512).payload);
        next.with_tid(50_001).server_is_told_off(gate.take(answered.data(1, 512)));
        completes(&mut gate, running);
    }
}

/// What comes late could not be told from the first answer to another request.
#[test]
fn an_unanswered_request_keeps_its_port_from_others_of_its_server_for_a_while() {
    for via in POOLS {
        let mut gate = pool_with_one_server(via, 1);
        let unanswered = ask(&mut gate, via, &get(via, 0));
        gate.wait(39);
        gate.take(get(via, 1)).dropped(Reason::SnatPoolEmpty);
        gate.wait(1);
        assert_eq!(ask(&mut gate, via, &get(via, 1)).seen_as, unanswered.seen_as);
        gate.wait(2);
        // Another server has never heard of it.
        let service = usize::from(via.service());
        gate.change(|tables| tables.rotas[service] = rotas(via, Scheduler::RoundRobin, [0, 1]));
        assert_eq!(ask(&mut gate, via, &get(via, 2)).seen_as, unanswered.seen_as);
    }
}

/// The two that had the port before may still be talking.
#[test]
fn no_earlier_tid_of_a_port_is_believed_while_its_server_may_be_talking() {
    let via = Via::Snat;
    let mut gate = pool_with_one_server(via, 1);
    let mut before = vec![];
    for n in 0..2 {
        let talk = ask(&mut gate, via, &get(via, n)).with_tid(50_000 + n);
        let _ = gate.take(talk.data(1, 512)).sent();
        let _ = gate.take(talk.ack(1)).sent();
        let _ = gate.take(talk.client_error(3)).sent();
        before.push(talk);
        gate.wait(50);
        assert!(gate.transfers().is_empty());
    }
    gate.wait(IDLE - 20);
    let talk = ask(&mut gate, via, &get(via, 3)).with_tid(40_000);
    for before in before {
        before.server_is_told_off(gate.take(before.data(2, 512)));
    }
    talk.client_gets(gate.take(talk.data(1, 512)), &talk.data(1, 512).payload);
    gate.wait(IDLE + 100);
    let talk = ask(&mut gate, via, &get(via, 4)).with_tid(50_000);
    talk.client_gets(gate.take(talk.data(1, 512)), &talk.data(1, 512).payload);
}

/// At 1,500 a second, more than an address has ports: requests that nobody answers, and requests that are answered.
#[test]
fn a_flood_of_requests_in_others_names_shuts_nobody_out() {
    for (via, is_answered) in [(Via::Snat, false), (Via::Snat, true), (Via::Snat6, false)] {
        let mut gate = Gate::new();
        for n in 0..ALL + 2000 {
            let request = rrq(endpoint(via, n), via.vip(), "flood");
            let talk = ask(&mut gate, via, &request);
            if is_answered {
                let _ = gate.take(talk.data(1, 512)).sent();
            }
            gate.wait(u32::from(n % 150 == 149));
        }
        for n in 0..200 {
            let talk = run(&mut gate, via, client(via, n)).with_tid(50_000);
            completes(&mut gate, talk);
        }
    }
}

#[test]
fn tcp_and_udp_don_t_use_up_each_other_s_ports() {
    let via = Via::Snat;
    for (empty, other) in [(PROTOCOL_TCP, PROTOCOL_UDP), (PROTOCOL_UDP, PROTOCOL_TCP)] {
        let mut tables = tables();
        add(&mut tables, Protocol::Tcp, SSH, [1, 1]);
        let mut gate = Gate::with(tables, FLOWS);
        leave_ports(&mut gate, empty, 0);
        let syn = Line::new(via, client(via, 1), SSH).from_client("S", "");
        if other == PROTOCOL_UDP {
            gate.take(syn).dropped(Reason::SnatPoolEmpty);
            let talk = run(&mut gate, via, client(via, 0));
            completes(&mut gate, talk);
        } else {
            gate.take(get(via, 0)).dropped(Reason::SnatPoolEmpty);
            Line::open(&mut gate, via, client(via, 1), SSH);
        }
    }
}

/// The same number over TCP and UDP is two endpoints, also to an error about one of them.
#[test]
fn the_same_port_of_both_protocols_is_two() {
    for via in POOLS {
        let mut tables = tables();
        add(&mut tables, Protocol::Tcp, SSH, [1, 1]);
        let mut gate = Gate::with(tables, FLOWS);
        let mut line = Line::open(&mut gate, via, client(via, 1), SSH);
        let talk = run(&mut gate, via, client(via, 2));
        assert_eq!(line.seen_as, talk.seen_as);
        line.client_says(&mut gate, "AP", "hello");
        line.server_says(&mut gate, "AP", "hello");
        completes(&mut gate, talk);
        line.client_says(&mut gate, "AP", "still here");
    }
}

#[test]
fn datagrams_and_transfers_share_the_ports_of_udp() {
    let via = Via::Snat;
    let mut tables = tables();
    add(&mut tables, Protocol::Udp, ECHO, [1, 1]);
    let mut gate = Gate::with(tables, FLOWS);
    leave_ports(&mut gate, PROTOCOL_UDP, 2);
    let vip = SocketAddr::new(via.vip().ip(), ECHO);
    let sent = gate.take(datagram(client(via, 1), vip, b"echo")).sent();
    let talk = run(&mut gate, via, client(via, 2));
    assert_ne!(sent.source, talk.seen_as);
    gate.wait(40);
    // Nobody has answered it.
    let next = run(&mut gate, via, client(via, 3));
    assert_eq!(sent.source, next.seen_as);
    gate.take(get(via, 4)).dropped(Reason::SnatPoolEmpty);
}

#[test]
fn ports_are_used_in_order() {
    let via = Via::Snat;
    let mut gate = pool_of(3);
    let first = run(&mut gate, via, client(via, 0));
    completes(&mut gate, first);
    gate.wait(50);
    assert_ne!(run(&mut gate, via, client(via, 1)).seen_as, first.seen_as);
    assert_ne!(run(&mut gate, via, client(via, 2)).seen_as, first.seen_as);
    assert_eq!(run(&mut gate, via, client(via, 3)).seen_as, first.seen_as);
}

#[test]
fn a_request_that_finds_no_place_gives_its_port_back() {
    let via = Via::Snat;
    let mut gate = pool_of(FLOWS as usize + 1);
    for n in 0..FLOWS as u16 {
        run(&mut gate, via, client(via, n));
    }
    for _ in 0..3 {
        gate.take(rrq(client(via, 1000), via.vip(), "f")).dropped(Reason::FlowTableFull);
    }
}

#[test]
fn a_second_pool_address_takes_over() {
    let via = Via::Snat;
    let more = via.station(0, 111);
    let mut tables = tables();
    tables.snat.push(more.into());
    tables.addresses.insert(more, Owner::Snat(2));
    let mut gate = Gate::with(tables, FLOWS);
    leave_ports(&mut gate, PROTOCOL_UDP, 2);
    let service = usize::from(via.service());
    gate.change(|tables| tables.services[service].mode = Mode::Snat(vec![0, 2]));
    let mut seen: Vec<_> =
        (0..4).map(|n| run(&mut gate, via, client(via, n)).seen_as.ip()).collect();
    seen.sort();
    assert_eq!(seen, [via.snat(), via.snat(), more, more]);
}

#[test]
fn a_pool_of_both_versions_shows_each_server_its_own() {
    for via in [Via::Snat, Via::Snat6] {
        let mut gate = Gate::new();
        let service = usize::from(via.service());
        gate.change(|tables| tables.services[service].mode = Mode::Snat(vec![0, 1]));
        for n in 0..4 {
            let talk = ask(&mut gate, via, &get(via, n));
            assert_eq!(talk.seen_as.ip(), via.snat());
        }
    }
}

/// Addresses can be chosen so that one worker owns all of them.
#[test]
fn a_worker_whose_clients_are_many_borrows_from_the_others() {
    const WORKERS: u16 = 4;
    for via in POOLS {
        let world = tables();
        let mut gates: Vec<_> =
            (0..WORKERS).map(|n| Gate::one_of(n, WORKERS, world.clone(), FLOWS)).collect();
        let right = owner(via.client().ip(), WORKERS);
        leave_own_part(&mut gates[usize::from(right)], via, ALL / u32::from(WORKERS));
        let talk = run(&mut gates[usize::from(right)], via, via.client());
        for (worker, gate) in (0..).zip(&mut gates) {
            let block = data(talk.server, talk.seen_as, 2, 7);
            if worker == right {
                talk.client_gets(gate.take(block), &talk.data(2, 7).payload);
            } else {
                assert_eq!(gate.take(block).verdict, Verdict::HandOver(right), "{via:?}");
            }
        }
        // The others' clients still get theirs.
        let others = (0..).map(|n| client(via, n));
        for client in others.filter(|client| owner(client.ip(), WORKERS) != right).take(20) {
            let gate = &mut gates[usize::from(owner(client.ip(), WORKERS))];
            let talk = run(gate, via, client);
            completes(gate, talk);
        }
    }
}

/// Of a worker's, so many ports are somebody's.
fn leave_own_part(gate: &mut Gate, via: Via, taken: u32) {
    let Core { tables, own } = &mut gate.core;
    let here = own.here(tables, gate.now, 0, By::Device);
    let rules = rules(&tables.services[usize::from(via.service())].mode);
    let host = own.hosts.enter(client(via, 0).ip()).expect("a name");
    let backend = here.backend(via.backend(0));
    for _ in 0..taken {
        let client = Endpoint { host, port: 2070 };
        rules.seen_as(client, backend, PROTOCOL_UDP, &mut own.pools(&here)).expect("a port");
    }
}
