//! The pipeline under callgrind, which counts the instructions of `measured` only: 64 bursts of the case named by the
//! argument. Run by `scripts/instructions`.

use engine::types::frame::BURST;
use kit::tcp_load::TcpLoad;
use kit::topology::Via;
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

#[inline(never)]
fn measured_segments(load: &mut TcpLoad, way: Way, frames: &mut [Flat]) {
    black_box(load.process(way, frames));
}

#[inline(never)]
fn measured(load: &mut UdpLoad, way: Way, frames: &mut [Flat]) {
    black_box(load.process(way, frames));
}
