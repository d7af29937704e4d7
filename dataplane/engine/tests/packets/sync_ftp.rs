//! FTP sessions of a gate that go on at the other gate of its pair, although lines had another length behind the gate.

use engine::flow::state::ConnectionState;
use engine::snapshot::{Ftp, Protocol};
use engine::types::drop_reason::DropReason;
use kit::connections::{Connection, snapshot};
use kit::engine_harness::EngineHarness;
use kit::ftp::passive_at;
use kit::pair::{MIN_AGE, Pair};
use kit::segment::Segment;
use kit::topology::Via;
use std::net::SocketAddr;

const FTP: Protocol = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
/// Modes with rewritten lines: with `snat` over IPv4 to IPv6, commands change too.
const VIAS: [Via; 5] = [Via::Nat, Via::Nat6, Via::Snat, Via::Snat6, Via::Snat46];
const NONE: [u32; 6] = [0; 6];

/// A control connection with the numbers of both of its ends: those of one are not those of the other.
struct Session {
    client: Connection,
    server: Connection,
}

impl Session {
    fn open(gate: &mut EngineHarness, via: Via) -> Session {
        let control = Connection::open(gate, via, via.client(), 21);
        let mut session = Session { client: control.clone(), server: control };
        session.replies(gate, "220 ready\r\n");
        session.asks(gate, "USER x\r\n");
        session.replies(gate, "230 welcome\r\n");
        session
    }

    /// The client sends a line; returns what the server got. Both have right numbers.
    #[track_caller]
    fn asks(&mut self, gate: &mut EngineHarness, line: &str) -> String {
        let sent = gate.take(self.client.from_client("AP", line)).sent_segment();
        let next = [self.server.next[0], self.server.next[1]];
        assert_eq!([sent.sequence, sent.acknowledgement], next, "{:?}: {line}", self.client.via);
        self.client.goes_on(0, "", line);
        self.server.goes_on(0, "", &sent.text());
        sent.text()
    }

    /// The server sends a line, and the client acknowledges it; returns what the client got.
    #[track_caller]
    fn replies(&mut self, gate: &mut EngineHarness, line: &str) -> String {
        let sent = gate.take(self.server.from_server("AP", line)).sent_segment();
        let next = [self.client.next[1], self.client.next[0]];
        assert_eq!([sent.sequence, sent.acknowledgement], next, "{:?}: {line}", self.client.via);
        self.server.goes_on(1, "", line);
        self.client.goes_on(1, "", &sent.text());
        let acked: Segment = gate.take(self.client.from_client("A", "")).sent_segment();
        assert_eq!(acked.acknowledgement, self.server.next[1]);
        sent.text()
    }

    /// The server listens on this port, by the reply that its address family has.
    #[track_caller]
    fn listens(&mut self, gate: &mut EngineHarness, port: u16) {
        let via = self.client.via;
        let at = SocketAddr::new(self.server.server.ip(), port);
        let asked = if via.is_v6() || via.translates() { "EPSV\r\n" } else { "PASV\r\n" };
        self.asks(gate, asked);
        let reply = match at {
            SocketAddr::V4(_) => passive_at(at),
            SocketAddr::V6(_) => format!("229 Extended Passive Mode Entered (|||{port}|)\r\n"),
        };
        self.replies(gate, &reply);
    }

    /// The client opens a data connection to this port of the VIP.
    #[track_caller]
    fn opens(&self, gate: &mut EngineHarness, from: u16, port: u16) -> Connection {
        let client = SocketAddr::new(self.client.client.ip(), from);
        let data = Connection::open(gate, self.client.via, client, port);
        assert_eq!(data.server, SocketAddr::new(self.server.server.ip(), port));
        data
    }
}

#[test]
fn sessions_and_their_data_go_on() {
    for via in VIAS {
        let mut pair = Pair::new(|| snapshot(FTP, 21));
        let mut session = Session::open(&mut pair.gates[0], via);
        session.listens(&mut pair.gates[0], 40_001);
        let mut data = session.opens(&mut pair.gates[0], 5000, 40_001);
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0), (2, NONE), "{via:?}");
        pair.fail_over();
        let gate = &mut pair.gates[1];
        data.server_says(gate, "AP", "listing");
        data.client_says(gate, "A", "");
        session.replies(gate, "226 done\r\n");
        session.asks(gate, "NOOP\r\n");
        session.replies(gate, "200 fine\r\n");
        session.listens(gate, 40_002);
        session.opens(gate, 5001, 40_002);
        let foreign = SocketAddr::new(via.client().ip(), 5002);
        let stray = Connection::new(via, foreign, 40_003);
        gate.take(stray.from_client("S", "")).dropped(DropReason::NoService);
    }
}

/// Lines have gone on since the session was told, but none of another length.
#[test]
fn a_session_catches_up_with_lines_that_were_not_told() {
    for via in VIAS {
        for last in ["client", "server", "acknowledgement"] {
            let mut pair = Pair::new(|| snapshot(FTP, 21));
            let mut session = Session::open(&mut pair.gates[0], via);
            session.listens(&mut pair.gates[0], 40_001);
            pair.wait(MIN_AGE);
            assert_eq!(pair.tell(0), (1, NONE));
            session.asks(&mut pair.gates[0], "NOOP\r\n");
            session.replies(&mut pair.gates[0], "200 fine\r\n");
            session.asks(&mut pair.gates[0], "STAT\r\n");
            pair.fail_over();
            let gate = &mut pair.gates[1];
            match last {
                "client" => drop(session.asks(gate, "NOOP\r\n")),
                "server" => drop(session.replies(gate, "211 end\r\n")),
                _ => drop(gate.take(session.client.from_client("A", "")).sent_segment()),
            }
            session.replies(gate, "200 fine\r\n");
            session.listens(gate, 40_002);
            session.opens(gate, 5001, 40_002);
        }
    }
}

/// A session in the middle of a line is told when the line is at its end.
#[test]
fn a_session_within_a_line_is_not_told() {
    for via in VIAS {
        let mut pair = Pair::new(|| snapshot(FTP, 21));
        let mut session = Session::open(&mut pair.gates[0], via);
        pair.wait(MIN_AGE);
        let first = session.client.from_client("AP", "PA");
        let _ = pair.gates[0].take(first);
        assert_eq!(pair.tell(0).0, 0, "{via:?}");
        session.client.goes_on(0, "", "PA");
        let whole = pair.gates[0].take(session.client.from_client("AP", "SV\r\n")).sent_segment();
        assert_eq!(pair.tell(0).0, 0, "{via:?}: the server may not have the line");
        session.client.goes_on(0, "", "SV\r\n");
        session.server.goes_on(0, "", &whole.text());
        session.replies(&mut pair.gates[0], "500 no\r\n");
        assert_eq!(pair.tell(0), (1, NONE), "{via:?}");
        session.asks(&mut pair.gates[0], "NOOP\r\n");
        session.replies(&mut pair.gates[0], "200 fine\r\n");
        assert_eq!(pair.tell(0), (1, NONE), "{via:?}: it has come further");
    }
}

/// Sessions end at the gate that has them, and give up what their copies hold.
#[test]
fn the_end_of_a_session_is_told() {
    for via in VIAS {
        let mut pair = Pair::new(|| snapshot(FTP, 21));
        let mut session = Session::open(&mut pair.gates[0], via);
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0), (1, NONE));
        for [from, to] in [[0, 1], [1, 0]] {
            let end = if from == 0 { &session.client } else { &session.server };
            let fin = if from == 0 { end.from_client("FA", "") } else { end.from_server("FA", "") };
            let _ = pair.gates[0].take(fin).sent_segment();
            session.client.goes_on(from, "F", "");
            session.server.goes_on(from, "F", "");
            let ends = if to == 0 { &session.client } else { &session.server };
            let ack = if to == 0 { ends.from_client("A", "") } else { ends.from_server("A", "") };
            let _ = pair.gates[0].take(ack).sent_segment();
        }
        assert_eq!(pair.tell(0), (1, NONE), "{via:?}");
        assert_eq!(pair.gates[1].connections()[0].state, ConnectionState::Closed, "{via:?}");
        assert_eq!(pair.gates[1].moves().get("elsewhere"), Some(&1));
    }
}

/// The first of two segments is lost at the move: it comes again behind the second one.
#[test]
fn a_lost_segment_is_not_swallowed_by_the_one_behind_it() {
    for via in VIAS {
        let mut pair = Pair::new(|| snapshot(FTP, 21));
        let mut session = Session::open(&mut pair.gates[0], via);
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0), (1, NONE));
        pair.fail_over();
        let first = session.client.from_client("AP", "NOOP\r\n");
        session.client.goes_on(0, "", "NOOP\r\n");
        let second = session.client.from_client("AP", "STAT\r\n");
        let gate = &mut pair.gates[1];
        let _ = gate.take(second);
        let again = gate.take(first).sent_segment();
        assert_eq!(again.sequence, session.server.next[0], "{via:?}");
        assert!(again.text().starts_with("NOOP\r\n"), "{via:?}: {}", again.text());
    }
}

/// Both ends agree on TLS, and their session goes on unread.
#[test]
fn sessions_that_are_not_read_any_more_go_on() {
    for via in VIAS {
        let mut pair = Pair::new(|| snapshot(FTP, 21));
        let mut session = Session::open(&mut pair.gates[0], via);
        session.asks(&mut pair.gates[0], "AUTH TLS\r\n");
        session.replies(&mut pair.gates[0], "234 go on\r\n");
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0), (1, NONE), "{via:?}");
        session.asks(&mut pair.gates[0], "\x16\x03\x01\x02");
        pair.fail_over();
        session.replies(&mut pair.gates[1], "\x16\x03\x01\x03");
        session.asks(&mut pair.gates[1], "PORT 1,2,3,4,5,6\r\n");
    }
}
