//! A machine that lost power boots and uses the same port, while the gate still has its old connection.

use engine::flow::state::ConnectionState;
use engine::snapshot::{Ftp, Protocol};
use engine::types::verdict::Verdict;
use kit::connections::{Connection, FIRST, snapshot};
use kit::engine_harness::EngineHarness;
use kit::ftp::passive_at;
use kit::topology::{FLOWS, Via};
use std::net::SocketAddr;

const SSH: u16 = 22;
/// Initial sequence numbers of the second connection.
const LATER: [u32; 2] = [1 << 30, 3 << 29];

fn gate() -> EngineHarness {
    EngineHarness::with(snapshot(Protocol::Tcp, SSH), FLOWS)
}

fn state(gate: &EngineHarness) -> Option<ConnectionState> {
    gate.connections().first().map(|view| view.state)
}

/// A connection between the same endpoints, with the later numbers.
fn later(via: Via, port: u16) -> Connection {
    Connection { next: LATER, ..Connection::new(via, via.client(), port) }
}

#[test]
fn a_server_that_has_forgotten_the_old_connection_has_a_new_one() {
    for via in Via::SEEN {
        for is_closing in [false, true] {
            let mut gate = gate();
            let mut before = Connection::open(&mut gate, via, via.client(), SSH);
            if is_closing {
                before.server_says(&mut gate, "AF", "");
            }
            let mut line = later(via, SSH).opened(&mut gate);
            assert_eq!(line.server, before.server, "{via:?}");
            assert_eq!(state(&gate), Some(ConnectionState::Open));
            line.client_says(&mut gate, "AP", "SSH-2.0-client");
            line.server_says(&mut gate, "AP", "SSH-2.0-server");
            // The old numbers are worthless, the new ones valid.
            let late = gate.take(before.from_client("R", "")).verdict;
            assert!(matches!(late, Verdict::Drop(_)), "{via:?}: {late:?}");
            line.client_says(&mut gate, "AF", "");
            assert_eq!(state(&gate), Some(ConnectionState::Closing));
            line.server_says(&mut gate, "AF", "");
            assert_eq!(state(&gate), Some(ConnectionState::Closed));
            let backend = &gate.engine.state.counters.backends
                [usize::from(kit::connections::backend(via, 0))];
            assert_eq!((backend.started.value(), backend.ended.value()), (2, 2));
        }
    }
}

#[test]
fn a_server_that_knows_it_says_so_and_it_goes_on() {
    for via in Via::SEEN {
        let mut gate = gate();
        let mut line = Connection::open(&mut gate, via, via.client(), SSH);
        let _ = gate.take(later(via, SSH).from_client("S", "")).sent_segment();
        // RFC 5961 §4.2: the ACK that the server expects.
        line.server_says(&mut gate, "A", "");
        // A guessed answer does not help.
        let _ = gate.take(line.from_server("SA", "")).sent_segment();
        line.client_says(&mut gate, "AP", "still here");
        line.server_says(&mut gate, "AP", "so am I");
        assert_eq!(state(&gate), Some(ConnectionState::Open), "{via:?}");
        let _ = gate.take(line.from_client("R", "")).sent_segment();
        assert_eq!(state(&gate), Some(ConnectionState::Closed));
    }
}

#[test]
fn the_new_conversation_is_read_from_its_start() {
    for via in [Via::Nat, Via::Snat] {
        let ftp = Ftp { data_port: None, foreign_data: false };
        let mut gate = EngineHarness::with(snapshot(Protocol::Ftp(ftp), 21), FLOWS);
        let announce = |gate: &mut EngineHarness, mut control: Connection, port| {
            let answer = passive_at(SocketAddr::new(via.server(0), port));
            control.server_says(gate, "AP", "220 Ready.\r\n");
            control.client_says(gate, "AP", "PASV\r\n");
            let heard = gate.take(control.from_server("AP", &answer)).sent_segment();
            assert_eq!(heard.text(), passive_at(SocketAddr::new(via.vip().ip(), port)), "{via:?}");
        };
        let first = Connection::open(&mut gate, via, via.client(), 21);
        announce(&mut gate, first, 40_001);
        let second = later(via, 21).opened(&mut gate);
        announce(&mut gate, second, 40_002);
    }
}

/// A server with few ports announces one again while the last connection to it is closing.
#[test]
fn what_is_announced_is_not_taken_for_the_connection_before() {
    for via in [Via::Nat, Via::Snat] {
        let ftp = Ftp { data_port: None, foreign_data: false };
        let mut gate = EngineHarness::with(snapshot(Protocol::Ftp(ftp), 21), FLOWS);
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        let client = SocketAddr::new(via.client().ip(), 5000);
        let answer = passive_at(SocketAddr::new(via.server(0), 40_001));
        // The server counts sent bytes, the client received ones.
        let mut server = control.clone();
        for first in [FIRST, LATER] {
            control.client_says(&mut gate, "AP", "PASV\r\n");
            server.goes_on(0, "AP", "PASV\r\n");
            let heard = server.server_says(&mut gate, "AP", &answer);
            control.goes_on(1, "AP", &heard.text());
            let data = Connection { next: first, ..Connection::new(via, client, 40_001) };
            data.opened(&mut gate).server_says(&mut gate, "AF", "");
            let states: Vec<_> = gate.connections().iter().map(|one| one.state).collect();
            let is_there = |state| states.iter().filter(|one| **one == state).count() == 1;
            assert!(
                is_there(ConnectionState::Expected) && is_there(ConnectionState::Closing),
                "{via:?} {states:?}"
            );
        }
    }
}
