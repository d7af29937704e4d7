//! Connections other than TCP to a service: UDP, any protocol, unannounced data connections, and servers' own
//! connections.

use engine::flow::state::{ConnectionKind, ConnectionState};
use engine::net::route_table::{Route, RouteTable};
use engine::snapshot::{Ftp, NatRule, Protocol, Snapshot};
use engine::state::references::References;
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::connections::{Connection, FIRST, backend, snapshot};
use kit::engine_harness::EngineHarness;
use kit::packets::{datagram, rrq};
use kit::topology::{FLOWS, INSIDE, OUTSIDE, Via, hop, mac};
use kit::transfer::ask;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

const DNS: u16 = 53;
const FTP: Protocol = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });

#[test]
fn datagrams_go_to_one_server_and_back() {
    for via in Via::ALL {
        let mut gate = EngineHarness::with(snapshot(Protocol::Udp, DNS), FLOWS);
        let vip = SocketAddr::new(via.vip().ip(), DNS);
        for word in [&b"question"[..], b"another"] {
            let question = datagram(via.client(), vip, word);
            let heard = gate.take(&question).sent();
            assert_eq!((heard.to, &heard.payload[..]), (mac(via.server(0)), word), "{via:?}");
            if via.is_dsr() {
                assert_eq!(heard.destination, vip);
                continue;
            }
            let server = SocketAddr::new(via.server(0), DNS);
            assert_eq!(heard.destination, server);
            let heard = gate.take(datagram(server, heard.source, b"answer")).sent();
            assert_eq!((heard.source, heard.destination), (vip, via.client()));
            assert_eq!(gate.connections()[0].state, ConnectionState::Open);
        }
        assert_eq!(gate.connections().len(), 1);
    }
}

#[test]
fn transfers_and_other_datagrams_of_one_client_do_not_meet() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(Protocol::Udp, DNS), FLOWS);
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        let _ = gate.take(transfer.data(1, 512)).sent();
        let vip = SocketAddr::new(via.vip().ip(), DNS);
        let heard = gate.take(datagram(via.client(), vip, b"question")).sent();
        assert_eq!(heard.destination.port(), DNS, "{via:?}");
        let server = heard.destination;
        let answer = gate.take(datagram(server, heard.source, b"answer")).sent();
        assert_eq!(answer.source, vip);
        let _ = gate.take(transfer.ack(1)).sent();
        let _ = gate.take(transfer.data(2, 512)).sent();
        assert_eq!((gate.transfers().len(), gate.connections().len()), (1, 1));
    }
}

#[test]
fn a_service_of_everything_has_all_that_others_do_not_have() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = EngineHarness::with(snapshot(Protocol::Any, 0), FLOWS);
        let at = |port| SocketAddr::new(via.vip().ip(), port);
        let open = |gate: &mut EngineHarness, port| {
            let line = line(via, at(port));
            gate.take(line.from_client("S", "")).sent_segment()
        };
        for port in [22, 443, 50_000] {
            assert_eq!(open(&mut gate, port).to, mac(via.server(0)), "{via:?}");
        }
        let heard = gate.take(datagram(via.client(), at(53), b"question")).sent();
        assert_eq!(heard.to, mac(via.server(0)));
        let mut gre = line(via, at(1)).from_client("S", "").bytes();
        make_gre(via, &mut gre);
        let outcome = gate.take(gre);
        assert_eq!(outcome.verdict, Verdict::Transmit(OUTSIDE));
        assert_eq!(outcome.bytes[..6], mac(via.server(0)).0);
        // TFTP has its own service on this VIP.
        let _ = gate.take(rrq(via.client(), via.vip(), "boot.img")).sent();
        assert_eq!((gate.transfers().len(), gate.connections().len()), (1, 1));
        let other = Connection { client: SocketAddr::new(via.host(0, 77), 5), ..line(via, at(22)) };
        let heard = gate.take(other.from_client("S", "")).sent_segment();
        assert_eq!(heard.to, mac(via.server(1)));
    }
}

/// Turns the packet into GRE.
fn make_gre(via: Via, frame: &mut [u8]) {
    const GRE: u8 = 47;
    if via.is_v6() {
        frame[14 + 6] = GRE;
        return;
    }
    let sum = u16::from_be_bytes([frame[24], frame[25]]);
    let more = (u32::from(!sum) + u32::from(GRE - 6)) as u16;
    frame[14 + 9] = GRE;
    frame[24..26].copy_from_slice(&(!more).to_be_bytes());
}

fn line(via: Via, vip: SocketAddr) -> Connection {
    Connection { via, client: via.client(), vip, server: vip, seen_as: via.client(), next: FIRST }
}

#[test]
fn a_data_connection_goes_to_the_backend_that_has_its_port() {
    for via in Via::ALL {
        let mut snapshot = snapshot(FTP, 21);
        let ranges = [(0, 50_000..=50_099), (1, 50_100..=50_199)];
        snapshot[via.vip_id()].passive = ranges.map(|(n, range)| (range, backend(via, n))).into();
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        // In `dsr` both are at the first server.
        let controls = [2000, 2001].map(|port| {
            let client = SocketAddr::new(via.client().ip(), port);
            let mut control = Connection::open(&mut gate, via, client, 21);
            control.goes_dark(&mut gate);
            control
        });
        for (port, n) in [(50_000, 0), (50_099, 0), (50_100, 1), (50_199, 1)] {
            let client = SocketAddr::new(via.client().ip(), port - 10_000);
            if via.is_dsr() && n == 1 {
                let foreign = Connection::new(via, client, port).from_client("S", "");
                gate.take(foreign).dropped(DropReason::NoService);
                continue;
            }
            let data = Connection::open(&mut gate, via, client, port);
            assert_eq!((data.server.ip(), data.server.port()), (via.server(n), port), "{via:?}");
            assert_eq!(data.seen_as.ip(), controls[n].seen_as.ip());
        }
        let kinds =
            gate.connections().iter().filter(|one| one.kind == ConnectionKind::Data).count();
        assert_eq!(kinds, if via.is_dsr() { 2 } else { 4 });
        if !via.is_dsr() {
            let past = line(via, SocketAddr::new(via.vip().ip(), 50_200));
            gate.take(past.from_client("S", "")).dropped(DropReason::NoService);
        }
    }
}

#[test]
fn in_dsr_data_follows_the_control_connection() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = EngineHarness::with(snapshot(FTP, 21), FLOWS);
        let stray = line(via, SocketAddr::new(via.vip().ip(), 40_000));
        gate.take(stray.from_client("S", "")).dropped(DropReason::NoService);
        // The second client is at the second server.
        Connection::open(&mut gate, via, SocketAddr::new(via.host(0, 70), 999), 21);
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        assert_eq!(control.server.ip(), via.server(1));
        let more = SocketAddr::new(via.client().ip(), 2071);
        let mut second = Connection::open(&mut gate, via, more, 21);
        assert_eq!(second.server.ip(), via.server(1), "all of a client's go to one");
        let passive = SocketAddr::new(via.client().ip(), 3000);
        let data = Connection::open(&mut gate, via, passive, 40_000);
        assert_eq!(data.server.ip(), via.server(1), "{via:?}");
        // Of a connection that the server opens, the client's answer is seen first.
        let active = line(via, SocketAddr::new(via.vip().ip(), 20));
        let heard = gate.take(active.from_client("SA", "")).sent_segment();
        assert_eq!(heard.to, mac(via.server(1)));
        control.client_says(&mut gate, "A", "");
        for one in [&mut control, &mut second] {
            one.client_says(&mut gate, "R", "");
        }
        gate.wait(200);
        // A data connection is still open; afterwards the affinity ends.
        let mut data = data;
        data.client_says(&mut gate, "R", "");
        gate.wait(4000);
        gate.take(stray.from_client("S", "")).dropped(DropReason::NoService);
    }
}

#[test]
fn a_control_connection_lives_as_long_as_its_data() {
    for via in Via::ALL {
        let mut snapshot = snapshot(FTP, 21);
        snapshot[via.vip_id()].passive = vec![(50_000..=50_099, backend(via, 0))];
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        Connection::open(&mut gate, via, via.client(), 21).goes_dark(&mut gate);
        let client = SocketAddr::new(via.client().ip(), 3000);
        let mut data = Connection::open(&mut gate, via, client, 50_000);
        for _ in 0..4 {
            gate.wait(kit::connections::IDLE - 10);
            data.client_says(&mut gate, "A", "");
        }
        assert_eq!(gate.connections().len(), 2, "{via:?}");
        data.client_says(&mut gate, "R", "");
        gate.wait(kit::connections::IDLE - 100);
        assert_eq!(gate.connections().len(), 1, "{via:?}");
        gate.wait(300);
        assert!(gate.connections().is_empty(), "{via:?}");
    }
}

/// Servers of `nat` open connections from port 20 as the VIP.
fn with_rule(via: Via) -> Snapshot {
    let mut snapshot = snapshot(Protocol::Tcp, 22);
    let net = |address| ipnet::IpNet::new(address, if via.is_v6() { 120 } else { 24 }).unwrap();
    snapshot.nat = vec![NatRule {
        from: net(via.server(0)),
        protocol: 6,
        source_port: Some(20),
        to: via.vip_id(),
        hits: Default::default(),
    }];
    snapshot.has_rules = true;
    let to = net(via.client().ip());
    snapshot.routes =
        RouteTable::new(vec![Route { to, gateway: None, hop: Some(hop(via.client().ip())) }]);
    snapshot
}

#[test]
fn what_runs_by_a_rule_goes_on_when_that_is_removed() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = EngineHarness::with(with_rule(via), FLOWS);
        let peer = SocketAddr::new(via.client().ip(), 7777);
        let server = SocketAddr::new(via.server(0), 20);
        let mut line = Connection { client: peer, vip: server, ..line(via, server) };
        line.server = server;
        line.seen_as = peer;
        line.vip = gate.take(line.from_server("S", "")).sent_segment().source;
        line.goes_on(1, "S", "");
        line.client_says(&mut gate, "SA", "");
        gate.change(|snapshot| snapshot.nat.clear());
        line.server_says(&mut gate, "A", "");
        assert_eq!(line.server_says(&mut gate, "AP", "data").source, line.vip, "{via:?}");
        line.client_says(&mut gate, "A", "");
        let next = Connection { client: SocketAddr::new(peer.ip(), 7778), ..line };
        let next = Connection { seen_as: next.client, ..next };
        gate.take(next.from_server("S", "")).to_kernel();
    }
}

#[test]
fn a_server_s_own_connection_leaves_as_the_vip_by_a_rule() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = EngineHarness::with(with_rule(via), FLOWS);
        let peer = SocketAddr::new(via.client().ip(), 7777);
        let at = |n, port| SocketAddr::new(via.server(n), port);
        let from = |n, port| Connection {
            via,
            client: peer,
            vip: at(n, port),
            server: at(n, port),
            seen_as: peer,
            next: FIRST,
        };
        let mut first = from(0, 20);
        let heard = gate.take(first.from_server("S", "")).sent_segment();
        assert_eq!(heard.source, SocketAddr::new(via.vip().ip(), 20), "{via:?}");
        assert_eq!((heard.destination, heard.to), (peer, mac(peer.ip())));
        first.vip = heard.source;
        first.next[1] = first.next[1].wrapping_add(1);
        let heard = gate.take(first.from_client("SA", "")).sent_segment();
        assert_eq!((heard.source, heard.destination), (peer, at(0, 20)));
        assert_eq!(heard.to, mac(via.server(0)));
        first.next[0] = first.next[0].wrapping_add(1);
        let heard = gate.take(first.from_server("AP", "data")).sent_segment();
        assert_eq!((heard.source, heard.text().as_str()), (first.vip, "data"));
        // Another connection to the same peer cannot have the same port.
        let heard = gate.take(from(1, 20).from_server("S", "")).sent_segment();
        assert_ne!(heard.source.port(), 20);
        assert_eq!(heard.source.ip(), via.vip().ip());
        assert_eq!(gate.engine.snapshot.nat[0].hits.load(Relaxed), 2);
        let kinds: Vec<_> = gate.connections().iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [ConnectionKind::Policy; 2]);
        // All others are routed unchanged.
        gate.take(from(0, 21).from_server("S", "")).to_kernel();
        gate.take(from(0, 22).from_server("A", "")).to_kernel();
        gate.take(datagram(at(0, 20), peer, b"x")).to_kernel();
    }
}

#[test]
fn where_the_kernel_knows_no_way_a_rule_s_connection_does_not_go_yet() {
    for via in [Via::Nat, Via::Nat6] {
        let mut snapshot = with_rule(via);
        let known = std::mem::take(&mut snapshot.routes);
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        let peer = SocketAddr::new(via.client().ip(), 7777);
        let server = SocketAddr::new(via.server(0), 20);
        let line =
            Connection { via, client: peer, vip: server, server, seen_as: peer, next: FIRST };
        let unresolved =
            |gate: &EngineHarness| gate.engine.snapshot.unresolved.take().collect::<Vec<_>>();
        for _ in 0..2 {
            gate.take_by(INSIDE, line.from_server("S", "")).dropped(DropReason::NoRoute);
            assert_eq!(unresolved(&gate), [peer.ip()], "{via:?}: somebody has to find it");
        }
        gate.change(|snapshot| snapshot.routes = known);
        let heard = gate.take_by(INSIDE, line.from_server("S", "")).sent_segment();
        assert_eq!((heard.destination, heard.to), (peer, mac(peer.ip())));
        assert!(unresolved(&gate).is_empty(), "{via:?}");
    }
}

#[test]
fn connections_outlive_the_process() {
    for via in Via::ALL {
        let world = || snapshot(Protocol::Tcp, 22);
        let mut gate = EngineHarness::with(world(), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), 22);
        let mut gate = gate.reborn(world());
        assert_eq!((gate.adopted.whole, gate.adopted.broken), (1, 0), "{via:?}");
        line.client_says(&mut gate, "AP", "still here");
        if !via.is_dsr() {
            line.server_says(&mut gate, "AP", "so am I");
        }
        let other = SocketAddr::new(via.client().ip(), 2071);
        let second = Connection::open(&mut gate, via, other, 22);
        assert_ne!((second.seen_as, second.client), (line.seen_as, line.client));
    }
}

#[test]
fn what_a_connection_holds_is_in_use() {
    for via in Via::ALL {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, 22), FLOWS);
        let uses = |gate: &EngineHarness| {
            let mut uses = References::of(&gate.engine.snapshot);
            while !gate.engine.note_references(&mut uses) {}
            uses
        };
        assert!(!uses(&gate).backends.contains(&true));
        Connection::open(&mut gate, via, via.client(), 22);
        let uses = uses(&gate);
        assert!(uses.backends[usize::from(backend(via, 0))], "{via:?}");
        assert!(uses.vips[usize::from(via.service())]);
        assert_eq!(uses.snat.contains(&true), via.is_snat());
    }
}

#[test]
fn a_rule_s_datagrams_have_answers() {
    let via = Via::Nat;
    let mut snapshot = with_rule(via);
    snapshot.nat[0].protocol = 17;
    let mut gate = EngineHarness::with(snapshot, FLOWS);
    let peer = SocketAddr::new(via.client().ip(), 7777);
    let server = SocketAddr::new(via.server(0), 20);
    let heard = gate.take(datagram(server, peer, b"question")).sent();
    assert_eq!((heard.source.ip(), heard.destination), (via.vip().ip(), peer));
    let heard = gate.take(datagram(peer, heard.source, b"answer")).sent();
    assert_eq!((heard.source, heard.destination), (peer, server));
}

#[test]
fn what_servers_say_to_the_kernel_is_no_rule_s() {
    let via = Via::Nat;
    let mut snapshot = with_rule(via);
    snapshot.nat[0].source_port = None;
    let mut gate = EngineHarness::with(snapshot, FLOWS);
    let server = SocketAddr::new(via.server(0), 4000);
    for to in [via.host(0, 2), via.host(0, 255), via.address([224, 0, 0, 1])] {
        let to = SocketAddr::new(to, 22);
        let line = Connection { via, client: to, vip: server, server, seen_as: to, next: FIRST };
        gate.take_by(INSIDE, line.from_server("S", "")).to_kernel();
    }
}

#[test]
fn a_service_of_everything_takes_fragments_too() {
    let via = Via::Dsr;
    let mut snapshot = snapshot(Protocol::Any, 0);
    snapshot[via.vip_id()].udp.clear();
    let mut gate = EngineHarness::with(snapshot, FLOWS);
    let vip = SocketAddr::new(via.vip().ip(), 53);
    let large = datagram(via.client(), vip, &[7; 3000]);
    for part in kit::fragments::cut(&large, 1200) {
        let outcome = gate.take(part);
        assert_eq!(outcome.verdict, Verdict::Transmit(OUTSIDE));
        assert_eq!(outcome.bytes[..6], mac(via.server(0)).0);
    }
    assert_eq!(gate.connections().len(), 1);
}

#[test]
fn in_dsr_data_is_found_by_the_next_process_too() {
    let via = Via::Dsr;
    let world = || snapshot(FTP, 21);
    let mut gate = EngineHarness::with(world(), FLOWS);
    Connection::open(&mut gate, via, via.client(), 21);
    let mut gate = gate.reborn(world());
    let client = SocketAddr::new(via.client().ip(), 3000);
    let data = Connection::open(&mut gate, via, client, 40_000);
    assert_eq!(data.server.ip(), via.server(0));
}
