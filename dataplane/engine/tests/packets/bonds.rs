//! What binds a client to a backend, and for how long.

use engine::tables::{Ftp, Protocol, Tables};
use engine::verdict::Verdict;
use kit::connections::{IDLE, Line, TRANSITORY, add, backend, tables};
use kit::gate::Gate;
use kit::world::{FLOWS, Via};
use std::net::SocketAddr;

const FTP: Protocol = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
const SSH: u16 = 22;

/// FTP on port 21, and SSH.
fn with_ssh() -> Tables {
    let mut tables = tables(FTP, 21);
    add(&mut tables, Protocol::Tcp, SSH, [1, 1]);
    tables
}

/// FTP on port 21; the first server has some ports for data.
fn with_range(via: Via) -> Tables {
    let mut tables = tables(FTP, 21);
    tables.vips[usize::from(via.service())].passive = vec![(50_000..=50_099, backend(via, 0))];
    tables
}

/// An endpoint of the client.
fn at(via: Via, port: u16) -> SocketAddr {
    SocketAddr::new(via.client().ip(), port)
}

/// Whether this connection is known.
fn has(gate: &Gate, line: &Line) -> bool {
    gate.connections().iter().any(|one| (one.client, one.vip) == (line.client, line.vip))
}

/// Rows that are in use.
fn rows(gate: &Gate) -> usize {
    let connections = &gate.core.own.connections;
    connections.scan(0..connections.capacity()).count()
}

/// Open connections take all rows but so many, which closed ones have.
fn crowd(gate: &mut Gate, via: Via, closed: u16) -> Vec<Line> {
    let mut lines: Vec<Line> = (0..FLOWS as u16)
        .map(|n| SocketAddr::new(via.station(0, 200), 3000 + n))
        .map(|client| Line::open(gate, via, client, SSH))
        .collect();
    for mut line in lines.drain(..usize::from(closed)) {
        line.client_says(gate, "R", "");
    }
    assert_eq!(rows(gate), FLOWS as usize);
    lines
}

#[test]
fn a_bond_pushes_out_no_half_open_connection() {
    for via in [Via::Dsr, Via::Dsr6] {
        for closed in [1, 2, 3] {
            let mut gate = Gate::with(with_ssh(), FLOWS);
            crowd(&mut gate, via, closed);
            let mut control = Line::open(&mut gate, via, via.client(), 21);
            assert!(has(&gate, &control), "{via:?} {closed}");
            // The control connection takes one row, its bond one, and data one.
            let data = gate.take(Line::new(via, at(via, 3000), 40_000).from_client("S", ""));
            let is_sent = matches!(data.verdict, Verdict::Transmit(_));
            assert_eq!(is_sent, closed == 3, "{via:?} {closed}: {:?}", data.verdict);
            control.client_says(&mut gate, "R", "");
            gate.wait(IDLE + TRANSITORY);
            assert_eq!(rows(&gate), 0, "{via:?} {closed}");
        }
    }
}

#[test]
fn nor_does_one_that_is_made_anew() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = Gate::with(with_ssh(), FLOWS);
        crowd(&mut gate, via, 1);
        let mut control = Line::new(via, via.client(), 21);
        control.client_says(&mut gate, "S", "");
        let mut gate = gate.reborn(with_ssh());
        assert_eq!(rows(&gate), FLOWS as usize);
        assert!(has(&gate, &control), "{via:?}");
        control.client_says(&mut gate, "R", "");
        gate.wait(IDLE + TRANSITORY);
        assert_eq!(rows(&gate), 0, "{via:?}");
    }
}

#[test]
fn a_bond_that_is_made_anew_ends_with_its_control_connections() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = Gate::with(with_ssh(), FLOWS);
        let mut lines = [2000, 2001].map(|port| {
            gate.wait(10);
            Line::open(&mut gate, via, at(via, port), 21)
        });
        gate.wait(10);
        let mut gate = gate.reborn(with_ssh());
        assert_eq!(rows(&gate), 3, "{via:?}");
        lines.iter_mut().for_each(|line| _ = line.client_says(&mut gate, "R", ""));
        gate.wait(TRANSITORY);
        assert_eq!(rows(&gate), 0, "{via:?}");
    }
}

#[test]
fn any_data_of_a_client_keeps_all_its_control_connections() {
    for via in Via::ALL {
        for second_ends in [false, true] {
            let mut gate = Gate::with(with_range(via), FLOWS);
            let mut first = Line::open(&mut gate, via, at(via, 2000), 21);
            let mut second = Line::open(&mut gate, via, at(via, 2001), 21);
            let mut data = Line::open(&mut gate, via, at(via, 3000), 50_000);
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
        let mut gate = Gate::with(with_range(via), FLOWS);
        let control = Line::open(&mut gate, via, via.client(), 21);
        gate.wait(10);
        let mut data = Line::open(&mut gate, via, at(via, 3000), 50_000);
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
        let mut gate = Gate::with(with_range(via), FLOWS);
        let mut control = Line::open(&mut gate, via, via.client(), 21);
        Line::open(&mut gate, via, at(via, 3000), 50_000);
        control.client_says(&mut gate, "AF", "");
        gate.wait(TRANSITORY + 1);
        assert!(!has(&gate, &control), "{via:?}");
    }
}
