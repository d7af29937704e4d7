//! What is no FTP from its first byte on, such as FTPS without AUTH: nothing of it is held or changed; but a client that only
//! says so opens nothing.

use engine::reason::Reason;
use engine::tables::{Ftp, Protocol};
use engine::verdict::Verdict;
use kit::connections::{Line, backend, tables};
use kit::ftp::{active, passive_at};
use kit::gate::Gate;
use kit::segment::Segment;
use kit::world::{FLOWS, Via};
use std::net::SocketAddr;

/// Records of TLS that end like the beginning of a command, of a signal of Telnet's, and of a reply; and the hello of SSL
/// 2's form by which older clients begin TLS.
const HELLO: [&[u8]; 5] = [
    b"\x16\x03\x01\x00\x05abc\nP",
    b"\x16\x03\x01\x00\x08\n227\n\n\0\xff",
    b"\x16\x03\x01\x00\x05abc\n ",
    b"\x16\x03\x01\x00\x06EPSV\r\n",
    b"\x80\x1f\x01\x03\x01\x00\x06\0\0\0\x10\x00\x00\x2f\x00\x00\x350123456789abcdef",
];
const ANSWER: [&[u8]; 2] = [b"\x16\x03\x03\x00\x05abc\r\n2", b"\x15\x03\x03\x00\x02\x02\x28"];

fn gate() -> Gate {
    let ftp = Ftp { data_port: None, foreign_data: false };
    Gate::with(tables(Protocol::Ftp(ftp), 21), FLOWS)
}

/// One side says this, and the other one hears the same.
#[track_caller]
fn passes(gate: &mut Gate, line: &mut Line, side: usize, data: &[u8]) {
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
            let mut line = Line::open(&mut gate, via, via.client(), 21);
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

/// Its data comes to the ports that its backend has for that.
#[test]
fn its_data_is_like_that_of_any_session_in_tls() {
    for via in [Via::Nat, Via::Snat] {
        let mut world = tables(Protocol::Ftp(Ftp { data_port: None, foreign_data: false }), 21);
        let vip = &mut world.vips[usize::from(via.service())];
        vip.passive = vec![(40_000..=40_009, backend(via, 0)), (40_010..=40_019, backend(via, 1))];
        let mut gate = Gate::with(world, FLOWS);
        let mut line = Line::open(&mut gate, via, via.client(), 21);
        let port = if line.server.ip() == via.server(0) { 40_001 } else { 40_011 };
        let client = SocketAddr::new(via.client().ip(), 6000);
        let syn = Line::new(via, client, port).from_client("S", "");
        gate.take(syn).dropped(Reason::NoService);
        passes(&mut gate, &mut line, 0, HELLO[0]);
        passes(&mut gate, &mut line, 1, ANSWER[0]);
        let data = Line::open(&mut gate, via, client, port);
        assert_eq!(data.server, SocketAddr::new(line.server.ip(), port), "{via:?}");
    }
}

/// A server of FTP finds lines in it. None of them names an endpoint, and none of its replies does.
#[test]
fn a_client_that_only_begins_so_opens_nothing() {
    for via in Via::SEEN {
        let foreign = active(SocketAddr::new(via.station(0, 66), 5001));
        let own = active(SocketAddr::new(via.client().ip(), 5001));
        for line in [&foreign, &own, &format!("\0\0\0\0\0\0\0\0\0\0{foreign}"), "lprt 4,4,1\n"] {
            for at in [0, 1, 4, 9, line.trim_end().len()] {
                let mut gate = gate();
                let mut control = Line::open(&mut gate, via, via.client(), 21);
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

/// What the server hears of this, and of what has not come to it before.
fn hears(gate: &mut Gate, control: &mut Line, text: &str) -> String {
    let outcome = gate.take(control.from_client("AP", text));
    if !matches!(outcome.verdict, Verdict::Transmit(_)) {
        return String::new();
    }
    let heard = outcome.sent_segment().text();
    control.goes_on(0, "", &heard);
    heard
}

/// A server without urgent data in line (Java's, Twisted's, node's) reads a line without that byte.
#[test]
fn nor_by_a_line_with_an_urgent_byte() {
    for via in Via::SEEN {
        let foreign = active(SocketAddr::new(via.station(0, 66), 5001));
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

/// What is left of these segments as far as they go on.
fn read_without_what_is_urgent(via: Via, parts: &[(&str, &[u8])]) -> String {
    let mut gate = gate();
    let mut control = Line::open(&mut gate, via, via.client(), 21);
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
