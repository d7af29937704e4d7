//! Connection limits per client, and the connection that makes room.

use engine::flow::state::ConnectionState;
use engine::snapshot::{Ftp, Protocol, Snapshot};
use engine::types::drop_reason::DropReason;
use kit::connections::{Connection, backend, service, snapshot};
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::datagram;
use kit::segment::Segment;
use kit::topology::{FLOWS, Via};
use std::net::SocketAddr;

const FTP: Protocol = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
const MOST: u32 = 4;
/// Ticks that a client has to send its first byte.
const GREETING: u32 = 100;

fn limited(protocol: Protocol, port: u16) -> Snapshot {
    let mut snapshot = snapshot(protocol, port);
    for via in Via::ALL {
        limit(&mut snapshot, via, Some(MOST));
    }
    snapshot
}

fn limit(snapshot: &mut Snapshot, via: Via, most: Option<u32>) {
    snapshot[service(via)].access.max_connections = most;
}

/// An endpoint of the client with this number.
fn client(via: Via, number: u8, port: u16) -> SocketAddr {
    SocketAddr::new(via.host(0, number), port)
}

/// Number of connections of this client.
fn count(gate: &EngineHarness, via: Via, number: u8) -> usize {
    let is_its = |at: SocketAddr| at.ip() == via.host(0, number);
    gate.connections()
        .iter()
        .filter(|one| is_its(one.client) && one.state == ConnectionState::Open)
        .count()
}

/// Opens a connection and sends data, if the limit permits.
fn speaks(gate: &mut EngineHarness, via: Via, number: u8, port: u16, to: u16) -> Connection {
    let mut line = Connection::open(gate, via, client(via, number, port), to);
    line.client_says(gate, "AP", "hello\r\n");
    if !via.is_dsr() {
        line.server_says(gate, "AP", "230 Logged in.\r\n");
    }
    line
}

#[track_caller]
fn is_refused(gate: &mut EngineHarness, line: &Connection) {
    gate.moves();
    let told = gate.take(line.from_client("S", "")).answered_by_segment();
    assert_eq!(told.flags, "AR", "{:?}", line.via);
    gate.moved(&[("received", 1), ("answered", 1), ("connections", 1)]);
}

#[test]
fn a_client_has_no_more_than_it_may_and_others_have_theirs() {
    for (protocol, port) in [(FTP, 21), (Protocol::Tcp, 22)] {
        for via in Via::ALL {
            let mut gate = EngineHarness::with(limited(protocol, port), FLOWS);
            let mut lines: Vec<Connection> =
                (0..4).map(|n| speaks(&mut gate, via, 9, 2000 + n, port)).collect();
            gate.wait(GREETING + 1);
            is_refused(&mut gate, &Connection::new(via, client(via, 9, 2100), port));
            speaks(&mut gate, via, 70, 2000, port);
            // A closed connection does not count.
            lines[0].client_says(&mut gate, "R", "");
            speaks(&mut gate, via, 9, 2101, port);
            is_refused(&mut gate, &Connection::new(via, client(via, 9, 2100), port));
            // The changed limit applies to new connections.
            gate.change(|snapshot| limit(snapshot, via, Some(2)));
            assert_eq!(count(&gate, via, 9), 4, "{via:?}");
            gate.change(|snapshot| limit(snapshot, via, None));
            speaks(&mut gate, via, 9, 2102, port);
        }
    }
}

#[test]
fn half_open_ones_make_room_first() {
    for via in Via::ALL {
        let mut gate = EngineHarness::with(limited(Protocol::Tcp, 22), FLOWS);
        (0..3).for_each(|n| _ = speaks(&mut gate, via, 9, 2000 + n, 22));
        // These may be spoofed.
        for n in 0..50 {
            let _ =
                gate.take(Connection::new(via, client(via, 9, 3000 + n), 22).from_client("S", ""));
        }
        speaks(&mut gate, via, 9, 2003, 22);
        is_refused(&mut gate, &Connection::new(via, client(via, 9, 2004), 22));
        assert_eq!(count(&gate, via, 9), 4, "{via:?}");
    }
}

/// Half-open connections make room first, however many others have sent data: a client fails with its first refused
/// connection.
#[test]
fn half_open_ones_make_room_first_behind_many_others() {
    for (protocol, port) in [(FTP, 21), (Protocol::Tcp, 22)] {
        for via in Via::ALL {
            let mut snapshot = limited(protocol, port);
            limit(&mut snapshot, via, Some(60));
            let mut gate = EngineHarness::with(snapshot, 4 * FLOWS);
            (0..20).for_each(|n| _ = speaks(&mut gate, via, 9, 2000 + n, port));
            for n in 0..20 {
                let _ = Connection::open(&mut gate, via, client(via, 9, 2500 + n), port);
            }
            for n in 0..30 {
                let syn = Connection::new(via, client(via, 9, 3000 + n), port).from_client("S", "");
                let _ = gate.take(syn);
            }
            speaks(&mut gate, via, 9, 4000, port);
            assert_eq!(count(&gate, via, 9), 41, "{via:?}");
        }
    }
}

#[test]
fn then_those_that_have_said_nothing_for_a_while() {
    for (protocol, port) in [(FTP, 21), (Protocol::Tcp, 22)] {
        for via in Via::ALL {
            let mut gate = EngineHarness::with(limited(protocol, port), FLOWS);
            let mut lines: Vec<Connection> = (0..3)
                .map(|n| Connection::open(&mut gate, via, client(via, 9, 2000 + n), port))
                .collect();
            let talks = speaks(&mut gate, via, 9, 2003, port);
            is_refused(&mut gate, &Connection::new(via, client(via, 9, 2004), port));
            gate.wait(GREETING);
            lines[1].client_says(&mut gate, "A", "");
            speaks(&mut gate, via, 9, 2004, port);
            let told = gate.take(lines[0].from_client("A", "")).answered_by_segment();
            assert_eq!(told.flags, "R", "{via:?}: the oldest of them is gone");
            let _ = gate.take(talks.from_client("A", "")).sent_segment();
            let _ = gate.take(lines[2].from_client("A", "")).sent_segment();
        }
    }
}

/// The server's replies may be cut into any segments: a client that sends USER and PASS at once may get both replies in
/// one.
#[test]
fn who_has_logged_in_is_known_however_its_server_says_so() {
    let cut: [&[&str]; 4] = [
        &["331 Password?\r\n230 Logged in.\r\n"],
        &["23", "0 Logged in.\r\n"],
        &["331 Password?\r\n2", "30", " Logged in.\r\n"],
        &["230-Hello\r\n331 is no code here\r\n", "230 Logged in.\r\n"],
    ];
    for via in Via::SEEN {
        for words in cut {
            let mut gate = EngineHarness::with(limited(FTP, 21), FLOWS);
            let mut lines: Vec<Connection> = (0..4)
                .map(|n| Connection::open(&mut gate, via, client(via, 9, 2000 + n), 21))
                .collect();
            for line in &mut lines {
                line.client_says(&mut gate, "AP", "USER a\r\nPASS b\r\n");
                for part in words {
                    let _ = gate.take(line.from_server("AP", part));
                    line.goes_on(1, "", part);
                }
            }
            gate.wait(GREETING + 1);
            is_refused(&mut gate, &Connection::new(via, client(via, 9, 2100), 21));
            assert_eq!(count(&gate, via, 9), 4, "{via:?} {words:?}");
        }
    }
}

/// The segment's frame, damaged in transit: the receiver drops it.
fn damaged(segment: &Segment) -> Vec<u8> {
    let mut frame = segment.bytes();
    let ip = if segment.source.is_ipv6() { 40 } else { 20 };
    frame[14 + ip + 16] ^= 0x55;
    frame
}

/// Only a segment that the server accepts makes the connection end.
#[test]
fn what_no_server_takes_for_an_end_makes_no_room() {
    for via in Via::ALL {
        let mut gate = EngineHarness::with(limited(Protocol::Tcp, 22), FLOWS);
        let mut lines: Vec<Connection> =
            (0..4).map(|n| speaks(&mut gate, via, 9, 2000 + n, 22)).collect();
        for line in &mut lines {
            gate.take(damaged(&line.from_client("R", ""))).dropped(DropReason::BadTcp);
            gate.take(damaged(&line.from_client("AF", ""))).dropped(DropReason::BadTcp);
            let _ = gate.take(line.from_client("F", "")).sent_segment();
            line.client_says(&mut gate, "AP", "and on");
            if !via.is_dsr() {
                // The server has not reached that sequence number, or has passed it.
                let reset = line.from_client("R", "");
                let _ = gate.take(Segment { sequence: reset.sequence.wrapping_sub(6), ..reset });
                let _ = gate.take(line.from_client("R", "")).sent_segment();
            }
        }
        is_refused(&mut gate, &Connection::new(via, client(via, 9, 2100), 22));
    }
}

#[test]
fn so_it_is_over_udp() {
    for via in Via::ALL {
        let mut gate = EngineHarness::with(limited(Protocol::Udp, 53), FLOWS);
        let vip = SocketAddr::new(via.vip().ip(), 53);
        let asks = |port: u16| datagram(client(via, 9, port), vip, b"question");
        let answered = |gate: &mut EngineHarness, port: u16| {
            let sent: Packet = gate.take(asks(port)).sent();
            if via.is_dsr() {
                let _ = gate.take(asks(port)).sent();
            } else {
                let _ = gate.take(datagram(sent.destination, sent.source, b"answer")).sent();
                let _ = gate.take(asks(port)).sent();
            }
        };
        (0..3).for_each(|n| answered(&mut gate, 2000 + n));
        // Unanswered connections replace each other.
        (0..9).for_each(|n| drop(gate.take(asks(3000 + n)).sent()));
        answered(&mut gate, 2003);
        gate.moves();
        gate.take(asks(4000)).dropped(DropReason::ClientFull);
        gate.moved(&[("received", 1), ("client-full", 1), ("connections", 1)]);
    }
}

#[test]
fn data_that_nobody_announces_has_as_many() {
    for via in Via::ALL {
        let mut snapshot = limited(FTP, 21);
        snapshot[via.vip_id()].passive = vec![(50_000..=50_099, backend(via, 0))];
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        Connection::open(&mut gate, via, client(via, 9, 2000), 21).goes_dark(&mut gate);
        for n in 0..50 {
            let half = Connection::new(via, client(via, 9, 4000 + n), 50_000);
            let _ = gate.take(half.from_client("S", "")).sent_segment();
        }
        let data: Vec<Connection> = (0..MOST as u16)
            .map(|n| Connection::open(&mut gate, via, client(via, 9, 3000 + n), 50_000 + n))
            .collect();
        gate.wait(GREETING + 1);
        is_refused(&mut gate, &Connection::new(via, client(via, 9, 3100), 50_050));
        data.iter().for_each(|one| drop(gate.take(one.from_client("A", "")).sent_segment()));
    }
}

#[test]
fn what_an_earlier_process_has_left_counts() {
    for via in Via::ALL {
        let mut gate = EngineHarness::with(limited(Protocol::Tcp, 22), FLOWS);
        (0..4).for_each(|n| _ = speaks(&mut gate, via, 9, 2000 + n, 22));
        let mut gate = gate.reborn(limited(Protocol::Tcp, 22));
        gate.wait(GREETING + 1);
        is_refused(&mut gate, &Connection::new(via, client(via, 9, 2004), 22));
        speaks(&mut gate, via, 70, 2000, 22);
    }
}

#[test]
fn sessions_without_a_login_make_room_for_new_ones() {
    for via in Via::SEEN {
        let sessions = 256;
        let mut gate = EngineHarness::with(snapshot(FTP, 21), 1024);
        let logged_in = speaks(&mut gate, via, 9, 2000, 21);
        let mut silent: Vec<Connection> = (1..sessions)
            .map(|n| Connection::open(&mut gate, via, client(via, 66, 2000 + n), 21))
            .collect();
        let next = speaks(&mut gate, via, 70, 2000, 21);
        for one in [&logged_in, &next] {
            let _ = gate.take(one.from_client("A", "")).sent_segment();
        }
        let told = gate.take(silent[0].from_client("A", "")).answered_by_segment();
        assert_eq!(told.flags, "R", "{via:?}");
        silent[1].client_says(&mut gate, "A", "");
    }
}

/// In `dsr` a connection stays for minutes after its client's FIN.
#[test]
fn what_a_client_has_closed_does_not_count_in_dsr() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = EngineHarness::with(limited(Protocol::Tcp, 22), FLOWS);
        for port in 0..5 * MOST as u16 {
            let mut line = speaks(&mut gate, via, 9, 2000 + port, 22);
            line.client_says(&mut gate, "AF", "");
        }
        gate.moves();
    }
}
