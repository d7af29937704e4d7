//! Fragments of connections' datagrams take the same path as whole datagrams.

use engine::flow::state::ConnectionState;
use engine::net::address_map::Owner;
use engine::snapshot::{Protocol, Snapshot};
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use etherparse::IpNumber;
use kit::connections::{add, add_rules, snapshot};
use kit::engine_harness::EngineHarness;
use kit::fragments::{Joiner, cut, joined};
use kit::icmp_error::TOO_BIG;
use kit::packet::Packet;
use kit::packets::{data, datagram, fragment, rrq};
use kit::topology::{self, FLOWS, OUTSIDE, Via, interface, mac, owner};
use kit::transfer::{client, run};
use std::net::SocketAddr;

const PORT: u16 = 7007;

fn gate() -> EngineHarness {
    EngineHarness::with(snapshot(Protocol::Udp, PORT), FLOWS)
}

fn vip(via: Via) -> SocketAddr {
    SocketAddr::new(via.vip().ip(), PORT)
}

/// A datagram of two full fragments and a third.
fn large(from: SocketAddr, to: SocketAddr) -> Packet {
    let payload: Vec<u8> = (0..1000u16).map(|n| (n % 251) as u8).collect();
    Packet { id: 7001, ..datagram(from, to, &payload) }
}

/// A client sends a request; returns the packet that the server gets.
#[track_caller]
fn ask(gate: &mut EngineHarness, client: SocketAddr, via: Via) -> Packet {
    gate.take(datagram(client, vip(via), b"question")).sent()
}

#[test]
fn they_go_to_one_server_and_back_in_every_mode() {
    for via in Via::ALL {
        let mut gate = gate();
        let question = large(via.client(), vip(via));
        let mut lengths = [0; 2];
        let mut bytes = |side: usize, frames: &[Vec<u8>]| {
            lengths[side] += frames.iter().map(|frame| frame.len() as u64 - 14).sum::<u64>();
        };
        let frames = cut(&question, 400);
        bytes(0, &frames);
        let heard = joined(&mut gate, frames);
        assert_eq!((&heard.payload, heard.to), (&question.payload, mac(via.server(0))), "{via:?}");
        let moved = [("received", 3), ("started", 1), ("transmitted", 3), ("packets_in", 3)];
        gate.moved(&moved);
        if via.is_dsr() {
            let ends = (heard.source, heard.destination, heard.ttl);
            assert_eq!(ends, (question.source, question.destination, 64));
        } else {
            let server = SocketAddr::new(via.server(0), PORT);
            assert_eq!((heard.destination, heard.ttl), (server, 63));
            let answer = large(server, heard.source);
            let frames = cut(&answer, 496);
            bytes(1, &frames);
            let heard = joined(&mut gate, frames);
            assert_eq!((heard.source, heard.destination), (vip(via), via.client()), "{via:?}");
            assert_eq!((heard.payload, heard.ttl), (answer.payload, 63));
            gate.moved(&[("received", 3), ("transmitted", 3), ("packets_out", 3)]);
            assert_eq!(gate.connections()[0].state, ConnectionState::Open);
        }
        let [connection] = &gate.connections()[..] else { panic!("one connection") };
        assert_eq!([connection.bytes_in, connection.bytes_out], lengths, "{via:?}");
    }
}

#[test]
fn each_fragment_keeps_its_connection_alive() {
    for via in Via::ALL {
        let mut gate = gate();
        let _ = ask(&mut gate, via.client(), via);
        gate.wait(100);
        let parts = cut(&large(via.client(), vip(via)), 400);
        for part in parts {
            gate.wait(5);
            assert_eq!(gate.take(part).verdict, Verdict::Transmit(interface(via.server(0))));
            assert_eq!(gate.connections()[0].idle, 0, "{via:?}");
        }
    }
}

#[test]
fn fragments_before_the_first_are_held() {
    for via in Via::ALL {
        let mut gate = gate();
        let [first, second, third] = &cut(&large(via.client(), vip(via)), 400)[..] else {
            panic!()
        };
        assert_eq!(gate.take(&third[..]).verdict, Verdict::Hold(0), "{via:?}");
        assert_eq!(gate.take(&second[..]).verdict, Verdict::Hold(1));
        assert!(matches!(gate.take(&first[..]).verdict, Verdict::Transmit(_)));
        assert_eq!(*gate.engine.released(), [0, 1], "in the order in which they came");
    }
}

/// Behind one SNAT address, two clients' datagrams may have the same identification.
#[test]
fn servers_do_not_mix_two_clients_datagrams() {
    for via in [Via::Snat, Via::Snat46, Via::Snat64] {
        let mut gate = gate();
        let clients = [1, 3].map(|n| {
            let _ = ask(&mut gate, client(via, n + 100), via);
            let heard = ask(&mut gate, client(via, n), via);
            (client(via, n), heard)
        });
        assert_eq!(clients[0].1.destination, clients[1].1.destination);
        let parts = clients.each_ref().map(|(client, _)| cut(&large(*client, vip(via)), 400));
        let mut joiner = Joiner::default();
        let mut whole = vec![];
        for n in 0..3 {
            for parts in &parts {
                whole.extend(joiner.take(gate.take(&parts[n][..]).bytes));
            }
        }
        let from: Vec<_> = whole.iter().map(|frame| Packet::read(frame).source).collect();
        assert_eq!(from, clients.map(|(_, heard)| heard.source), "{via:?}");
    }
}

/// A datagram without checksum stays without; IPv6 requires one, which cannot be computed from a fragment (RFC 7915
/// §4.5).
#[test]
fn unsummed_datagrams_stay_so() {
    for via in [Via::Dsr, Via::Nat, Via::Snat] {
        let mut gate = gate();
        let heard = joined(&mut gate, cut(&large(via.client(), vip(via)).unsummed(), 400));
        assert!(!heard.summed, "{via:?}");
    }
    let via = Via::Snat46;
    let first = &cut(&large(via.client(), vip(via)).unsummed(), 400)[0];
    gate().take(&first[..]).dropped(DropReason::BadUdp);
}

#[test]
fn fragments_that_can_t_go_on() {
    for via in Via::SEEN {
        let mut gate = gate();
        let last = Packet { ttl: 1, ..large(via.client(), vip(via)) };
        let parts = cut(&last, 400);
        assert_eq!(gate.take(&parts[0][..]).verdict, Verdict::Answer, "{via:?}: it is told");
        gate.take(&parts[1][..]).dropped(DropReason::TtlExpired);
        // Fragmentation is forbidden, though the first fragment was forwarded.
        let parts = cut(&Packet { id: 7002, ttl: 64, ..last.clone() }, 400);
        let _ = gate.take(&parts[0][..]);
        let late = cut(&Packet { id: 7002, ..last }, 400);
        gate.take(&late[1][..]).dropped(DropReason::TtlExpired);
        let narrow = |gate: &mut EngineHarness, mtu| {
            gate.change(|snapshot| snapshot.interfaces.iter_mut().for_each(|one| one.mtu = mtu));
        };
        narrow(&mut gate, 200);
        gate.take(&parts[2][..]).dropped(DropReason::TooBig);
        narrow(&mut gate, 1350);
        let longer = Packet { id: 7003, payload: vec![7; 3000], ..large(via.client(), vip(via)) };
        // Translation to IPv6 adds a longer header and a fragment header.
        let mtu = match via {
            Via::Snat46 => 1350 - 20 - 8,
            Via::Snat64 => 1350 + 20,
            _ => 1350,
        };
        let first = &cut(&longer, 1352)[0];
        gate.take(&first[..]).told(via.vip().ip(), TOO_BIG[via.family()], mtu);
    }
}

/// The connection was given up between the fragments.
#[test]
fn fragments_of_an_ended_connection_go_nowhere() {
    for via in Via::ALL {
        let mut gate = gate();
        gate.change(|snapshot| snapshot.services.iter_mut().for_each(|one| one.idle_timeout = 10));
        let parts = cut(&large(via.client(), vip(via)), 400);
        let _ = gate.take(&parts[0][..]);
        gate.wait(15);
        assert!(gate.connections().is_empty());
        gate.take(&parts[1][..]).dropped(DropReason::NoTransfer);
    }
}

#[test]
fn transfers_and_connections_of_one_client_do_not_meet() {
    for via in Via::SEEN {
        let mut gate = gate();
        let transfer = run(&mut gate, via, via.client());
        let heard = ask(&mut gate, via.client(), via);
        let server = heard.destination;
        for (id, from, to, seen) in [
            (1, transfer.client, transfer.vip_tid(), (transfer.seen_as, transfer.server)),
            (2, via.client(), vip(via), (heard.source, server)),
            (3, transfer.server, transfer.seen_as, (transfer.vip_tid(), transfer.client)),
            (4, server, heard.source, (vip(via), via.client())),
        ] {
            let sent = Packet { id, ..data(from, to, 2, 1000) };
            let heard = joined(&mut gate, cut(&sent, 400));
            assert_eq!((heard.source, heard.destination), seen, "{via:?} {id}");
        }
    }
}

/// Any host may open connections.
#[test]
fn a_flood_of_first_fragments_costs_no_transfer() {
    for via in Via::ALL {
        let mut gate = gate();
        let transfer = run(&mut gate, via, via.client());
        let running = cut(&data(via.client(), transfer.vip_tid(), 2, 1000), 400);
        let _ = gate.take(&running[0][..]);
        for n in 0..5000u16 {
            let from = SocketAddr::new(via.client().ip(), 10_000 + n);
            let flood = Packet { id: 20_000 + n, ..large(from, vip(via)) };
            let _ = gate.take(&cut(&flood, 400)[0][..]);
        }
        for frame in &running[1..] {
            assert!(matches!(gate.take(&frame[..]).verdict, Verdict::Transmit(_)), "{via:?}");
        }
    }
}

/// The port of a SNAT address determines the worker, and only the first fragment carries it.
#[test]
fn the_sender_s_worker_looks_after_fragments_until_the_first_has_come() {
    let workers = 3;
    for via in Via::ALL {
        let right = owner(via.client().ip(), workers);
        let world = snapshot(Protocol::Udp, PORT);
        let mut gates: Vec<_> =
            (0..workers).map(|n| EngineHarness::one_of(n, workers, world.clone(), FLOWS)).collect();
        let parts = cut(&large(via.client(), vip(via)), 400);
        for worker in (0..workers).filter(|&worker| worker != right) {
            let gate = &mut gates[usize::from(worker)];
            assert_eq!(gate.take(&parts[1][..]).verdict, Verdict::HandOver(right), "{via:?}");
        }
        let heard = joined(&mut gates[usize::from(right)], parts);
        if via.is_dsr() {
            continue;
        }
        let [first, second, third] = &cut(&large(heard.destination, heard.source), 400)[..] else {
            panic!()
        };
        let server = heard.destination.ip();
        let guardian = if via.is_snat() { owner(server, workers) } else { right };
        let gate = &mut gates[usize::from(guardian)];
        assert_eq!(gate.take(&second[..]).verdict, Verdict::Hold(0), "{via:?}");
        let expected = if guardian == right {
            Verdict::Transmit(interface(via.client().ip()))
        } else {
            Verdict::HandOver(right)
        };
        assert_eq!(gate.take(&first[..]).verdict, expected, "{via:?}");
        assert_eq!(gate.take(&third[..]).verdict, expected);
        assert_eq!(*gate.engine.released(), [0]);
    }
}

/// Where another service has some ports, the first fragment determines the service.
#[test]
fn a_service_of_everything_takes_the_fragments_that_no_other_has() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut world = snapshot(Protocol::Any, 0);
        add(&mut world, Protocol::Udp, PORT, [0, 1]);
        let mut gate = EngineHarness::with(world, FLOWS);
        let other = SocketAddr::new(via.vip().ip(), 5000);
        for (id, to, server) in [(1, other, 0), (2, vip(via), 1), (3, other, 0)] {
            let sent = Packet { id, ..large(via.client(), to) };
            let heard = joined(&mut gate, cut(&sent, 400));
            assert_eq!((heard.to, heard.destination), (mac(via.server(server)), to), "{via:?}");
        }
        assert_eq!(gate.connections().len(), 2);
        let _ = gate.take(rrq(via.client(), via.vip(), "f")).sent();
    }
}

/// TCP hosts discover the path MTU and send no fragments.
#[test]
fn fragments_of_segments_are_dropped() {
    for via in Via::ALIKE {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        for (offset, more) in [(0, true), (3, false)] {
            let (from, to) = (via.client().ip(), via.vip().ip());
            let part = fragment(from, to, IpNumber::TCP, &[0; 24], offset, more);
            gate.take(part).dropped(DropReason::Fragment);
        }
    }
}

/// Connections of `nat` servers leave as the VIP; some of these servers are no backends.
fn with_rules() -> Snapshot {
    let mut snapshot = Snapshot { has_connections: true, ..topology::snapshot() };
    add_rules(&mut snapshot, None);
    snapshot.nat.iter_mut().for_each(|rule| rule.protocol = 17);
    snapshot
}

#[test]
fn a_rule_s_datagrams_go_in_fragments_too() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = EngineHarness::with(with_rules(), FLOWS);
        // A backend, and another host.
        for server in [via.server(0), via.host(1, 77)] {
            let server = SocketAddr::new(server, 5000);
            let sent = large(server, via.client());
            let [first, second, third] = &cut(&sent, 400)[..] else { panic!() };
            assert!(matches!(gate.take(&second[..]).verdict, Verdict::Hold(_)), "{via:?}");
            assert_eq!(gate.take(&first[..]).verdict, Verdict::Transmit(OUTSIDE), "{via:?}");
            assert_eq!(gate.engine.released().drain(..).count(), 1);
            assert_eq!(gate.take(&third[..]).verdict, Verdict::Transmit(OUTSIDE));
            let heard =
                joined(&mut gate, cut(&Packet { id: 8, ..large(server, via.client()) }, 400));
            assert_eq!((heard.source.ip(), heard.destination), (via.vip().ip(), via.client()));
            assert_eq!((&heard.payload, heard.to), (&sent.payload, mac(via.client().ip())));
            let answer = joined(&mut gate, cut(&large(via.client(), heard.source), 400));
            assert_eq!((answer.source, answer.destination), (via.client(), server), "{via:?}");
            assert_eq!((answer.payload, answer.to), (sent.payload, mac(server.ip())));
        }
        // Packets without a rule go to the kernel.
        let elsewhere = SocketAddr::new(via.host(2, 1), 5000);
        for part in cut(&large(elsewhere, via.client()), 400) {
            gate.take(part).to_kernel();
        }
    }
}

/// Behind the VIP, two servers' datagrams may have the same identification.
#[test]
fn peers_do_not_mix_two_servers_datagrams() {
    let via = Via::Nat;
    let mut gate = EngineHarness::with(with_rules(), FLOWS);
    assert_eq!(gate.engine.snapshot.addresses.get(via.host(1, 77)), None::<Owner>);
    let servers = [via.server(0), via.server(1), via.host(1, 77)];
    let parts = [0, 1, 2].map(|n| {
        let server = SocketAddr::new(servers[n], 5000 + n as u16);
        cut(&large(server, via.client()), 400)
    });
    let mut joiner = Joiner::default();
    let mut whole = vec![];
    for n in 0..3 {
        for parts in &parts {
            whole.extend(joiner.take(gate.take(&parts[n][..]).bytes));
        }
    }
    let from: Vec<_> = whole.iter().map(|frame| Packet::read(frame).source.port()).collect();
    assert_eq!(from, [5000, 5001, 5002]);
}
