//! ICMP errors about connections: of services for everything, and of servers' own connections.

use engine::flow::state::ConnectionKind;
use engine::snapshot::{Protocol, Snapshot};
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use etherparse::IpNumber;
use kit::connections::{Connection, FIRST, add, add_rules, snapshot};
use kit::engine_harness::EngineHarness;
use kit::icmp_error::{EXPIRED, IcmpError, REFUSED, TOO_BIG, about, control};
use kit::packet::Packet;
use kit::packets::{data, datagram, fragment, ip};
use kit::topology::{FLOWS, OUTSIDE, Via, interface, mac, owner};
use kit::transfer::{client, run};
use std::net::{IpAddr, SocketAddr};

const GRE: IpNumber = IpNumber(47);
const ESP: IpNumber = IpNumber(50);
const AH: IpNumber = IpNumber(51);
const SCTP: IpNumber = IpNumber(132);

/// Only the services for everything.
fn everything() -> Snapshot {
    let mut snapshot = snapshot(Protocol::Any, 0);
    snapshot.vips.iter_mut().for_each(|vip| vip.udp.clear());
    snapshot
}

/// A router's ICMP error about a packet that a server sent as the VIP.
fn too_big(via: Via, to: IpAddr, quote: &[u8]) -> Vec<u8> {
    control(via.host(0, 250), to, TOO_BIG[via.family()], 1400, quote)
}

/// A router's quote of a packet to a client: `bytes` bytes behind the IP header.
fn quote(via: Via, client: IpAddr, protocol: IpNumber, bytes: usize) -> Vec<u8> {
    ip(via.vip().ip(), client, protocol, &[7; 24])[14..][..via.ip_header() + bytes].to_vec()
}

/// The error reaches this server unchanged.
#[track_caller]
fn goes_to(gate: &mut EngineHarness, server: IpAddr, frame: Vec<u8>) {
    let outcome = gate.take(frame.clone());
    assert_eq!(outcome.verdict, Verdict::Transmit(interface(server)));
    assert_eq!(outcome.bytes[..6], mac(server).0);
    assert_eq!(outcome.bytes[14..], frame[14..]);
}

#[test]
fn errors_about_any_protocol_go_to_the_client_s_server() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = EngineHarness::with(everything(), FLOWS);
        let vip = via.vip().ip();
        let clients = [0, 1].map(|n| client(via, n).ip());
        for client in clients {
            let _ = gate.take(ip(client, vip, ESP, &[7; 24]));
        }
        assert_eq!(gate.connections().len(), 2, "{via:?}");
        gate.moves();
        let mut errors = 0;
        for protocol in [GRE, ESP, AH, SCTP, IpNumber::IPV4, IpNumber(253)] {
            // RFC 792 asks for eight bytes, but a packet may be shorter.
            for bytes in [0, 4, 8, 24] {
                for n in [0, 1] {
                    let frame = too_big(via, vip, &quote(via, clients[n], protocol, bytes));
                    goes_to(&mut gate, via.server(n), frame);
                    errors += 1;
                }
            }
        }
        // Errors about fragments without ports pass, too.
        for protocol in [ESP, IpNumber::UDP, IpNumber::TCP] {
            let part = fragment(vip, clients[1], protocol, &[7; 24], 100, true);
            goes_to(&mut gate, via.server(1), too_big(via, vip, &part[14..]));
            errors += 1;
        }
        gate.moved(&[("received", errors), ("transmitted", errors)]);
    }
}

#[test]
fn errors_about_what_nobody_has_sent() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = EngineHarness::with(everything(), FLOWS);
        let (vip, client) = (via.vip().ip(), via.client().ip());
        let about_client = quote(via, client, GRE, 8);
        // This client has no affinity.
        gate.take(too_big(via, vip, &about_client)).dropped(DropReason::NoTransfer);
        assert!(gate.connections().is_empty(), "nor is whoever tells");
        let _ = gate.take(ip(client, vip, GRE, &[7; 24]));
        // The quoted packet was sent by another host than the receiver of the error.
        let by_client = ip(client, vip, GRE, &[7; 24])[14..].to_vec();
        gate.take(too_big(via, vip, &by_client)).dropped(DropReason::NoService);
        // From an address of the gate.
        let what = TOO_BIG[via.family()];
        gate.take(control(vip, vip, what, 1400, &about_client)).dropped(DropReason::BadSource);
        let mut broken = too_big(via, vip, &about_client);
        *broken.last_mut().unwrap() ^= 1;
        gate.take(broken).dropped(DropReason::NoService);
    }
}

/// A fragment of a datagram may belong to another service there.
#[test]
fn errors_about_fragments_beside_other_services() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut world = snapshot(Protocol::Any, 0);
        add(&mut world, Protocol::Udp, 7007, [1, 1]);
        let mut gate = EngineHarness::with(world, FLOWS);
        let (vip, client) = (via.vip().ip(), via.client().ip());
        let _ = gate.take(ip(client, vip, GRE, &[7; 24]));
        let part = |protocol| fragment(vip, client, protocol, &[7; 24], 100, true)[14..].to_vec();
        gate.take(too_big(via, vip, &part(IpNumber::UDP))).dropped(DropReason::NoService);
        goes_to(&mut gate, via.server(0), too_big(via, vip, &part(IpNumber::TCP)));
        goes_to(&mut gate, via.server(0), too_big(via, vip, &part(GRE)));
    }
}

#[test]
fn a_transfer_s_errors_go_to_its_own_server() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = EngineHarness::with(snapshot(Protocol::Any, 0), FLOWS);
        let vip = via.vip().ip();
        // Of each two clients, the second has affinity to the second server, and sends a TFTP request to the first.
        let other = client(via, 0);
        let _ = gate.take(ip(other.ip(), vip, GRE, &[7; 24]));
        let _ = gate.take(ip(via.client().ip(), vip, GRE, &[7; 24]));
        let transfer = run(&mut gate, via, via.client());
        assert_eq!(transfer.server.ip(), via.server(0));
        let block = data(transfer.vip_tid(), via.client(), 2, 512);
        let frame = about(&block, via.host(0, 250), TOO_BIG[via.family()], 1400, 100);
        goes_to(&mut gate, via.server(0), frame);
        let answer =
            datagram(SocketAddr::new(vip, 53), SocketAddr::new(transfer.client.ip(), 5), b"x");
        let frame = about(&answer, via.host(0, 250), TOO_BIG[via.family()], 1400, 100);
        goes_to(&mut gate, via.server(1), frame);
    }
}

#[test]
fn elsewhere_only_datagrams_and_segments_have_errors() {
    for via in Via::ALIKE {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, 22), FLOWS);
        let frame = too_big(via, via.vip().ip(), &quote(via, via.client().ip(), GRE, 8));
        gate.take(frame).dropped(DropReason::NoService);
    }
}

#[test]
fn errors_find_the_client_s_worker() {
    let workers = 3;
    for via in [Via::Dsr, Via::Dsr6] {
        let (vip, client) = (via.vip().ip(), via.client().ip());
        let right = owner(client, workers);
        let frame = too_big(via, vip, &quote(via, client, ESP, 8));
        for worker in (0..workers).filter(|&worker| worker != right) {
            let mut other = EngineHarness::one_of(worker, workers, everything(), FLOWS);
            assert_eq!(other.take(frame.clone()).verdict, Verdict::HandOver(right), "{via:?}");
        }
        let mut gate = EngineHarness::one_of(right, workers, everything(), FLOWS);
        let sent = gate.take(ip(client, vip, ESP, &[7; 24])).bytes;
        let mut servers = [0, 1].map(|n| via.server(n)).into_iter();
        let server = servers.find(|&server| sent[..6] == mac(server).0).expect("a server");
        goes_to(&mut gate, server, frame);
    }
}

/// Connections of `nat` servers leave as the VIP.
fn with_rules(protocol: IpNumber) -> Snapshot {
    let mut snapshot = snapshot(Protocol::Tcp, 22);
    add_rules(&mut snapshot, None);
    snapshot.nat.iter_mut().for_each(|rule| rule.protocol = protocol.0);
    snapshot
}

/// A backend, and a server that is no backend.
fn servers(via: Via) -> [SocketAddr; 2] {
    [via.server(0), via.host(1, 77)].map(|server| SocketAddr::new(server, 5000))
}

/// The error reached its receiver, with these addresses, about this packet.
#[track_caller]
fn heard(
    gate: &mut EngineHarness,
    frame: Vec<u8>,
    [from, to]: [IpAddr; 2],
    sent: &Packet,
) -> IcmpError {
    let outcome = gate.take(frame);
    assert_eq!(outcome.verdict, Verdict::Transmit(interface(to)));
    assert_eq!(outcome.bytes[..6], mac(to).0);
    let notice = IcmpError::read(&outcome.bytes);
    assert_eq!((notice.from, notice.to), (from, to));
    // The quote is complete, and its checksums are right.
    let quoted = Packet::read(&[&sent.bytes()[..14], &notice.quote].concat());
    assert_eq!((quoted.source, quoted.destination), (sent.source, sent.destination));
    assert_eq!(quoted.payload, sent.payload);
    notice
}

#[test]
fn a_rule_s_peers_hear_what_servers_say() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = EngineHarness::with(with_rules(IpNumber::UDP), FLOWS);
        for server in servers(via) {
            let question = gate.take(datagram(server, via.client(), b"question")).sent();
            let answer = datagram(via.client(), question.source, b"an answer");
            let seen = gate.take(&answer).sent();
            assert_eq!((seen.source, seen.destination), (via.client(), server));
            let router = via.host(1, 250);
            for (by, shown, what, mtu) in [
                (server.ip(), via.vip().ip(), REFUSED, 0),
                (server.ip(), via.vip().ip(), TOO_BIG, 1400),
                (router, router, EXPIRED, 0),
            ] {
                let what = what[via.family()];
                let ends = [shown, via.client().ip()];
                let notice = heard(&mut gate, about(&seen, by, what, mtu, 1000), ends, &answer);
                assert_eq!((notice.what, notice.mtu), (what, mtu), "{via:?} {by}");
            }
        }
        let kinds: Vec<_> = gate.connections().iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [ConnectionKind::Policy; 2]);
    }
}

#[test]
fn a_rule_s_servers_hear_what_is_said_to_the_vip() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = EngineHarness::with(with_rules(IpNumber::UDP), FLOWS);
        for server in servers(via) {
            let question = datagram(server, via.client(), b"question");
            let seen = gate.take(&question).sent();
            assert_eq!(seen.source.ip(), via.vip().ip());
            for (by, what, mtu) in [
                (via.client().ip(), REFUSED, 0),
                (via.host(0, 250), TOO_BIG, 1400),
                (via.host(0, 250), EXPIRED, 0),
            ] {
                let what = what[via.family()];
                let ends = [by, server.ip()];
                let notice = heard(&mut gate, about(&seen, by, what, mtu, 1000), ends, &question);
                assert_eq!((notice.what, notice.mtu), (what, mtu), "{via:?} {by}");
            }
        }
    }
}

#[test]
fn so_they_do_of_segments() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = EngineHarness::with(with_rules(IpNumber::TCP), FLOWS);
        let peer = via.client();
        for server in servers(via) {
            let line =
                |vip| Connection { via, client: peer, vip, server, seen_as: peer, next: FIRST };
            let sent = line(server).from_server("S", "");
            let seen = gate.take(&sent).sent_segment();
            let answer = line(seen.source).from_client("SA", "");
            let seen_answer = gate.take(&answer).sent_segment();
            for (seen, sent, by, shown) in [
                (seen, sent, peer.ip(), peer.ip()),
                (seen_answer, answer, server.ip(), via.vip().ip()),
            ] {
                let what = REFUSED[via.family()];
                let quote = &seen.bytes()[14..];
                let outcome = gate.take(control(by, seen.source.ip(), what, 0, quote));
                assert_eq!(outcome.verdict, Verdict::Transmit(interface(sent.source.ip())));
                let notice = IcmpError::read(&outcome.bytes);
                assert_eq!((notice.from, notice.to), (shown, sent.source.ip()), "{via:?}");
                let (header, whole) = (via.ip_header(), &sent.bytes()[14..]);
                let addresses = header - if via.is_v6() { 32 } else { 8 };
                assert_eq!(notice.quote[addresses..header + 8], whole[addresses..header + 8]);
            }
        }
    }
}

#[test]
fn errors_about_what_no_rule_has_are_the_kernel_s() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = EngineHarness::with(with_rules(IpNumber::UDP), FLOWS);
        for server in servers(via) {
            let routed = datagram(via.client(), server, b"by itself");
            let frame = about(&routed, server.ip(), REFUSED[via.family()], 0, 1000);
            gate.take(frame).to_kernel();
        }
    }
}

#[test]
fn errors_find_the_worker_of_a_rule_s_connection() {
    let workers = 3;
    for via in [Via::Nat, Via::Nat6] {
        let right = owner(via.client().ip(), workers);
        for server in servers(via) {
            let world = || with_rules(IpNumber::UDP);
            let mut gate = EngineHarness::one_of(right, workers, world(), FLOWS);
            let question = datagram(server, via.client(), b"question");
            let seen = gate.take(&question).sent();
            let answer = gate.take(datagram(via.client(), seen.source, b"answer")).sent();
            let what = REFUSED[via.family()];
            let by_peer = about(&seen, via.client().ip(), what, 0, 1000);
            let by_server = about(&answer, server.ip(), what, 0, 1000);
            for (frame, leaves_by) in [(by_peer, interface(server.ip())), (by_server, OUTSIDE)] {
                for worker in (0..workers).filter(|&worker| worker != right) {
                    let mut other = EngineHarness::one_of(worker, workers, world(), FLOWS);
                    let verdict = other.take(frame.clone()).verdict;
                    assert_eq!(verdict, Verdict::HandOver(right), "{via:?} {server}");
                }
                assert_eq!(gate.take(frame).verdict, Verdict::Transmit(leaves_by));
            }
        }
    }
}
