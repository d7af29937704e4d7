//! Full tables, empty pools.

use engine::flow::view::State;
use engine::reason::Reason;
use kit::gate::Gate;
use kit::story::rrq;
use kit::talk::{ask, client, run};
use kit::world::{FLOWS, IDLE, SNAT, Via, tables};

#[test]
fn a_full_table_forgets_the_oldest_unanswered_request() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        let running = run(&mut gate, via, client(via, 0));
        for n in 1..FLOWS as u16 {
            ask(&mut gate, via, &rrq(client(via, n), via.vip(), "boot.img"));
        }
        // The oldest one has been answered meanwhile.
        let second = gate.transfer(client(via, 1));
        assert_eq!(second.state, State::Requested);
        gate.moves();
        ask(&mut gate, via, &rrq(client(via, 1000), via.vip(), "boot.img"));
        gate.moved(&[
            ("received", 1),
            ("transmitted", 1),
            ("started", 1),
            ("packets_in", 1),
            ("evicted", 1),
            ("ended", 1),
        ]);
        let left: Vec<_> = gate.transfers().iter().map(|view| view.client).collect();
        assert!(!left.contains(&client(via, 1)) && left.contains(&client(via, 2)));
        assert!(left.contains(&running.client));
    }
}

#[test]
fn an_ended_transfer_makes_room() {
    let via = Via::Nat;
    let mut gate = Gate::new();
    let ended = run(&mut gate, via, client(via, 0));
    let _ = gate.take(ended.data(2, 1)).sent();
    let _ = gate.take(ended.ack(2)).sent();
    for n in 1..FLOWS as u16 {
        run(&mut gate, via, client(via, n));
    }
    gate.moves();
    ask(&mut gate, via, &rrq(client(via, 1000), via.vip(), "boot.img"));
    // It was counted when it ended.
    gate.moved(&[("received", 1), ("transmitted", 1), ("started", 1), ("packets_in", 1)]);
    assert!(gate.transfers().iter().all(|view| view.client != client(via, 0)));
}

#[test]
fn a_table_full_of_running_transfers_takes_no_more() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        for n in 0..FLOWS as u16 {
            run(&mut gate, via, client(via, n));
        }
        gate.moves();
        gate.take(rrq(client(via, 1000), via.vip(), "boot.img")).dropped(Reason::FlowTableFull);
        gate.moved(&[("received", 1), ("flow-table-full", 1)]);
        // Another request of a known endpoint has the place of the one that does not go on.
        gate.take(rrq(client(via, 3), via.vip(), "other")).dropped(Reason::FlowTableFull);
        gate.wait(20);
        ask(&mut gate, via, &rrq(client(via, 3), via.vip(), "other"));
        gate.wait(IDLE);
        assert!(gate.transfers().is_empty());
        ask(&mut gate, via, &rrq(client(via, 1000), via.vip(), "boot.img"));
    }
}

#[test]
fn a_flood_of_requests_leaves_running_transfers_alone() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        let running: Vec<_> =
            (0..FLOWS as u16 / 2).map(|n| run(&mut gate, via, client(via, n))).collect();
        for n in 0..10 * FLOWS as u16 {
            ask(&mut gate, via, &rrq(client(via, 1000 + n), via.vip(), "flood"));
        }
        for talk in running {
            if !via.is_dsr() {
                talk.client_gets(gate.take(talk.data(2, 10)), &talk.data(2, 10).payload);
            }
            let _ = gate.take(talk.ack(2)).sent();
        }
        let counters = &gate.core.own.counters;
        let ended =
            [0, 1].map(|n| counters.backends[usize::from(via.backend(n))].completed.value());
        let completed = if via.is_dsr() { 0 } else { FLOWS / 2 };
        assert_eq!(ended.iter().sum::<u64>(), u64::from(completed));
        assert_eq!(gate.transfers().len(), FLOWS as usize);
    }
}

#[test]
fn an_empty_pool_is_counted_and_fills_again() {
    let via = Via::Snat;
    let mut gate = pool_of(2);
    let (first, _second) = (
        run(&mut gate, via, client(via, 0)),
        ask(&mut gate, via, &rrq(client(via, 1), via.vip(), "f")),
    );
    assert_eq!(first.seen_as.ip(), SNAT);
    gate.moves();
    gate.take(rrq(client(via, 2), via.vip(), "f")).dropped(Reason::SnatPoolEmpty);
    gate.moved(&[("received", 1), ("snat-pool-empty", 1)]);
    assert_eq!(gate.transfers().len(), 2);

    // A transfer that ended well gives its port back at once when it is forgotten.
    let _ = gate.take(first.data(2, 0)).sent();
    let _ = gate.take(first.ack(2)).sent();
    gate.take(rrq(client(via, 2), via.vip(), "f")).dropped(Reason::SnatPoolEmpty);
    gate.wait(50);
    let third = ask(&mut gate, via, &rrq(client(via, 2), via.vip(), "f"));
    assert_eq!(third.seen_as, first.seen_as);
}

#[test]
fn ports_are_used_in_order() {
    let via = Via::Snat;
    let mut gate = pool_of(2);
    let first = run(&mut gate, via, client(via, 0));
    let _ = gate.take(first.data(2, 0)).sent();
    let _ = gate.take(first.ack(2)).sent();
    gate.wait(50);
    assert_ne!(run(&mut gate, via, client(via, 1)).seen_as, first.seen_as);
    assert_eq!(run(&mut gate, via, client(via, 2)).seen_as, first.seen_as);
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
fn a_port_rests_after_an_unclean_end() {
    let via = Via::Snat;
    let mut gate = pool_of(2);
    let talk = run(&mut gate, via, client(via, 0));
    ask(&mut gate, via, &rrq(client(via, 1), via.vip(), "f"));
    let _ = gate.take(talk.client_error(3)).sent();
    gate.wait(50);
    assert_eq!(gate.transfers().len(), 1, "forgotten");
    gate.take(rrq(client(via, 2), via.vip(), "f")).dropped(Reason::SnatPoolEmpty);
    gate.wait(IDLE - 50 - 10);
    // The second one stays alive.
    ask(&mut gate, via, &rrq(client(via, 1), via.vip(), "f"));
    gate.wait(639 - (IDLE - 50 - 10));
    gate.take(rrq(client(via, 2), via.vip(), "f")).dropped(Reason::SnatPoolEmpty);
    gate.wait(1);
    assert_eq!(ask(&mut gate, via, &rrq(client(via, 2), via.vip(), "f")).seen_as, talk.seen_as);
}

#[test]
fn a_second_pool_address_takes_over() {
    let via = Via::Snat;
    let more = via.station(0, 111);
    // Worker 234 of so many has clients, and two ports of each address.
    let mut gate = with_workers(30_000, |tables| {
        tables.snat.push(more);
        tables.addresses.insert(more, engine::tables::Owner::Snat(2));
        let service = &mut tables.services[usize::from(via.service())];
        service.mode = engine::tables::Mode::Snat(vec![0, 2]);
    });
    let own = (0..4).map(|n| owned_client(30_000, n));
    let mut seen: Vec<_> =
        own.map(|client| ask(&mut gate, via, &rrq(client, via.vip(), "f")).seen_as.ip()).collect();
    seen.sort();
    assert_eq!(seen, [via.snat(), via.snat(), more, more]);
}

/// A world whose SNAT address has so many ports left.
fn pool_of(left: usize) -> Gate {
    let mut gate = Gate::with(tables(), FLOWS);
    let ports = (1024..=u16::MAX).count();
    drain(&mut gate, ports - left);
    gate
}

/// Uses up ports of the pool, without leaving transfers behind.
pub fn drain(gate: &mut Gate, ports: usize) {
    let via = Via::Snat;
    let engine::core::Core { tables, own } = &mut gate.core;
    let here = own.here(tables, gate.now, 0, engine::here::By::Device);
    let rules = engine::mode::rules(&tables.services[usize::from(via.service())].mode);
    let host = own.hosts.enter(client(via, 0).ip()).expect("a name");
    let endpoint = engine::flow::hosts::Endpoint { host, port: 2070 };
    for _ in 0..ports {
        rules.seen_as(endpoint, &via.server(0), &mut own.pools(&here)).expect("a port");
    }
}

fn with_workers(workers: u16, change: impl FnOnce(&mut engine::tables::Tables)) -> Gate {
    let mut tables = tables();
    change(&mut tables);
    Gate::one_of(234, workers, tables, FLOWS)
}

/// The `n`th client that worker 234 of so many owns.
fn owned_client(workers: u16, n: usize) -> std::net::SocketAddr {
    let all = (0..u32::MAX).map(|bits| std::net::Ipv4Addr::from_bits(0x0b00_0000 + bits));
    let mut own = all.filter(|&ip| engine::steer::owner(ip, workers) == 234);
    std::net::SocketAddr::from((own.nth(n).expect("some"), 2070))
}

#[test]
fn a_pool_of_both_versions_shows_each_server_its_own() {
    for via in [Via::Snat, Via::Snat6] {
        let mut gate = Gate::new();
        let service = usize::from(via.service());
        gate.change(|tables| {
            tables.services[service].mode = engine::tables::Mode::Snat(vec![0, 1]);
        });
        for n in 0..4 {
            let talk = ask(&mut gate, via, &rrq(client(via, n), via.vip(), "f"));
            assert_eq!(talk.seen_as.ip(), via.snat());
        }
    }
}
