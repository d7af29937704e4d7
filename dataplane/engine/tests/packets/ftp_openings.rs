//! FTP's control connection is read from the server's first byte on, however the client opens it.

use engine::snapshot::{Ftp, Protocol};
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::connections::{Connection, snapshot};
use kit::engine_harness::EngineHarness;
use kit::ftp::active;
use kit::segment::Segment;
use kit::topology::{FLOWS, Via};
use std::net::SocketAddr;

/// A connection after the client's SYN.
fn asked(via: Via) -> (EngineHarness, Connection) {
    let ftp = Ftp { data_port: None, foreign_data: false };
    let mut gate = EngineHarness::with(snapshot(Protocol::Ftp(ftp), 21), FLOWS);
    let mut control = Connection::new(via, via.client(), 21);
    control.seen(gate.take(control.from_client("S", "")).sent_segment());
    control.goes_on(0, "S", "");
    (gate, control)
}

/// A connection whose client has received the SYN-ACK.
fn half_open(via: Via) -> (EngineHarness, Connection) {
    let (mut gate, mut control) = asked(via);
    control.server_says(&mut gate, "SA", "");
    (gate, control)
}

/// The client completes the handshake and announces a third host: its server must not get that.
#[track_caller]
fn is_read(gate: &mut EngineHarness, control: &Connection, what: &str) {
    let foreign = active(SocketAddr::new(control.via.host(0, 66), 5001));
    let _ = gate.take(control.from_client("A", ""));
    let outcome = gate.take(control.from_client("AP", &foreign));
    if let Verdict::Transmit(_) = outcome.verdict {
        let heard = outcome.sent_segment().text();
        assert!(!heard.contains(foreign.trim_end()), "{:?}, {what}: {heard:?}", control.via);
    }
}

/// The server drops a FIN without a valid ACK and waits for the rest of the handshake.
#[test]
fn after_an_end_before_the_beginning() {
    for via in Via::SEEN {
        for (flags, behind) in [("F", 0), ("FP", 0), ("FA", 1), ("FAP", 1000)] {
            let (mut gate, control) = half_open(via);
            let end = control.from_client(flags, "");
            let acknowledgement = end.acknowledgement.wrapping_sub(behind);
            let _ = gate.take(Segment { acknowledgement, ..end });
            is_read(&mut gate, &control, flags);
            // The same once more: equal to a client's real FIN.
            let mut gone = control.clone();
            gone.goes_on(0, "F", "");
            is_read(&mut gate, &gone, flags);
        }
    }
}

/// A RST that the server drops, such as one with an old timestamp.
#[test]
fn after_a_reset_before_the_beginning() {
    for via in Via::SEEN {
        for flags in ["R", "RA"] {
            let (mut gate, control) = half_open(via);
            let _ = gate.take(control.from_client(flags, ""));
            is_read(&mut gate, &control, flags);
        }
    }
}

/// The server has answered the first SYN; the second one begins inside another line.
#[test]
fn after_a_second_beginning() {
    for via in Via::SEEN {
        for before in [1, 5, 1000, 1 << 31] {
            let (mut gate, control) = half_open(via);
            let mut syn = Connection::new(via, via.client(), 21).from_client("S", "");
            syn.sequence = syn.sequence.wrapping_sub(before);
            let _ = gate.take(syn);
            let _ = gate.take(control.from_client("A", ""));
            let early = control.from_client("AP", "NOOP ");
            let sequence = early.sequence.wrapping_sub(5);
            let _ = gate.take(Segment { sequence, ..early });
            is_read(&mut gate, &control, "a second SYN");
        }
    }
}

/// The SYN that the server answers counts, whichever came last.
#[test]
fn the_beginning_that_is_answered_holds() {
    for via in Via::SEEN {
        let (mut gate, mut control) = asked(via);
        let mut syn = Connection::new(via, via.client(), 21).from_client("S", "");
        syn.sequence = syn.sequence.wrapping_sub(5);
        let _ = gate.take(syn).sent_segment();
        control.server_says(&mut gate, "SA", "");
        let _ = gate.take(control.from_client("A", "")).sent_segment();
        assert_eq!(control.client_says(&mut gate, "AP", "NOOP\r\n").text(), "NOOP\r\n", "{via:?}");
        is_read(&mut gate, &control, "another SYN before");
    }
}

/// Data may come with a SYN (RFC 7413): a server whose connection is a new one by now would accept it.
#[test]
fn after_a_syn_with_data() {
    for via in Via::SEEN {
        for flags in ["S", "SA", "SP"] {
            let (mut gate, control) = half_open(via);
            let _ = gate.take(control.from_client("A", "")).sent_segment();
            let foreign = active(SocketAddr::new(via.host(0, 66), 5001));
            let syn = Segment { sequence: 7_000, ..control.from_client(flags, &foreign) };
            gate.take(syn).dropped(DropReason::OutOfOrder);
            is_read(&mut gate, &control, flags);
        }
    }
}
