//! FTP data connections that come late, twice, or unannounced.

use engine::flow::state::ConnectionState;
use engine::snapshot::{Ftp, Protocol};
use engine::types::drop_reason::DropReason;
use kit::connections::{Connection, FIRST, IDLE, backend, service, snapshot};
use kit::engine_harness::EngineHarness;
use kit::ftp::{active, endpoint_in, passive_at};
use kit::topology::{FLOWS, Via};
use std::net::SocketAddr;

const PLAIN: Ftp = Ftp { data_port: None, foreign_data: false };

fn gate() -> EngineHarness {
    EngineHarness::with(snapshot(Protocol::Ftp(PLAIN), 21), FLOWS)
}

/// An endpoint of the client.
fn client(via: Via, port: u16) -> SocketAddr {
    SocketAddr::new(via.client().ip(), port)
}

/// The client announces that it listens; returns the endpoint that its server is told.
fn announces(gate: &mut EngineHarness, control: &Connection, port: u16) -> SocketAddr {
    let command = active(client(control.via, port));
    endpoint_in(&gate.take(control.from_client("AP", &command)).sent_segment().text())
}

/// The server opens a connection to the announced endpoint.
fn comes(control: &Connection, from: u16, at: SocketAddr) -> Connection {
    let server = SocketAddr::new(control.server.ip(), from);
    Connection { server, seen_as: at, client: at, next: FIRST, ..control.clone() }
}

fn expected(gate: &EngineHarness) -> usize {
    gate.connections().iter().filter(|one| one.state == ConnectionState::Expected).count()
}

/// The control connection's client sends a command.
#[track_caller]
fn lives(gate: &mut EngineHarness, control: &Connection) {
    let _ = gate.take(control.from_client("A", "")).sent_segment();
}

#[test]
fn the_latest_one_is_waited_for_as_long_as_its_control_connection_lives() {
    for via in Via::SEEN {
        let mut gate = gate();
        let control = Connection::open(&mut gate, via, via.client(), 21);
        let at = announces(&mut gate, &control, 5001);
        for _ in 0..3 {
            gate.wait(IDLE - 10);
            lives(&mut gate, &control);
            assert_eq!(expected(&gate), 1, "{via:?}");
        }
        let heard = gate.take(comes(&control, 20, at).from_server("S", "")).sent_segment();
        assert_eq!(heard.destination, client(via, 5001));
    }
}

#[test]
fn an_older_one_is_waited_for_five_minutes() {
    // Behind a SNAT pool the server's numbers would differ.
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = gate();
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        control.client_says(&mut gate, "AP", &active(client(via, 5001)));
        control.client_says(&mut gate, "AP", &active(client(via, 5002)));
        gate.wait(2990);
        lives(&mut gate, &control);
        assert_eq!(expected(&gate), 2, "{via:?}");
        gate.wait(20);
        assert_eq!(expected(&gate), 1, "{via:?}");
        let heard = gate.take(comes(&control, 20, client(via, 5002)).from_server("S", ""));
        assert_eq!(heard.sent_segment().destination, client(via, 5002));
    }
}

/// An expected connection does not keep the control connection alive either.
#[test]
fn none_is_waited_for_without_its_control_connection() {
    for via in Via::SEEN {
        for is_reset in [true, false] {
            let mut gate = gate();
            let control = Connection::open(&mut gate, via, via.client(), 21);
            announces(&mut gate, &control, 5001);
            if is_reset {
                let _ = gate.take(control.from_server("R", "")).sent_segment();
            } else {
                gate.wait(2 * IDLE + 10);
                assert!(gate.connections().is_empty(), "{via:?}");
            }
            assert_eq!(expected(&gate), 0, "{via:?}");
        }
    }
}

/// A server announces the same passive port in several sessions: the client is told the same port.
#[test]
fn a_port_that_is_announced_again_stays_the_same() {
    for via in [Via::Nat, Via::Snat] {
        let mut gate = gate();
        let lines =
            (5000..5004).map(|port| Connection::open(&mut gate, via, client(via, port), 21));
        let controls: Vec<Connection> = lines.collect();
        let at_one = controls.into_iter().filter(|one| one.server.ip() == via.server(0));
        for mut control in at_one {
            for _ in 0..2 {
                control.client_says(&mut gate, "AP", "PASV\r\n");
                let reply = passive_at(SocketAddr::new(control.server.ip(), 40_001));
                let told = control.server_says(&mut gate, "AP", &reply).text();
                assert_eq!(told, passive_at(SocketAddr::new(via.vip().ip(), 40_001)), "{via:?}");
                control.client_says(&mut gate, "A", "");
            }
        }
    }
}

/// A server's port 40001 is announced to a client with a quota of one connection.
fn announced_to_one(via: Via) -> (EngineHarness, Connection) {
    let mut world = snapshot(Protocol::Ftp(PLAIN), 21);
    world[service(via)].access.max_connections = Some(1);
    let mut gate = EngineHarness::with(world, FLOWS);
    let mut control = Connection::open(&mut gate, via, via.client(), 21);
    control.client_says(&mut gate, "AP", "PASV\r\n");
    let reply = passive_at(SocketAddr::new(control.server.ip(), 40_001));
    control.server_says(&mut gate, "AP", &reply);
    (gate, control)
}

/// A client that was told once may connect as often as its quota permits.
#[test]
fn the_second_one_to_a_passive_port_counts_in_the_quota() {
    for via in [Via::Nat, Via::Snat] {
        let (mut gate, control) = announced_to_one(via);
        for port in [6000, 6001] {
            let data = Connection::open(&mut gate, via, client(via, port), 40_001);
            assert_eq!(data.server, SocketAddr::new(control.server.ip(), 40_001));
        }
        let more = Connection::new(via, client(via, 6002), 40_001).from_client("S", "");
        assert_eq!(gate.take(more).answered_by_segment().flags, "AR", "{via:?}");
    }
}

/// Half-open connections count, too.
#[test]
fn the_second_one_counts_in_the_quota_before_the_first_is_open() {
    for via in [Via::Nat, Via::Snat] {
        let (mut gate, _) = announced_to_one(via);
        let comes = |port| Connection::new(via, client(via, port), 40_001).from_client("S", "");
        (6000..6005).for_each(|port| drop(gate.take(comes(port)).sent_segment()));
        // The control connection, the expected one, the first data connection, and one for all others.
        assert_eq!(gate.connections().len(), 4, "{via:?}");
    }
}

/// A spoofed SYN is not the client's: a port that was announced in the clear stays reserved for the client.
#[test]
fn a_forged_syn_gives_no_announced_port_to_another() {
    for via in [Via::Snat, Via::Snat46] {
        let mut world = snapshot(Protocol::Ftp(PLAIN), 21);
        world[via.vip_id()].passive =
            vec![(50_000..=50_099, backend(via, 0)), (50_100..=50_199, backend(via, 1))];
        let mut gate = EngineHarness::with(world, FLOWS);
        let client = |number, port| SocketAddr::new(via.host(0, number), port);
        let mut victim = Connection::open(&mut gate, via, client(9, 2000), 21);
        let mut other = Connection::open(&mut gate, via, client(66, 2000), 21);
        other.goes_dark(&mut gate);
        let mut thief = Connection::open(&mut gate, via, client(66, 2001), 21);
        thief.goes_dark(&mut gate);
        assert_eq!((thief.server, thief.seen_as.ip()), (victim.server, victim.seen_as.ip()));
        let (asks, answer) = match via {
            Via::Snat => ("PASV\r\n", passive_at(SocketAddr::new(via.server(0), 50_007))),
            _ => ("EPSV\r\n", "229 Extended Passive Mode (|||50007|)\r\n".to_owned()),
        };
        victim.client_says(&mut gate, "AP", asks);
        victim.server_says(&mut gate, "AP", &answer);
        let forged = Connection::new(via, client(9, 4444), 50_007).from_client("S", "");
        let _ = gate.take(forged);
        let comes = Connection::new(via, client(66, 3000), 50_007).from_client("S", "");
        gate.take(comes).dropped(DropReason::NoService);
    }
}

/// The port belongs to another session by now.
#[test]
fn a_newer_one_ends_what_has_come_already() {
    let via = Via::Nat;
    let mut gate = gate();
    let mut control = Connection::open(&mut gate, via, via.client(), 21);
    for port in [40_001, 40_002] {
        control.client_says(&mut gate, "AP", "PASV\r\n");
        let reply = passive_at(SocketAddr::new(control.server.ip(), port));
        control.server_says(&mut gate, "AP", &reply);
        Connection::open(&mut gate, via, client(via, 6000), port);
    }
    let before = Connection::new(via, client(via, 6001), 40_001);
    gate.take(before.from_client("S", "")).dropped(DropReason::NoService);
    Connection::open(&mut gate, via, client(via, 6001), 40_002);
}

/// Active mode without PORT: data goes to the control connection's endpoint.
#[test]
fn data_that_nobody_has_announced_goes_where_the_control_connection_comes_from() {
    for via in Via::SEEN {
        let mut gate = gate();
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        for from in [20, 20, 4444] {
            let mut data = comes(&control, from, control.seen_as);
            let heard = gate.take(data.from_server("S", "")).sent_segment();
            assert_eq!(heard.source, SocketAddr::new(via.vip().ip(), 20), "{via:?}");
            assert_eq!(heard.destination, control.client);
            data.goes_on(1, "S", "");
            (data.client, data.vip) = (control.client, heard.source);
            let heard = data.client_says(&mut gate, "SA", "");
            assert_eq!((heard.source, heard.destination), (data.seen_as, data.server));
            data.server_says(&mut gate, "A", "");
            assert_eq!(data.server_says(&mut gate, "AP", "listing").text(), "listing");
            control.server_says(&mut gate, "A", "");
            data.server_says(&mut gate, "AF", "");
            data.client_says(&mut gate, "AF", "");
        }
        // The port of the SNAT pool still belongs to the control connection.
        gate.wait(700);
        let other = Connection::open(&mut gate, via, client(via, 7000), 21);
        assert_ne!(other.seen_as, control.seen_as);
        control.client_says(&mut gate, "AP", "NOOP\r\n");
        control.server_says(&mut gate, "AP", "200 ok\r\n");
    }
}

/// The client could not tell the second connection from the first.
#[test]
fn another_one_of_that_kind_waits_for_the_first_ones_end() {
    for via in Via::SEEN {
        let mut gate = gate();
        let control = Connection::open(&mut gate, via, via.client(), 21);
        let mut data = comes(&control, 4444, control.seen_as);
        let other = comes(&control, 4445, control.seen_as);
        let heard = gate.take(data.from_server("S", "")).sent_segment();
        data.goes_on(1, "S", "");
        (data.client, data.vip) = (control.client, heard.source);
        let refused = gate.take(other.from_server("S", "")).answered_by_segment();
        assert_eq!(refused.flags, "AR", "{via:?}");
        data.client_says(&mut gate, "SA", "");
        data.server_says(&mut gate, "A", "");
        let refused = gate.take(other.from_server("S", "")).answered_by_segment();
        assert_eq!(refused.flags, "AR", "{via:?}");
        assert_eq!(data.server_says(&mut gate, "AP", "listing").text(), "listing", "{via:?}");
        data.server_says(&mut gate, "AF", "");
        let heard = gate.take(other.from_server("S", "")).sent_segment();
        assert_eq!(heard.destination, control.client);
    }
}

#[test]
fn nothing_of_that_without_ftp_or_from_another_port_than_is_said() {
    let ftp = Protocol::Ftp(Ftp { data_port: Some(2020), ..PLAIN });
    for (via, protocol) in [(Via::Nat, Protocol::Tcp), (Via::Nat, ftp)] {
        let mut gate = EngineHarness::with(snapshot(protocol, 21), FLOWS);
        let control = Connection::open(&mut gate, via, via.client(), 21);
        gate.take(comes(&control, 20, control.seen_as).from_server("S", "")).to_kernel();
    }
}
