//! FTP's control connection is read from its server's first byte on, however its client opens it.

use engine::reason::Reason;
use engine::tables::{Ftp, Protocol};
use engine::verdict::Verdict;
use kit::connections::{Line, tables};
use kit::ftp::active;
use kit::gate::Gate;
use kit::segment::Segment;
use kit::world::{FLOWS, Via};
use std::net::SocketAddr;

/// A connection whose client has asked for it.
fn asked(via: Via) -> (Gate, Line) {
    let ftp = Ftp { data_port: None, foreign_data: false };
    let mut gate = Gate::with(tables(Protocol::Ftp(ftp), 21), FLOWS);
    let mut control = Line::new(via, via.client(), 21);
    control.seen(gate.take(control.from_client("S", "")).sent_segment());
    control.goes_on(0, "S", "");
    (gate, control)
}

/// The same, and it has heard the answer.
fn half_open(via: Via) -> (Gate, Line) {
    let (mut gate, mut control) = asked(via);
    control.server_says(&mut gate, "SA", "");
    (gate, control)
}

/// Has the client confirm, and say that somebody else listens: its server does not hear that.
#[track_caller]
fn is_read(gate: &mut Gate, control: &Line, what: &str) {
    let foreign = active(SocketAddr::new(control.via.station(0, 66), 5001));
    let _ = gate.take(control.from_client("A", ""));
    let outcome = gate.take(control.from_client("AP", &foreign));
    if let Verdict::Transmit(_) = outcome.verdict {
        let heard = outcome.sent_segment().text();
        assert!(!heard.contains(foreign.trim_end()), "{:?}, {what}: {heard:?}", control.via);
    }
}

/// Its server drops an end that acknowledges nothing, or not its own beginning, and waits for the handshake's last part.
#[test]
fn after_an_end_before_the_beginning() {
    for via in Via::SEEN {
        for (flags, behind) in [("F", 0), ("FP", 0), ("FA", 1), ("FAP", 1000)] {
            let (mut gate, control) = half_open(via);
            let end = control.from_client(flags, "");
            let acknowledgement = end.acknowledgement.wrapping_sub(behind);
            let _ = gate.take(Segment { acknowledgement, ..end });
            is_read(&mut gate, &control, flags);
            // A second time: as good as a client's real end.
            let mut gone = control.clone();
            gone.goes_on(0, "F", "");
            is_read(&mut gate, &gone, flags);
        }
    }
}

/// A reset that its server does not believe, as one with an old timestamp.
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

/// What its server has answered is the first one; the other one begins inside of another line.
#[test]
fn after_a_second_beginning() {
    for via in Via::SEEN {
        for before in [1, 5, 1000, 1 << 31] {
            let (mut gate, control) = half_open(via);
            let mut syn = Line::new(via, via.client(), 21).from_client("S", "");
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

/// The one that its server answers, whichever came last.
#[test]
fn the_beginning_that_is_answered_holds() {
    for via in Via::SEEN {
        let (mut gate, mut control) = asked(via);
        let mut syn = Line::new(via, via.client(), 21).from_client("S", "");
        syn.sequence = syn.sequence.wrapping_sub(5);
        let _ = gate.take(syn).sent_segment();
        control.server_says(&mut gate, "SA", "");
        let _ = gate.take(control.from_client("A", "")).sent_segment();
        assert_eq!(control.client_says(&mut gate, "AP", "NOOP\r\n").text(), "NOOP\r\n", "{via:?}");
        is_read(&mut gate, &control, "another SYN before");
    }
}

/// Data may come with a SYN (RFC 7413): a server whose connection is another one by now would take it.
#[test]
fn after_a_syn_with_data() {
    for via in Via::SEEN {
        for flags in ["S", "SA", "SP"] {
            let (mut gate, control) = half_open(via);
            let _ = gate.take(control.from_client("A", "")).sent_segment();
            let foreign = active(SocketAddr::new(via.station(0, 66), 5001));
            let syn = Segment { sequence: 7_000, ..control.from_client(flags, &foreign) };
            gate.take(syn).dropped(Reason::OutOfOrder);
            is_read(&mut gate, &control, flags);
        }
    }
}
