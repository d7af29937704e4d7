//! TCP connections through every mode, from the first segment to the last.

use engine::flow::state::{ConnectionKind, ConnectionState};
use engine::snapshot::{BackendState, Protocol};
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::connections::{Connection, FIRST, IDLE, LINGER, TRANSITORY, backend, snapshot};
use kit::engine_harness::EngineHarness;
use kit::icmp_error::{IcmpError, TOO_BIG, control};
use kit::segment::Segment;
use kit::topology::{FLOWS, OUTSIDE, Via, interface, mac};
use std::net::SocketAddr;

const SSH: u16 = 22;

fn gate() -> EngineHarness {
    EngineHarness::with(snapshot(Protocol::Tcp, SSH), FLOWS)
}

fn state(gate: &EngineHarness) -> Option<ConnectionState> {
    gate.connections().first().map(|view| view.state)
}

#[test]
fn both_sides_see_the_segments_that_a_router_with_nat_would_send() {
    for via in Via::ALL {
        let mut gate = gate();
        let mut line = Connection::open(&mut gate, via, via.client(), SSH);
        assert_eq!(line.server, SocketAddr::new(via.server(0), SSH), "{via:?}");
        let seen_as = if via.is_snat() { via.snat() } else { via.client().ip() };
        assert_eq!(line.seen_as.ip(), seen_as);
        let said = line.from_client("AP", "SSH-2.0-client\r\n");
        let heard = line.client_says(&mut gate, "AP", "SSH-2.0-client\r\n");
        let to = mac(via.server(0));
        let hops = if via.is_dsr() { 64 } else { 63 };
        let (source, destination) = match via.is_dsr() {
            true => (line.client, line.vip),
            false => (line.seen_as, line.server),
        };
        let from = kit::topology::gate_mac(interface(via.server(0)));
        assert_eq!(heard, Segment { source, destination, from, to, ttl: hops, ..said });
        if via.is_dsr() {
            continue;
        }
        let said = line.from_server("AP", "SSH-2.0-server\r\n");
        let heard = line.server_says(&mut gate, "AP", "SSH-2.0-server\r\n");
        let (source, destination) = (line.vip, line.client);
        let (from, to) = (kit::topology::gate_mac(OUTSIDE), mac(line.client.ip()));
        assert_eq!(heard, Segment { source, destination, from, to, ttl: 63, ..said });
    }
}

#[test]
fn a_connection_is_open_after_three_segments_and_closed_after_both_ends() {
    for via in Via::SEEN {
        let mut gate = gate();
        let mut line = Connection::open(&mut gate, via, via.client(), SSH);
        assert_eq!(state(&gate), Some(ConnectionState::Open), "{via:?}");
        line.client_says(&mut gate, "AF", "");
        assert_eq!(state(&gate), Some(ConnectionState::Closing));
        line.server_says(&mut gate, "AP", "the rest");
        line.client_says(&mut gate, "A", "");
        line.server_says(&mut gate, "AF", "");
        assert_eq!(state(&gate), Some(ConnectionState::Closed));
        line.client_says(&mut gate, "A", "");
        gate.wait(LINGER + 1);
        assert_eq!(state(&gate), None);
        let totals = &gate.engine.state.counters.backend(backend(via, 0));
        assert_eq!((totals.started.value(), totals.completed.value()), (1, 1));
    }
}

#[test]
fn in_dsr_the_client_alone_tells_where_it_stands() {
    let mut gate = gate();
    let mut line = Connection::open(&mut gate, Via::Dsr, Via::Dsr.client(), SSH);
    assert_eq!(state(&gate), Some(ConnectionState::Open));
    line.client_says(&mut gate, "AF", "");
    assert_eq!(state(&gate), Some(ConnectionState::Closing));
    gate.wait(TRANSITORY + 1);
    assert_eq!(state(&gate), None);
}

#[test]
fn silence_ends_what_is_half_open_soon_and_what_is_open_late() {
    let via = Via::Nat;
    let mut gate = gate();
    let line = Connection { ..Connection::open(&mut gate, via, via.client(), SSH) };
    let other = SocketAddr::new(via.client().ip(), 9999);
    let _ = gate.take(Connection { client: other, next: FIRST, ..line }.from_client("S", ""));
    assert_eq!(gate.connections().len(), 2);
    gate.wait(TRANSITORY + 1);
    assert_eq!(gate.connections().len(), 1);
    gate.wait(IDLE - TRANSITORY);
    assert!(gate.connections().is_empty());
}

#[test]
fn connections_go_to_the_backends_in_turn_and_stay_there() {
    for via in Via::ALL {
        let mut gate = gate();
        for n in 0..4u16 {
            let client = SocketAddr::new(via.client().ip(), 5000 + n);
            let mut line = Connection::open(&mut gate, via, client, SSH);
            let to = mac(via.server(usize::from(n) % 2));
            assert_eq!(line.client_says(&mut gate, "AP", "x").to, to, "{via:?}");
        }
    }
}

#[test]
fn a_repeated_syn_goes_where_the_first_one_went() {
    let mut gate = gate();
    let via = Via::Snat;
    let line = Connection::open(&mut gate, via, via.client(), SSH);
    let syn = Connection { next: FIRST, ..line.clone() }.from_client("S", "");
    let again = gate.take(syn).sent_segment();
    assert_eq!((again.source, again.destination), (line.seen_as, line.server));
    assert_eq!(gate.connections().len(), 1);
}

#[test]
fn a_syn_after_the_end_begins_anew() {
    for via in Via::SEEN {
        let mut gate = gate();
        let mut line = Connection::open(&mut gate, via, via.client(), SSH);
        line.client_says(&mut gate, "AF", "");
        line.server_says(&mut gate, "AF", "");
        let again = Connection::open(&mut gate, via, via.client(), SSH);
        assert_eq!(again.server.ip(), via.server(1), "{via:?}");
        assert_eq!(gate.connections().len(), 1);
    }
}

/// A connection on which both sides have sent data.
fn in_conversation(via: Via) -> (EngineHarness, Connection) {
    let mut gate = gate();
    let mut line = Connection::open(&mut gate, via, via.client(), SSH);
    line.server_says(&mut gate, "AP", "hello");
    line.client_says(&mut gate, "AP", "hello yourself");
    line.server_says(&mut gate, "A", "");
    (gate, line)
}

#[test]
fn a_reset_ends_a_connection_if_it_knows_the_numbers() {
    for via in Via::SEEN {
        for by_client in [true, false] {
            let (mut gate, line) = in_conversation(via);
            let say = |flags: &str| match by_client {
                true => line.from_client(flags, ""),
                false => line.from_server(flags, ""),
            };
            for far in [1, 70_000, 1 << 31, u32::MAX - 100] {
                let reset = say("R");
                let sequence = reset.sequence.wrapping_add(far);
                gate.take(Segment { sequence, ..reset }).dropped(DropReason::BadReset);
                assert_eq!(state(&gate), Some(ConnectionState::Open), "{via:?} {far}");
            }
            let _ = gate.take(say("R")).sent_segment();
            assert_eq!(state(&gate), Some(ConnectionState::Closed));
        }
    }
}

/// A client closes, and answers late segments by RSTs with its old numbers; once more after the end.
#[test]
fn a_late_reset_is_not_taken_for_a_forged_one() {
    for via in Via::SEEN {
        for by_client in [true, false] {
            let (mut gate, mut line) = in_conversation(via);
            let say = |line: &Connection, flags: &str| match by_client {
                true => line.from_client(flags, ""),
                false => line.from_server(flags, ""),
            };
            let other = |line: &Connection, flags: &str| match by_client {
                true => line.from_server(flags, ""),
                false => line.from_client(flags, ""),
            };
            let late = say(&line, "R");
            let _ = gate.take(say(&line, "FA")).sent_segment();
            line.goes_on(usize::from(!by_client), "F", "");
            let _ = gate.take(other(&line, "A")).sent_segment();
            gate.take(late.clone()).dropped(DropReason::LateReset);
            let _ = gate.take(other(&line, "FA")).sent_segment();
            gate.take(late).dropped(DropReason::LateReset);
        }
    }
}

#[test]
fn a_server_that_refuses_ends_a_connection_that_is_half_open() {
    let via = Via::Nat;
    let mut gate = gate();
    let mut line = Connection {
        via,
        client: via.client(),
        vip: SocketAddr::new(via.vip().ip(), SSH),
        server: via.client(),
        seen_as: via.client(),
        next: FIRST,
    };
    let heard = gate.take(line.from_client("S", "")).sent_segment();
    line.seen(heard);
    let refusal = Segment { sequence: 0, acknowledgement: 77, ..line.from_server("AR", "") };
    gate.take(refusal).dropped(DropReason::BadReset);
    line.next[0] = line.next[0].wrapping_add(1);
    let refusal = Segment { sequence: 0, ..line.from_server("AR", "") };
    let _ = gate.take(refusal).sent_segment();
    assert_eq!(state(&gate), Some(ConnectionState::Closed));
}

/// The server still has a connection with the ends of a new one, from before the gate began anew: client and server find out,
/// and the client's next SYN is answered (RFC 9293 §3.5.1). Nobody else's reset gets there.
#[test]
fn a_server_s_old_connection_is_in_nobody_s_way() {
    for via in Via::SEEN {
        let mut gate = gate();
        let mut line = Connection::new(via, via.client(), SSH);
        line.seen(gate.take(line.from_client("S", "")).sent_segment());
        let old = [7_000_000, 9_000_000];
        let server = Connection { next: old, ..line.clone() };
        let told = gate.take(server.from_server("A", "")).sent_segment();
        assert_eq!((told.sequence, told.acknowledgement), (old[1], old[0]), "{via:?}");
        for number in [0, old[0] - 1, old[0] + 1, old[1]] {
            let stranger = Connection { next: [number; 2], ..line.clone() };
            gate.take(stranger.from_client("R", "")).dropped(DropReason::BadReset);
        }
        let client = Connection { next: old, ..line.clone() };
        let reset = gate.take(client.from_client("R", "")).sent_segment();
        assert_eq!((reset.sequence, reset.destination), (old[0], line.server), "{via:?}");
        assert_eq!(state(&gate), Some(ConnectionState::HalfOpen), "{via:?}");
        let mut line = line.opened(&mut gate);
        line.server_says(&mut gate, "AP", "hello");
        assert_eq!(state(&gate), Some(ConnectionState::Open), "{via:?}");
    }
}

#[test]
fn who_goes_on_with_no_connection_is_told() {
    for via in Via::ALL {
        let mut gate = gate();
        let line = Connection {
            via,
            client: via.client(),
            vip: SocketAddr::new(via.vip().ip(), SSH),
            server: via.client(),
            seen_as: via.client(),
            next: [700, 900],
        };
        let told = gate.take(line.from_client("AP", "hello")).answered_by_segment();
        assert_eq!((told.source, told.destination), (line.vip, line.client), "{via:?}");
        assert_eq!((told.flags.as_str(), told.sequence), ("R", 900));
        gate.take(line.from_client("R", "")).dropped(DropReason::NoConnection);
        gate.take(line.from_client("AR", "")).dropped(DropReason::NoConnection);
    }
}

#[test]
fn who_finds_no_backend_is_told() {
    for via in Via::ALL {
        let mut gate = gate();
        gate.change(|snapshot| {
            snapshot.backends.iter_mut().for_each(|one| one.state = BackendState::Down)
        });
        let line = Connection {
            via,
            client: via.client(),
            vip: SocketAddr::new(via.vip().ip(), SSH),
            server: via.client(),
            seen_as: via.client(),
            next: [700, 0],
        };
        let told = gate.take(line.from_client("S", "")).answered_by_segment();
        assert_eq!((told.flags.as_str(), told.sequence), ("AR", 0), "{via:?}");
        assert_eq!(told.acknowledgement, 701);
        let elsewhere = Connection { vip: SocketAddr::new(line.vip.ip(), 23), ..line };
        gate.take(elsewhere.from_client("S", "")).dropped(DropReason::NoService);
    }
}

#[test]
fn a_dead_backends_clients_are_told_at_once_by_the_gate_that_has_their_vip() {
    for via in Via::ALL {
        let mut gate = gate();
        let mut line = Connection::open(&mut gate, via, via.client(), SSH);
        line.client_says(&mut gate, "AP", "get file");
        if !via.is_dsr() {
            line.server_says(&mut gate, "AP", "the first part");
        }
        line.client_says(&mut gate, "A", "");
        gate.change(|snapshot| {
            snapshot[backend(via, 0)].state = BackendState::Down;
            snapshot.set_live(via.vip_id(), false);
        });
        gate.wait(20);
        assert!(!gate.engine.has_to_originate(), "{via:?}: another gate has the VIP");
        gate.change(|snapshot| snapshot.set_live(via.vip_id(), true));
        gate.wait(20);
        assert!(gate.engine.has_to_originate(), "{via:?}");
        let (by, words) = gate.engine.originate(gate.now).expect("a reset");
        let told = Segment::read(&words);
        assert_eq!((by, told.to), (OUTSIDE, mac(line.client.ip())));
        assert_eq!((told.source, told.destination), (line.vip, line.client));
        assert_eq!((told.flags.as_str(), told.sequence), ("AR", line.next[1]), "{via:?}");
        assert_eq!(told.acknowledgement, line.next[0]);
        assert!(gate.engine.originate(gate.now).is_none());
        let totals = &gate.engine.state.counters.backend(backend(via, 0));
        assert_eq!(totals.lost.value(), 1);
    }
}

/// The VIP goes between the end of the connection and its reset.
#[test]
fn a_gate_that_has_lost_the_vip_resets_nobody() {
    for via in Via::ALL {
        let mut gate = gate();
        let _ = Connection::open(&mut gate, via, via.client(), SSH);
        gate.change(|snapshot| snapshot[backend(via, 0)].state = BackendState::Down);
        gate.wait(20);
        assert!(gate.engine.has_to_originate(), "{via:?}");
        gate.change(|snapshot| snapshot.set_live(via.vip_id(), false));
        assert!(gate.engine.originate(gate.now).is_none(), "{via:?}");
    }
}

#[test]
fn a_flood_of_syns_pushes_out_no_open_connection() {
    for via in Via::ALL {
        let mut gate = gate();
        let mut open: Vec<Connection> = (0..FLOWS as u16 / 2)
            .map(|n| SocketAddr::new(via.client().ip(), 3000 + n))
            .map(|client| Connection::open(&mut gate, via, client, SSH))
            .collect();
        let like = open[0].clone();
        for n in 0..2 * FLOWS as u16 {
            let client = SocketAddr::new(via.host(0, 200), 10_000 + n);
            let _ =
                gate.take(Connection { client, next: FIRST, ..like.clone() }.from_client("S", ""));
        }
        let half_open = |view: &&_| {
            let view: &engine::flow::query::ConnectionView = view;
            view.state == ConnectionState::HalfOpen
        };
        let flood = gate.connections().iter().filter(half_open).count();
        assert_eq!(flood, FLOWS as usize / 4, "{via:?}");
        for line in &mut open {
            line.client_says(&mut gate, "AP", "still here");
        }
    }
}

#[test]
fn a_full_table_refuses_new_connections_and_keeps_the_old() {
    let via = Via::Nat;
    let mut gate = gate();
    let mut open: Vec<Connection> = (0..FLOWS as u16)
        .map(|n| SocketAddr::new(via.client().ip(), 3000 + n))
        .map(|client| Connection::open(&mut gate, via, client, SSH))
        .collect();
    let client = SocketAddr::new(via.client().ip(), 2000);
    let one_more = Connection { client, next: FIRST, ..open[0].clone() };
    gate.take(one_more.from_client("S", "")).dropped(DropReason::FlowTableFull);
    for line in &mut open {
        line.client_says(&mut gate, "AP", "still here");
    }
}

#[test]
fn broken_headers_are_dropped() {
    let mut gate = gate();
    let line = Connection::open(&mut gate, Via::Nat, Via::Nat.client(), SSH);
    let frame = line.from_client("AP", "hello").bytes();
    const OFFSET: usize = 14 + 20 + 12;
    for offset in [0x00, 0x40, 0xf0] {
        let mut broken = frame.clone();
        broken[OFFSET] = offset;
        gate.take(broken).dropped(DropReason::BadTcp);
    }
}

#[test]
fn the_kernel_gets_what_servers_open_by_themselves() {
    let via = Via::Nat;
    let mut gate = gate();
    let line = Connection::open(&mut gate, via, via.client(), SSH);
    let elsewhere = SocketAddr::new(via.client().ip(), 443);
    gate.take(Connection { seen_as: elsewhere, ..line.clone() }.from_server("S", "")).to_kernel();
    let ssh = Connection { server: SocketAddr::new(line.server.ip(), 4000), ..line };
    gate.take(ssh.from_server("S", "")).to_kernel();
}

#[test]
fn what_is_seen_of_a_connection() {
    let via = Via::Snat;
    let mut gate = gate();
    let mut line = Connection::open(&mut gate, via, via.client(), SSH);
    line.client_says(&mut gate, "AP", "hello");
    let view = gate.connections().remove(0);
    assert_eq!((view.kind, view.protocol), (ConnectionKind::Client, 6));
    assert_eq!(
        (view.client, view.vip, view.seen_as, view.server),
        (line.client, line.vip, line.seen_as, line.server)
    );
    assert_eq!((view.bytes_in, view.bytes_out), (40 + 40 + 45, 40));
}

#[test]
fn a_segment_that_is_too_large_for_its_way_is_not_passed() {
    let via = Via::Nat;
    let mut gate = gate();
    let line = Connection::open(&mut gate, via, via.client(), SSH);
    gate.change(|snapshot| snapshot[OUTSIDE].mtu = 600);
    let large = line.from_server("AP", &"x".repeat(900));
    gate.take(large).told(line.vip.ip(), [3, 4], 600);
}

#[test]
fn whoever_sends_too_large_segments_hears_of_it() {
    for via in Via::ALL {
        for by_client in [true, false] {
            if via.is_dsr() && !by_client {
                continue;
            }
            let mut gate = gate();
            let mut line = Connection::open(&mut gate, via, via.client(), SSH);
            let sent = match by_client {
                true => line.client_says(&mut gate, "AP", "hello"),
                false => line.server_says(&mut gate, "AP", "hello"),
            };
            // A router next to the packet's receiver.
            let beyond = if by_client { via.at_server() } else { via };
            let net = u8::from(by_client && matches!(via, Via::Nat | Via::Nat6));
            let router = beyond.host(net, 250);
            let what = TOO_BIG[beyond.family()];
            let quote = &sent.bytes()[14..];
            let outcome = gate.take(control(router, sent.source.ip(), what, 1400, quote));
            if via.is_dsr() {
                // The client itself sent the packet, and is reached directly.
                continue;
            }
            assert!(
                matches!(outcome.verdict, Verdict::Transmit(_)),
                "{via:?} {:?}",
                outcome.verdict
            );
            let heard = IcmpError::read(&outcome.bytes);
            let (sender, receiver) = match by_client {
                true => (line.client, line.vip),
                false => (line.server, line.seen_as),
            };
            assert_eq!(heard.to, sender.ip(), "{via:?}");
            let header = if sender.is_ipv6() { 40 } else { 20 };
            let ports = &heard.quote[header..header + 4];
            let expected = [sender.port().to_be_bytes(), receiver.port().to_be_bytes()].concat();
            assert_eq!(ports, expected, "{via:?}");
            assert_eq!(state(&gate), Some(ConnectionState::Open));
        }
    }
}

/// A host that does not see the connection has to guess its numbers.
#[test]
fn whoever_does_not_know_the_numbers_changes_nothing() {
    for via in Via::SEEN {
        for by_client in [true, false] {
            let (mut gate, mut line) = in_conversation(via);
            let say = |flags: &str| match by_client {
                true => line.from_client(flags, ""),
                false => line.from_server(flags, ""),
            };
            for flags in ["S", "SA", "A", "AF"] {
                for far in [1 << 20, 1 << 23, 1 << 25, 1 << 31, u32::MAX - (1 << 25)] {
                    let (like, reset) = (say(flags), say("R"));
                    let sequence = like.sequence.wrapping_add(far);
                    let acknowledgement = like.acknowledgement.wrapping_add(far);
                    let candidate = Segment { sequence, acknowledgement, ..like };
                    let _ = gate.take(candidate).sent_segment();
                    for next in [0, 1] {
                        let sequence = sequence.wrapping_add(next);
                        let outcome = gate.take(Segment { sequence, ..reset.clone() });
                        outcome.dropped(DropReason::BadReset);
                    }
                    assert_eq!(state(&gate), Some(ConnectionState::Open), "{via:?} {flags} {far}");
                }
            }
            let heard = line.client_says(&mut gate, "AP", "still here");
            assert_eq!(heard.to, mac(via.server(0)));
        }
    }
}

#[test]
fn a_connection_opens_only_for_who_has_heard_the_answer() {
    for via in Via::SEEN {
        let mut gate = gate();
        let mut line = Connection::new(via, via.client(), SSH);
        line.client_says(&mut gate, "S", "");
        let view = gate.connections().remove(0);
        (line.seen_as, line.server) = (view.seen_as, view.server);
        line.server_says(&mut gate, "SA", "");
        let answer = line.from_client("A", "");
        for far in [1, 1 << 16, 1 << 31, u32::MAX] {
            let acknowledgement = answer.acknowledgement.wrapping_add(far);
            let _ = gate.take(Segment { acknowledgement, ..answer.clone() }).sent_segment();
            assert_eq!(state(&gate), Some(ConnectionState::HalfOpen), "{via:?} {far}");
        }
        let _ = gate.take(answer).sent_segment();
        assert_eq!(state(&gate), Some(ConnectionState::Open), "{via:?}");
    }
}

/// The receiver drops these: a FIN without ACK, and one before the handshake's last segment.
#[test]
fn what_is_no_end_to_its_receiver_ends_nothing() {
    for via in Via::ALL {
        let mut gate = gate();
        let mut line = Connection::new(via, via.client(), SSH);
        line.client_says(&mut gate, "S", "");
        let view = gate.connections().remove(0);
        (line.seen_as, line.server) = (view.seen_as, view.server);
        if !via.is_dsr() {
            line.server_says(&mut gate, "SA", "");
            let end = line.from_client("AF", "");
            let _ = gate.take(Segment { acknowledgement: 7, ..end });
            let _ = gate.take(line.from_client("F", ""));
            assert_eq!(state(&gate), Some(ConnectionState::HalfOpen), "{via:?}");
        }
        let _ = gate.take(line.from_client("A", "")).sent_segment();
        let _ = gate.take(line.from_client("F", "")).sent_segment();
        assert_eq!(state(&gate), Some(ConnectionState::Open), "{via:?}");
        line.client_says(&mut gate, "AF", "");
        assert_eq!(state(&gate), Some(ConnectionState::Closing), "{via:?}");
    }
}

/// The receiver would drop an old timestamp (RFC 7323) or a signature (RFC 2385).
#[test]
fn a_reset_s_options_stop_at_the_gate() {
    for via in Via::ALL {
        let mut gate = gate();
        let line = Connection::open(&mut gate, via, via.client(), SSH);
        let stamp = [&[1, 1, 8, 10][..], &1u32.to_be_bytes(), &[0; 4]].concat();
        let reset = Segment { options: stamp.clone(), ..line.from_client("R", "") };
        let heard = gate.take(reset).sent_segment();
        let left = if via.is_dsr() { stamp } else { vec![1; 12] };
        assert_eq!(heard.options, left, "{via:?}");
        assert_eq!(state(&gate), Some(ConnectionState::Closed));
    }
}
