//! Client affinity, and its lifetime.

use engine::scheduler::transfer_limit::{Places, TransferLimit};
use engine::snapshot::{BackendState, Ftp, Protocol, Snapshot};
use engine::state::explain::SelectionTrace;
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::connections::{
    Connection, FAILURES, IDLE, LINGER, TRANSITORY, add, backend, service, snapshot,
};
use kit::engine_harness::EngineHarness;
use kit::topology::{FLOWS, Via, mac};
use std::net::{IpAddr, SocketAddr};

const FTP: Protocol = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
const SSH: u16 = 22;

/// FTP on port 21, and SSH.
fn with_ssh() -> Snapshot {
    let mut snapshot = snapshot(FTP, 21);
    add(&mut snapshot, Protocol::Tcp, SSH, [1, 1]);
    snapshot
}

/// FTP on port 21; the first server has some ports for data.
fn with_range(via: Via) -> Snapshot {
    let mut snapshot = snapshot(FTP, 21);
    snapshot[via.vip_id()].passive = vec![(50_000..=50_099, backend(via, 0))];
    snapshot
}

/// An endpoint of the client.
fn at(via: Via, port: u16) -> SocketAddr {
    SocketAddr::new(via.client().ip(), port)
}

/// Whether this connection exists.
fn has(gate: &EngineHarness, line: &Connection) -> bool {
    gate.connections().iter().any(|one| (one.client, one.vip) == (line.client, line.vip))
}

/// Number of rows in use.
fn rows(gate: &EngineHarness) -> usize {
    let connections = &gate.engine.state.connections;
    connections.scan(0..connections.capacity()).count()
}

/// Open connections take all rows except `closed`, which closed ones take.
fn crowd(gate: &mut EngineHarness, via: Via, closed: u16) -> Vec<Connection> {
    let mut lines: Vec<Connection> = (0..FLOWS as u16)
        .map(|n| SocketAddr::new(via.host(0, 200), 3000 + n))
        .map(|client| Connection::open(gate, via, client, SSH))
        .collect();
    for mut line in lines.drain(..usize::from(closed)) {
        line.client_says(gate, "R", "");
    }
    assert_eq!(rows(gate), FLOWS as usize);
    lines
}

#[test]
fn an_affinity_pushes_out_no_half_open_connection() {
    for via in [Via::Dsr, Via::Dsr6] {
        for closed in [1, 2, 3] {
            let mut gate = EngineHarness::with(with_ssh(), FLOWS);
            crowd(&mut gate, via, closed);
            let mut control = Connection::open(&mut gate, via, via.client(), 21);
            assert!(has(&gate, &control), "{via:?} {closed}");
            // The control connection takes one row, its affinity entry one, and data one.
            let data = gate.take(Connection::new(via, at(via, 3000), 40_000).from_client("S", ""));
            let is_sent = matches!(data.verdict, Verdict::Transmit(_));
            assert_eq!(is_sent, closed == 3, "{via:?} {closed}: {:?}", data.verdict);
            nothing_is_left_behind(&mut gate, &mut control);
        }
    }
}

#[test]
fn nor_does_one_that_is_made_anew() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = EngineHarness::with(with_ssh(), FLOWS);
        crowd(&mut gate, via, 1);
        let mut control = Connection::new(via, via.client(), 21);
        control.client_says(&mut gate, "S", "");
        let mut gate = gate.reborn(with_ssh());
        assert_eq!(rows(&gate), FLOWS as usize);
        assert!(has(&gate, &control), "{via:?}");
        nothing_is_left_behind(&mut gate, &mut control);
    }
}

/// The control connection ends, with everything that belongs to it.
#[track_caller]
fn nothing_is_left_behind(gate: &mut EngineHarness, control: &mut Connection) {
    control.client_says(gate, "R", "");
    gate.wait(IDLE + TRANSITORY);
    assert_eq!(rows(gate), 0, "{:?}", control.via);
}

#[test]
fn an_affinity_that_is_made_anew_ends_with_its_control_connections() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = EngineHarness::with(with_ssh(), FLOWS);
        let mut lines = [2000, 2001].map(|port| {
            gate.wait(10);
            Connection::open(&mut gate, via, at(via, port), 21)
        });
        gate.wait(10);
        let mut gate = gate.reborn(with_ssh());
        assert_eq!(rows(&gate), 3, "{via:?}");
        lines.iter_mut().for_each(|line| _ = line.client_says(&mut gate, "R", ""));
        gate.wait(LINGER + 1);
        assert_eq!(rows(&gate), 0, "{via:?}");
    }
}

#[test]
fn any_data_of_a_client_keeps_all_its_control_connections() {
    for via in Via::ALL {
        for second_ends in [false, true] {
            let mut gate = EngineHarness::with(with_range(via), FLOWS);
            let mut first = Connection::open(&mut gate, via, at(via, 2000), 21);
            first.goes_dark(&mut gate);
            // The next one would be at the other server.
            gate.change(|snapshot| snapshot[backend(via, 1)].state = BackendState::Draining);
            let mut second = Connection::open(&mut gate, via, at(via, 2001), 21);
            let mut data = Connection::open(&mut gate, via, at(via, 3000), 50_000);
            if second_ends {
                second.client_says(&mut gate, "R", "");
            }
            for _ in 0..4 {
                gate.wait(IDLE - 10);
                data.client_says(&mut gate, "A", "");
            }
            assert!(has(&gate, &first), "{via:?}");
            assert_eq!(has(&gate, &second), !second_ends, "{via:?}");
            data.client_says(&mut gate, "R", "");
            // After its data each has its own time again.
            gate.wait(IDLE / 2);
            first.client_says(&mut gate, "A", "");
            gate.wait(IDLE - 10);
            assert!(has(&gate, &first) && !has(&gate, &second), "{via:?}");
            gate.wait(200);
            assert_eq!(rows(&gate), 0, "{via:?}");
        }
    }
}

#[test]
fn data_that_an_earlier_process_has_left_keeps_them_too() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = EngineHarness::with(with_range(via), FLOWS);
        let control = Connection::open(&mut gate, via, via.client(), 21);
        gate.wait(10);
        let mut data = Connection::open(&mut gate, via, at(via, 3000), 50_000);
        let mut gate = gate.reborn(with_range(via));
        for _ in 0..4 {
            gate.wait(IDLE - 10);
            data.client_says(&mut gate, "A", "");
        }
        assert!(has(&gate, &control), "{via:?}");
        data.client_says(&mut gate, "R", "");
        gate.wait(2 * IDLE);
        assert_eq!(rows(&gate), 0, "{via:?}");
    }
}

#[test]
fn a_connection_that_is_closing_is_kept_by_no_data() {
    for via in Via::ALL {
        let mut gate = EngineHarness::with(with_range(via), FLOWS);
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        control.goes_dark(&mut gate);
        Connection::open(&mut gate, via, at(via, 3000), 50_000);
        control.client_says(&mut gate, "AF", "");
        gate.wait(TRANSITORY + 1);
        assert!(!has(&gate, &control), "{via:?}");
    }
}

/// FTP where the client has control connections at the first server.
fn bound(via: Via, controls: u16) -> (EngineHarness, Vec<Connection>) {
    let mut gate = EngineHarness::with(snapshot(FTP, 21), FLOWS);
    let open = |n| Connection::open(&mut gate, via, at(via, 2000 + n), 21);
    let lines: Vec<Connection> = (0..controls).map(open).collect();
    assert!(lines.iter().all(|line| line.server.ip() == via.server(0)), "{via:?}");
    (gate, lines)
}

fn server_of_data(gate: &mut EngineHarness, via: Via, port: u16) -> IpAddr {
    Connection::open(gate, via, at(via, port), 40_000).server.ip()
}

#[test]
fn a_drain_moves_no_affinity_of_open_connections() {
    for via in [Via::Dsr, Via::Dsr6] {
        let (mut gate, mut lines) = bound(via, 1);
        let set = |gate: &mut EngineHarness, state| {
            gate.change(|snapshot| snapshot[backend(via, 0)].state = state);
        };
        set(&mut gate, BackendState::Draining);
        let second = Connection::open(&mut gate, via, at(via, 2100), 21);
        assert_eq!(second.server.ip(), via.server(0), "{via:?}");
        let data = Connection::open(&mut gate, via, at(via, 3000), 40_000);
        assert_eq!(data.server.ip(), via.server(0));
        lines.extend([second, data]);
        // A closing connection has no affinity.
        for line in &mut lines {
            line.client_says(&mut gate, "AF", "");
        }
        let mut third = Connection::open(&mut gate, via, at(via, 2101), 21);
        assert_eq!(third.server.ip(), via.server(1), "{via:?}");
        assert_eq!(server_of_data(&mut gate, via, 3001), via.server(1));
        set(&mut gate, BackendState::Active);
        third.client_says(&mut gate, "A", "");
        gate.wait(2 * IDLE);
        assert_eq!(rows(&gate), 0, "{via:?}");
    }
}

#[test]
fn who_is_bound_to_a_full_backend_is_refused() {
    for via in [Via::Dsr, Via::Dsr6] {
        let (mut gate, _) = bound(via, 2);
        gate.change(|snapshot| {
            let backend = &mut snapshot[backend(via, 0)];
            backend.cap = Some(TransferLimit::new(2, Places::default()));
        });
        let one_more = Connection::new(via, at(via, 2100), 21).from_client("S", "");
        let told = gate.take(one_more).answered_by_segment();
        assert_eq!(told.flags, "AR", "{via:?}");
        assert_eq!(server_of_data(&mut gate, via, 3000), via.server(0));
        let other = SocketAddr::new(via.host(0, 70), 999);
        assert_eq!(Connection::open(&mut gate, via, other, 21).server.ip(), via.server(1));
    }
}

#[test]
fn an_affinity_moves_when_its_backend_serves_no_longer() {
    for via in [Via::Dsr, Via::Dsr6] {
        for change in FAILURES {
            let (mut gate, _) = bound(via, 1);
            gate.change(|snapshot| change(&mut snapshot[backend(via, 0)]));
            let second = Connection::open(&mut gate, via, at(via, 2100), 21);
            assert_eq!(second.server.ip(), via.server(1), "{via:?}");
            assert_eq!(server_of_data(&mut gate, via, 3000), via.server(1));
        }
    }
}

/// The selection trace for the client.
fn look(gate: &EngineHarness, via: Via) -> SelectionTrace {
    let mut question = SelectionTrace::new(via.client().ip(), service(via));
    gate.engine.explain(&mut question, gate.now);
    question
}

#[test]
fn a_trace_shows_affinity_of_control_connections() {
    for via in Via::ALL {
        let (mut gate, mut lines) = bound(via, 1);
        let [first, second] = [0, 1].map(|n| backend(via, n));
        let seen = look(&gate, via);
        let binds = via.is_dsr().then_some(first);
        assert_eq!((seen.bound, seen.turn), (binds, Some(second)), "{via:?}");
        assert_eq!(seen.chosen, binds.or(Some(second)), "{via:?}");
        if !via.is_dsr() {
            continue;
        }
        gate.change(|snapshot| {
            snapshot[first].cap = Some(TransferLimit::new(1, Places::default()));
        });
        let seen = look(&gate, via);
        assert_eq!((seen.bound, seen.chosen), (Some(first), None), "{via:?}: it is full");
        gate.change(|snapshot| snapshot[first].state = BackendState::Ejected);
        assert_eq!(look(&gate, via).bound, None, "{via:?}");
        lines[0].client_says(&mut gate, "R", "");
        gate.wait(LINGER + 1);
        assert_eq!((look(&gate, via).bound, rows(&gate)), (None, 0), "{via:?}");
    }
}

#[test]
fn a_trace_shows_affinity_of_everything() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = EngineHarness::with(snapshot(Protocol::Any, 0), FLOWS);
        assert_eq!(look(&gate, via).bound, None);
        let first = backend(via, 0);
        let _ =
            gate.take(Connection::new(via, via.client(), 22).from_client("S", "")).sent_segment();
        gate.change(|snapshot| {
            snapshot[first].cap = Some(TransferLimit::new(1, Places::default()));
        });
        let seen = look(&gate, via);
        assert_eq!((seen.bound, seen.chosen), (Some(first), Some(first)), "{via:?}");
        let heard = gate.take(Connection::new(via, via.client(), 23).from_client("S", ""));
        assert_eq!(heard.sent_segment().to, mac(via.server(0)), "it has its place");
    }
}

#[test]
fn what_a_server_opens_from_its_own_range_is_answered() {
    for via in Via::ALL {
        let mut gate = EngineHarness::with(with_range(via), FLOWS);
        let active = Connection::new(via, at(via, 4000), 50_050);
        gate.take(active.from_client("SA", "")).dropped(DropReason::NoService);
        let control = Connection::open(&mut gate, via, via.client(), 21);
        let answer = gate.take(active.from_client("SA", ""));
        if !via.is_dsr() {
            answer.dropped(DropReason::NoService);
            continue;
        }
        assert_eq!(answer.sent_segment().to, mac(control.server.ip()), "{via:?}");
        let data = gate.take(active.from_client("A", "")).sent_segment();
        assert_eq!(data.to, mac(control.server.ip()), "{via:?}");
        assert!(has(&gate, &active));
    }
}
