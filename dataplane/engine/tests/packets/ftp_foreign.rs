//! Control connections that are not FTP from the first byte on, such as implicit FTPS: nothing is held or changed. A
//! client that only pretends opens nothing.

use engine::snapshot::{Ftp, Protocol};
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::connections::{Connection, backend, snapshot};
use kit::engine_harness::EngineHarness;
use kit::ftp::{active, passive_at};
use kit::segment::Segment;
use kit::topology::{FLOWS, Via};
use std::net::SocketAddr;

/// TLS records that end like the beginning of a command, of a Telnet signal, and of a reply; and the SSL 2 hello by
/// which older clients begin TLS.
const HELLO: [&[u8]; 5] = [
    b"\x16\x03\x01\x00\x05abc\nP",
    b"\x16\x03\x01\x00\x08\n227\n\n\0\xff",
    b"\x16\x03\x01\x00\x05abc\n ",
    b"\x16\x03\x01\x00\x06EPSV\r\n",
    b"\x80\x1f\x01\x03\x01\x00\x06\0\0\0\x10\x00\x00\x2f\x00\x00\x350123456789abcdef",
];
const ANSWER: [&[u8]; 2] = [b"\x16\x03\x03\x00\x05abc\r\n2", b"\x15\x03\x03\x00\x02\x02\x28"];

fn gate() -> EngineHarness {
    let ftp = Ftp { data_port: None, foreign_data: false };
    EngineHarness::with(snapshot(Protocol::Ftp(ftp), 21), FLOWS)
}

/// One side sends the data, and the other one receives the same.
#[track_caller]
fn passes(gate: &mut EngineHarness, line: &mut Connection, side: usize, data: &[u8]) {
    let said = if side == 0 { line.from_client("AP", "") } else { line.from_server("AP", "") };
    let heard = gate.take(Segment { payload: data.to_vec(), ..said }).sent_segment();
    assert_eq!(heard.payload.escape_ascii().to_string(), data.escape_ascii().to_string());
    line.next[side] = line.next[side].wrapping_add(data.len() as u32);
}

#[test]
fn no_byte_of_it_is_held_or_changed() {
    for via in Via::SEEN {
        for (hello, answer) in HELLO.into_iter().flat_map(|one| ANSWER.map(|other| (one, other))) {
            let mut gate = gate();
            let mut line = Connection::open(&mut gate, via, via.client(), 21);
            let (first, second) = hello.split_at(7);
            passes(&mut gate, &mut line, 0, first);
            passes(&mut gate, &mut line, 0, second);
            for side in [1, 0, 1, 0] {
                passes(&mut gate, &mut line, side, answer);
                passes(&mut gate, &mut line, side, b"\x17\x03\x03\x00\x12\nPORT 1,2,3,4,5,6\r\n22");
            }
            assert_eq!(gate.connections().len(), 1, "{via:?}");
        }
    }
}

/// Data connections come to the backend's passive ports.
#[test]
fn its_data_is_like_that_of_any_session_in_tls() {
    for via in [Via::Nat, Via::Snat] {
        let mut world = snapshot(Protocol::Ftp(Ftp { data_port: None, foreign_data: false }), 21);
        let vip = &mut world[via.vip_id()];
        vip.passive = vec![(40_000..=40_009, backend(via, 0)), (40_010..=40_019, backend(via, 1))];
        let mut gate = EngineHarness::with(world, FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), 21);
        let port = if line.server.ip() == via.server(0) { 40_001 } else { 40_011 };
        let client = SocketAddr::new(via.client().ip(), 6000);
        let syn = Connection::new(via, client, port).from_client("S", "");
        gate.take(syn).dropped(DropReason::NoService);
        passes(&mut gate, &mut line, 0, HELLO[0]);
        passes(&mut gate, &mut line, 1, ANSWER[0]);
        let data = Connection::open(&mut gate, via, client, port);
        assert_eq!(data.server, SocketAddr::new(line.server.ip(), port), "{via:?}");
    }
}

/// An FTP server finds lines in the stream. None of them names an endpoint, and no reply opens anything.
#[test]
fn a_client_that_only_begins_so_opens_nothing() {
    for via in Via::SEEN {
        let foreign = active(SocketAddr::new(via.host(0, 66), 5001));
        let ours = active(SocketAddr::new(via.client().ip(), 5001));
        for line in [&foreign, &ours, &format!("\0\0\0\0\0\0\0\0\0\0{foreign}"), "lprt 4,4,1\n"] {
            for at in [0, 1, 4, 9, line.trim_end().len()] {
                let mut gate = gate();
                let mut control = Connection::open(&mut gate, via, via.client(), 21);
                passes(&mut gate, &mut control, 0, b"\x16\x03\x01\nPASV\r\n");
                let (first, rest) = line.split_at(at);
                let mut heard = hears(&mut gate, &mut control, first);
                heard += &hears(&mut gate, &mut control, rest);
                control.server_says(&mut gate, "AP", "220 Hello\r\n");
                (0..3).for_each(|_| heard += &hears(&mut gate, &mut control, ""));
                assert!(!heard.contains('\n'), "{via:?} {at} {heard:?}");
                let reply = match via.server(0) {
                    ip if ip.is_ipv4() => passive_at(SocketAddr::new(control.server.ip(), 40_001)),
                    _ => "229 Extended (|||40001|)\r\n".to_owned(),
                };
                let told = control.server_says(&mut gate, "AP", &reply).text();
                assert_eq!(told, "425 Can't open data connection.\r\n");
                assert_eq!(gate.connections().len(), 1);
            }
        }
    }
}

/// The bytes that the server receives, with those that it had missed before.
fn hears(gate: &mut EngineHarness, control: &mut Connection, text: &str) -> String {
    let outcome = gate.take(control.from_client("AP", text));
    if !matches!(outcome.verdict, Verdict::Transmit(_)) {
        return String::new();
    }
    let heard = outcome.sent_segment().text();
    control.goes_on(0, "", &heard);
    heard
}

/// A server without in-line urgent data (Java's, Twisted's, node's) reads a line without the urgent byte.
#[test]
fn nor_by_a_line_with_an_urgent_byte() {
    for via in Via::SEEN {
        let foreign = active(SocketAddr::new(via.host(0, 66), 5001));
        let (start, rest) = foreign.split_at(3);
        for first in [&b"\x16\n"[..], b"X\n"] {
            for parts in [
                [("AP", first), ("APU", b"\xf2"), ("AP", foreign.as_bytes()), ("A", b"")],
                [("AP", first), ("AP", start.as_bytes()), ("APU", b"\n"), ("AP", rest.as_bytes())],
            ] {
                let read = read_without_what_is_urgent(via, &parts);
                let line = foreign.as_bytes().escape_ascii().to_string();
                assert!(!read.contains(&line), "{via:?} {parts:?}: {read}");
            }
        }
    }
}

/// The forwarded segments without urgent bytes.
fn read_without_what_is_urgent(via: Via, parts: &[(&str, &[u8])]) -> String {
    let mut gate = gate();
    let mut control = Connection::open(&mut gate, via, via.client(), 21);
    let mut read = vec![];
    for &(flags, part) in parts {
        let said = Segment { payload: part.to_vec(), ..control.from_client(flags, "") };
        let outcome = gate.take(said);
        if !matches!(outcome.verdict, Verdict::Transmit(_)) {
            break;
        }
        let mut heard = outcome.sent_segment();
        control.next[0] = control.next[0].wrapping_add(heard.payload.len() as u32);
        if heard.flags.contains('U') {
            heard.payload.pop();
        }
        read.extend(heard.payload);
    }
    read.escape_ascii().to_string()
}
