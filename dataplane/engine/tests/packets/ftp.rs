//! FTP: announcements on the control connection are read, rewritten, expected, and admitted once.

use engine::flow::state::{ConnectionKind, ConnectionState};
use engine::snapshot::{Ftp, Protocol};
use engine::types::drop_reason::DropReason;
use kit::connections::{Connection, FIRST, LINGER, add, snapshot};
use kit::engine_harness::EngineHarness;
use kit::ftp::{active, endpoint_in, eprt, passive_at, port};
use kit::segment::Segment;
use kit::topology::{FLOWS, Via};
use std::net::SocketAddr;

const PLAIN: Ftp = Ftp { data_port: None, foreign_data: false };

fn gate() -> EngineHarness {
    with(PLAIN)
}

fn with(ftp: Ftp) -> EngineHarness {
    EngineHarness::with(snapshot(Protocol::Ftp(ftp), 21), FLOWS)
}

/// A control connection whose client has sent this command and received this reply. Also returns the command that the
/// server received.
fn passive(
    gate: &mut EngineHarness,
    via: Via,
    command: &str,
    answer: &str,
) -> (Connection, String, String) {
    let mut control = Connection::open(gate, via, via.client(), 21);
    let asked = control.client_says(gate, "AP", command).text();
    // The server numbers the bytes that it has received.
    let server = Connection {
        next: [control.next[0].wrapping_add(grown(command, &asked)), control.next[1]],
        ..control.clone()
    };
    let heard = gate.take(server.from_server("AP", answer)).sent_segment();
    assert_eq!(heard.acknowledgement, control.next[0], "{via:?}");
    control.next[1] = control.next[1].wrapping_add(heard.payload.len() as u32);
    (control, asked, heard.text())
}

fn grown(before: &str, after: &str) -> u32 {
    (after.len() as u32).wrapping_sub(before.len() as u32)
}

/// A client's connection from port `from` to port `to` of the VIP.
fn data_to(via: Via, from: u16, to: u16) -> Connection {
    let client = SocketAddr::new(via.client().ip(), from);
    let vip = SocketAddr::new(via.vip().ip(), to);
    Connection { via, client, vip, server: vip, seen_as: client, next: FIRST }
}

#[test]
fn a_passive_data_connection_goes_where_the_server_listens() {
    for via in [Via::Nat, Via::Snat] {
        let mut gate = gate();
        let at = SocketAddr::new(via.server(0), 40_001);
        let answer = passive_at(at);
        let (control, asked, heard) = passive(&mut gate, via, "PASV\r\n", &answer);
        assert_eq!(asked, "PASV\r\n");
        let vip = SocketAddr::new(via.vip().ip(), 40_001);
        assert_eq!(heard, passive_at(vip), "{via:?}");
        follows(&mut gate, via, &control, 40_001, at);
    }
}

#[test]
fn so_does_an_extended_one_in_both_families() {
    for via in [Via::Nat, Via::Snat, Via::Nat6, Via::Snat6, Via::Snat46] {
        let mut gate = gate();
        let at = SocketAddr::new(via.server(0), 40_001);
        let answer = "229 Extended Passive Mode Entered (|||40001|)\r\n";
        let (control, asked, heard) = passive(&mut gate, via, "EPSV\r\n", answer);
        assert_eq!((asked.as_str(), heard.as_str()), ("EPSV\r\n", answer), "{via:?}");
        follows(&mut gate, via, &control, 40_001, at);
    }
}

#[test]
fn between_families_epsv_becomes_pasv_and_back() {
    let via = Via::Snat64;
    let mut gate = gate();
    let at = SocketAddr::new(via.server(0), 40_001);
    let answer = passive_at(at);
    let (control, asked, heard) = passive(&mut gate, via, "EPSV\r\n", &answer);
    assert_eq!(asked, "PASV\r\n");
    assert_eq!(heard, "229 Entering Extended Passive Mode (|||40001|)\r\n");
    follows(&mut gate, via, &control, 40_001, at);
}

/// A client's data connection to this port of the VIP reaches the endpoint, and so does another one soon after.
#[track_caller]
fn follows(gate: &mut EngineHarness, via: Via, control: &Connection, port: u16, at: SocketAddr) {
    let stranger = SocketAddr::new(via.host(0, 66), 5000);
    let foreign = Connection { client: stranger, ..data_to(via, 5000, port) };
    gate.take(foreign.from_client("S", "")).dropped(DropReason::NoService);
    let client = SocketAddr::new(via.client().ip(), 5000);
    let mut data = Connection::open(gate, via, client, port);
    assert_eq!(data.server, at, "{via:?}");
    assert_eq!(data.seen_as.ip(), control.seen_as.ip());
    assert_eq!(data.server_says(gate, "AP", "listing").text(), "listing");
    let kinds = || gate.connections().iter().map(|one| one.kind).collect::<Vec<_>>();
    assert!(kinds().contains(&ConnectionKind::Data));
    let again = Connection::open(gate, via, SocketAddr::new(via.client().ip(), 5001), port);
    assert_eq!((again.server, again.seen_as.ip()), (at, control.seen_as.ip()));
    gate.take(foreign.from_client("S", "")).dropped(DropReason::NoService);
    gate.wait(301);
    gate.take(data_to(via, 5002, port).from_client("S", "")).dropped(DropReason::NoService);
}

#[test]
fn an_active_data_connection_reaches_the_client_from_the_vip() {
    for via in Via::SEEN {
        let mut gate = gate();
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        let to = SocketAddr::new(via.client().ip(), 5001);
        let command = active(to);
        let words = control.client_says(&mut gate, "AP", &command).text();
        let at = endpoint_in(&words);
        assert_eq!(at.ip(), control.seen_as.ip(), "{via:?} {words}");
        assert_eq!(words.starts_with("PORT"), at.is_ipv4());
        if !via.is_snat() {
            assert_eq!(at, to);
        }
        // From any port of the server, and once.
        let server = SocketAddr::new(via.server(0), 20);
        let line = Connection { via, client: to, vip: to, server, seen_as: at, next: FIRST };
        let heard = gate.take(line.from_server("S", "")).sent_segment();
        assert_eq!(heard.source, SocketAddr::new(via.vip().ip(), 20), "{via:?}");
        assert_eq!(heard.destination, to);
        let mut line = Connection { vip: heard.source, ..line };
        line.next[1] = line.next[1].wrapping_add(1);
        let heard = gate.take(line.from_client("SA", "")).sent_segment();
        assert_eq!((heard.source, heard.destination), (at, server));
        line.next[0] = line.next[0].wrapping_add(1);
        line.server_says(&mut gate, "A", "");
        assert_eq!(line.server_says(&mut gate, "AP", "listing").text(), "listing");
        let open =
            gate.connections().iter().filter(|one| one.state == ConnectionState::Open).count();
        assert_eq!(open, 2);
        let again =
            Connection { server: SocketAddr::new(via.server(0), 4444), next: FIRST, ..line };
        let outcome = gate.take(again.from_server("S", ""));
        match via.is_snat() {
            true => assert_eq!(outcome.answered_by_segment().flags, "AR"),
            false => outcome.to_kernel(),
        }
    }
}

#[test]
fn a_data_port_is_the_only_one_if_it_is_said() {
    let via = Via::Nat;
    let mut gate = with(Ftp { data_port: Some(20), ..PLAIN });
    let mut control = Connection::open(&mut gate, via, via.client(), 21);
    let to = SocketAddr::new(via.client().ip(), 5001);
    control.client_says(&mut gate, "AP", &port(to));
    let from = |port| Connection {
        via,
        client: to,
        vip: to,
        server: SocketAddr::new(via.server(0), port),
        seen_as: to,
        next: FIRST,
    };
    gate.take(from(4444).from_server("S", "")).to_kernel();
    assert_eq!(gate.take(from(20).from_server("S", "")).sent_segment().source.port(), 20);
}

#[test]
fn data_to_somebody_else_is_refused_unless_it_is_allowed() {
    for via in [Via::Nat, Via::Snat, Via::Nat6, Via::Snat6] {
        let other = SocketAddr::new(via.host(0, 66), 5001);
        let low = SocketAddr::new(via.client().ip(), 22);
        for at in [other, low] {
            let mut gate = gate();
            let mut control = Connection::open(&mut gate, via, via.client(), 21);
            let told = control.client_says(&mut gate, "AP", &eprt(at)).text();
            assert_eq!(told, "EPRT |1|0.0.0.0|0|\r\n", "{via:?}");
            assert_eq!(gate.connections().len(), 1);
            let refusals = &gate.engine.state.counters.refusals;
            assert_eq!(refusals[usize::from(kit::connections::service(via))].data.value(), 1);
        }
        let mut gate = with(Ftp { foreign_data: true, ..PLAIN });
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        let told = control.client_says(&mut gate, "AP", &eprt(other)).text();
        assert_eq!(told, eprt(other));
    }
}

/// Commands that no client sends, but a server may understand (RFC 1639).
#[test]
fn addresses_that_cannot_be_followed_are_refused() {
    for via in [Via::Nat, Via::Snat, Via::Nat6] {
        let mut gate = gate();
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        for line in ["LPRT 4,4,10,1,0,30,2,0,22\r\n", "lpsv\r\n"] {
            let mut other = control.clone();
            let heard = other.client_says(&mut gate, "AP", line);
            assert_eq!(heard.text(), "PORT 0,0,0,0,0,0\r\n", "{line}");
            let refusals = &gate.engine.state.counters.service(kit::connections::service(via));
            assert_eq!(refusals.data.value(), 1, "the first names another host");
            control =
                Connection::open(&mut gate, via, SocketAddr::new(via.client().ip(), 5002), 21);
        }
    }
}

#[test]
fn numbers_are_mapped_for_the_rest_of_the_connection() {
    let via = Via::Snat;
    let mut gate = gate();
    let mut control = Connection::open(&mut gate, via, via.client(), 21);
    let to = SocketAddr::new(via.client().ip(), 9);
    let before = port(to);
    let sent = control.client_says(&mut gate, "AP", &before);
    let grown = grown(&before, &sent.text());
    assert_ne!(grown, 0);
    let mut at_server = control.clone();
    at_server.next[0] = at_server.next[0].wrapping_add(grown);
    let heard = gate.take(at_server.from_server("AP", "200 PORT command successful\r\n"));
    let heard = heard.sent_segment();
    assert_eq!(heard.acknowledgement, control.next[0]);
    control.next[1] = control.next[1].wrapping_add(heard.payload.len() as u32);
    at_server.next[1] = control.next[1];
    for word in ["LIST\r\n", "", "RETR file\r\n"] {
        let heard = control.client_says(&mut gate, "A", word);
        assert_eq!(heard.sequence, at_server.next[0], "{word:?}");
        at_server.next[0] = at_server.next[0].wrapping_add(word.len() as u32);
        let sack = [1, 1, 5, 10];
        let block = |next: u32| [next.wrapping_sub(4).to_be_bytes(), next.to_be_bytes()].concat();
        let options = [&sack[..], &block(at_server.next[0])].concat();
        let said = Segment { options, ..at_server.from_server("A", "") };
        let heard = gate.take(said).sent_segment();
        assert_eq!(heard.acknowledgement, control.next[0]);
        assert_eq!(heard.options, [&sack[..], &block(control.next[0])].concat());
    }
    let reset = gate.take(at_server.from_server("R", "")).sent_segment();
    assert_eq!(reset.sequence, control.next[1]);
}

#[test]
fn a_command_in_pieces_is_acknowledged_and_goes_on_whole() {
    for via in [Via::Nat, Via::Snat, Via::Snat6] {
        let mut gate = gate();
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        let to = SocketAddr::new(via.client().ip(), 5001);
        let command = active(to);
        let (first, rest) = command.split_at(11);
        let told = gate.take(control.from_client("AP", first)).answered_by_segment();
        control.next[0] = control.next[0].wrapping_add(11);
        assert_eq!((told.source, told.destination), (control.vip, control.client), "{via:?}");
        assert_eq!((told.flags.as_str(), told.acknowledgement), ("A", control.next[0]));
        assert_eq!(told.sequence, control.next[1]);
        let whole = gate.take(control.from_client("AP", rest)).sent_segment();
        assert_eq!(endpoint_in(&whole.text()).ip(), control.seen_as.ip());
        let again = gate.take(control.from_client("AP", rest)).sent_segment();
        assert_eq!((again.sequence, again.text()), (whole.sequence, whole.text()));
        assert_eq!(gate.connections().len(), 2);
    }
}

#[test]
fn a_client_that_gives_up_in_the_middle_of_a_line_is_heard() {
    for via in Via::SEEN {
        let mut gate = gate();
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        let _ = gate.take(control.from_client("AP", "PORT 10,0,")).answered_by_segment();
        control.goes_on(0, "AP", "PORT 10,0,");
        control.client_says(&mut gate, "R", "");
        assert_eq!(gate.connections()[0].state, ConnectionState::Closed, "{via:?}");
    }
}

#[test]
fn the_end_of_the_control_connection_ends_what_is_read() {
    let via = Via::Snat;
    let mut gate = gate();
    for n in 0..200u16 {
        let client = SocketAddr::new(via.client().ip(), 5000 + n);
        let mut control = Connection::open(&mut gate, via, client, 21);
        control.client_says(&mut gate, "AP", "QUIT\r\n");
        control.server_says(&mut gate, "AF", "221 Goodbye.\r\n");
        control.client_says(&mut gate, "AF", "");
        gate.wait(LINGER + 10);
    }
    assert!(gate.connections().is_empty());
}

#[test]
fn what_is_encrypted_is_left_alone() {
    let via = Via::Snat;
    let mut gate = gate();
    let mut control = Connection::open(&mut gate, via, via.client(), 21);
    control.client_says(&mut gate, "AP", "AUTH TLS\r\n");
    control.server_says(&mut gate, "AP", "234 Proceed with negotiation.\r\n");
    let to = SocketAddr::new(via.client().ip(), 5001);
    let words = port(to);
    assert_eq!(control.client_says(&mut gate, "AP", &words).text(), words);
    assert_eq!(gate.connections().len(), 1);
}

/// Two commands that announce data, in one segment.
fn announces(via: Via, ports: [u16; 2]) -> String {
    ports.map(|at| active(SocketAddr::new(via.client().ip(), at))).concat()
}

#[test]
fn one_that_is_half_open_makes_no_room_for_what_it_announces() {
    for via in Via::SEEN {
        let mut gate = gate();
        let clients = (0..FLOWS as u16 / 4).map(|n| SocketAddr::new(via.client().ip(), 3000 + n));
        let half_open: Vec<Connection> = clients
            .map(|client| {
                let mut line = Connection::new(via, client, 21);
                line.client_says(&mut gate, "S", "");
                line
            })
            .collect();
        // The oldest connection goes on, with commands in its first segment.
        let commands = half_open[0].from_client("AP", &announces(via, [5001, 5002]));
        gate.take(commands).dropped(DropReason::OutOfOrder);
        assert_eq!(gate.connections().len(), half_open.len(), "{via:?}");
    }
}

#[test]
fn one_that_is_over_makes_no_room_for_what_it_announces() {
    for via in Via::SEEN {
        let mut world = snapshot(Protocol::Ftp(PLAIN), 21);
        add(&mut world, Protocol::Tcp, 22, [1, 1]);
        let mut gate = EngineHarness::with(world, FLOWS);
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        let _ = gate.take(control.from_server("R", "")).sent_segment();
        // Other connections take all rows that the control connection and its affinity entry leave.
        for n in 2..FLOWS as u16 {
            Connection::open(&mut gate, via, SocketAddr::new(via.client().ip(), 3000 + n), 22);
        }
        let told = control.client_says(&mut gate, "AP", &announces(via, [5001, 5002])).text();
        // The server would connect to a port that no longer leads to the client.
        let is_refused = |line| line == "PORT 0,0,0,0,0,0" || line == "EPRT |1|0.0.0.0|0|";
        assert!(told.lines().count() == 2 && told.lines().all(is_refused), "{via:?} {told}");
        assert_eq!(gate.connections().len(), FLOWS as usize - 1, "{via:?}");
    }
}

#[test]
fn one_that_announces_itself_goes_on() {
    for via in Via::SEEN {
        let mut gate = with(Ftp { data_port: Some(21), ..PLAIN });
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        control.client_says(&mut gate, "AP", &announces(via, [via.client().port(), 5001]));
        assert_eq!(control.server_says(&mut gate, "A", "").destination, control.client);
    }
}

#[test]
fn a_reset_of_a_control_connection_has_to_know_its_number() {
    for via in [Via::Nat, Via::Snat, Via::Nat6] {
        for by_client in [true, false] {
            let mut gate = gate();
            let mut control = Connection::open(&mut gate, via, via.client(), 21);
            control.server_says(&mut gate, "AP", "220 ready\r\n");
            control.client_says(&mut gate, "AP", "USER anonymous\r\n");
            let reset = match by_client {
                true => control.from_client("R", ""),
                false => control.from_server("R", ""),
            };
            for far in [1, 1 << 16, 1 << 30, u32::MAX - 1000] {
                let sequence = reset.sequence.wrapping_add(far);
                let outcome = gate.take(Segment { sequence, ..reset.clone() });
                outcome.dropped(DropReason::BadReset);
            }
            let _ = gate.take(reset).sent_segment();
            assert_ne!(gate.connections()[0].state, ConnectionState::Open, "{via:?}");
        }
    }
}

#[test]
fn a_flood_of_syns_takes_no_session() {
    for via in [Via::Nat, Via::Snat6] {
        let mut gate = gate();
        for n in 0..2 * FLOWS as u16 {
            let client = SocketAddr::new(via.host(0, 200), 10_000 + n);
            let _ = gate.take(Connection::new(via, client, 21).from_client("S", ""));
        }
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        let at = SocketAddr::new(via.client().ip(), 5001);
        control.client_says(&mut gate, "AP", &active(at));
        let expected =
            |one: &&engine::flow::query::ConnectionView| one.state == ConnectionState::Expected;
        assert_eq!(gate.connections().iter().filter(expected).count(), 1, "{via:?}");
    }
}

#[test]
fn some_announcements_of_a_connection_wait_at_the_most() {
    // Behind a SNAT pool the server's numbers would differ.
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = gate();
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        for n in 0..30 {
            let at = SocketAddr::new(via.client().ip(), 5001 + n);
            control.client_says(&mut gate, "AP", &active(at));
            control.server_says(&mut gate, "A", "");
        }
        assert_eq!(gate.connections().len(), 1 + engine::flow::connection::ANNOUNCED, "{via:?}");
    }
}

/// Telnet's signals before ABOR: the second half is urgent data, and so would be the bytes behind.
#[test]
fn what_is_urgent_goes_on_at_once_and_hides_no_command() {
    let via = Via::Snat;
    let mut gate = gate();
    let mut control = Connection::open(&mut gate, via, via.client(), 21);
    for signal in [&[0xff, 0xf4, 0xff][..], &[0xf2]] {
        let said = Segment { payload: signal.to_vec(), ..control.from_client("AP", "") };
        assert_eq!(gate.take(said).sent_segment().payload, signal);
        control.next[0] = control.next[0].wrapping_add(signal.len() as u32);
    }
    let foreign = SocketAddr::new(via.host(0, 66), 5001);
    let told = control.client_says(&mut gate, "AP", &active(foreign)).text();
    assert_eq!(told, "PORT 0,0,0,0,0,0\r\n");
}

#[test]
fn sessions_that_are_over_make_room_for_new_ones() {
    let via = Via::Snat;
    let mut gate = EngineHarness::with(snapshot(Protocol::Ftp(PLAIN), 21), 4 * FLOWS);
    for n in 0..3 * FLOWS as u16 {
        let client = SocketAddr::new(via.client().ip(), 5000 + n);
        let mut control = Connection::open(&mut gate, via, client, 21);
        control.server_says(&mut gate, "AF", "");
        control.client_says(&mut gate, "AF", "");
    }
}
