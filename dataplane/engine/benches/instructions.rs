//! The pipeline under callgrind, which counts the instructions of `measured` only: 64 bursts of the case named by the
//! argument. Run by `scripts/instructions`.

use engine::state::sync::REFRESH;
use engine::state::sync::export::SyncExport;
use engine::state::sync::import::{SyncImport, SyncRefusal};
use engine::types::frame::BURST;
use kit::engine_harness::EngineHarness;
use kit::pair::hold;
use kit::tcp_load::TcpLoad;
use kit::topology::{Via, snapshot};
use kit::transfer::{client, run};
use kit::udp_load::{Flat, UdpLoad, Way};
use std::hint::black_box;

const BURSTS: u32 = 64;
const FLOWS: u32 = 4 << 10;

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let (via, way) = match name.as_str() {
        "dsr-in" => (Via::Dsr, Way::In),
        "nat-in" => (Via::Nat, Way::In),
        "nat-out" => (Via::Nat, Way::Out),
        "snat-in" => (Via::Snat, Way::In),
        "snat-out" => (Via::Snat, Way::Out),
        "tcp-dsr-in" => return segments(Via::Dsr, Way::In),
        "tcp-nat-in" => return segments(Via::Nat, Way::In),
        "tcp-nat-out" => return segments(Via::Nat, Way::Out),
        "tcp-snat-in" => return segments(Via::Snat, Way::In),
        "tcp-snat-out" => return segments(Via::Snat, Way::Out),
        "new-dsr" => return requests(Via::Dsr),
        "new-nat" => return requests(Via::Nat),
        "new-snat" => return requests(Via::Snat),
        "whole-nat" => return whole(Via::Nat, false),
        "whole-nat-logged" => return whole(Via::Nat, true),
        "sync-known" => return known(),
        "sync-told" => return told(),
        "sync-taken" => return taken(),
        // Cargo runs this among other benchmarks.
        _ => return,
    };
    let mut load = UdpLoad::new(via, FLOWS);
    let mut frames = vec![Flat::EMPTY; BURST];
    for _ in 0..BURSTS {
        load.draw(way, &mut frames);
        measured(&mut load, way, &mut frames);
    }
}

fn segments(via: Via, way: Way) {
    let mut load = TcpLoad::new(via, FLOWS);
    let mut frames = vec![Flat::EMPTY; BURST];
    for _ in 0..BURSTS {
        load.draw(way, &mut frames);
        measured_segments(&mut load, way, &mut frames);
    }
}

fn requests(via: Via) {
    let mut load = UdpLoad::empty(via, FLOWS);
    let mut frames = vec![Flat::EMPTY; BURST];
    for burst in 0..BURSTS {
        load.ask(burst * BURST as u32, &mut frames);
        measured(&mut load, Way::In, &mut frames);
    }
}

/// Whole transfers of one block, each of four packets: request, block, ACK, and the client's ERROR.
fn whole(via: Via, is_logged: bool) {
    let mut load = UdpLoad::empty(via, FLOWS);
    load.log(is_logged);
    let mut frames = vec![Flat::EMPTY; BURST];
    for first in (0..BURSTS).map(|burst| burst * BURST as u32) {
        load.ask(first, &mut frames);
        measured(&mut load, Way::In, &mut frames);
        load.answer(first, &mut frames);
        measured(&mut load, Way::Out, &mut frames);
        load.acknowledge(first, &mut frames);
        measured(&mut load, Way::In, &mut frames);
        load.end(first, &mut frames);
        measured(&mut load, Way::In, &mut frames);
    }
    let records = load.engine.state.flow_log.records.expect("a ring").len();
    assert_eq!(records, if is_logged { BURSTS as usize * BURST } else { 0 });
}

/// A gate with transfers in half of its rows, and the round in which it tells them.
fn telling() -> (EngineHarness, SyncExport) {
    let mut gate = EngineHarness::with(snapshot(), FLOWS);
    for n in 0..BURSTS * BURST as u32 {
        run(&mut gate, Via::Nat, client(Via::Nat, n as u16));
    }
    gate.wait(10);
    let rows = FLOWS as usize;
    let mut round = SyncExport::new(rows, rows + 64);
    round.begin(0, gate.now);
    (gate, round)
}

/// A round that tells all rows.
fn told() {
    let (gate, mut round) = telling();
    measured_round(&gate, &mut round);
    assert_eq!(round.transfers.len(), BURSTS as usize * BURST);
}

/// A round over rows that the peer knows, and in which nothing has happened for long.
fn known() {
    let (mut gate, mut round) = telling();
    whole_round(&gate, &mut round);
    round.transfers.clear();
    for _ in 0..REFRESH {
        gate.wait(20);
        round.begin(0, gate.now);
        whole_round(&gate, &mut round);
        round.transfers.clear();
    }
    gate.wait(1);
    round.begin(0, gate.now);
    measured_round(&gate, &mut round);
    black_box(round.transfers.len());
}

/// Rows of the peer, taken in.
fn taken() {
    let (gate, mut round) = telling();
    whole_round(&gate, &mut round);
    let mut other = EngineHarness::of_another_gate(snapshot(), FLOWS);
    hold(&mut other, false);
    let mut rows = SyncImport::new(std::mem::take(&mut round.transfers), vec![], 1);
    measured_import(&mut other, &mut rows);
    assert_eq!(rows.refused, [0; SyncRefusal::ALL.len()]);
}

fn whole_round(gate: &EngineHarness, round: &mut SyncExport) {
    while !round.is_whole() {
        gate.engine.export(round, gate.now);
    }
}

#[inline(never)]
fn measured_round(gate: &EngineHarness, round: &mut SyncExport) {
    whole_round(gate, round);
}

#[inline(never)]
fn measured_import(gate: &mut EngineHarness, rows: &mut SyncImport) {
    while !gate.engine.import(rows, gate.now) {}
}

#[inline(never)]
fn measured_segments(load: &mut TcpLoad, way: Way, frames: &mut [Flat]) {
    black_box(load.process(way, frames));
}

#[inline(never)]
fn measured(load: &mut UdpLoad, way: Way, frames: &mut [Flat]) {
    black_box(load.process(way, frames));
}
