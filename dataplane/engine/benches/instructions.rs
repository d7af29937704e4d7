//! The pipeline for callgrind, which counts the instructions of `measured` alone: 64 bursts of
//! the case named by the argument. `scripts/instructions` runs it.

use engine::frame::BURST;
use kit::field::{Field, Flat, Way};
use kit::lines::Lines;
use kit::world::Via;
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
        // Run by cargo among other benchmarks.
        _ => return,
    };
    let mut field = Field::new(via, FLOWS);
    let mut frames = vec![Flat::EMPTY; BURST];
    for _ in 0..BURSTS {
        field.draw(way, &mut frames);
        measured(&mut field, way, &mut frames);
    }
}

fn segments(via: Via, way: Way) {
    let mut lines = Lines::new(via, FLOWS);
    let mut frames = vec![Flat::EMPTY; BURST];
    for _ in 0..BURSTS {
        lines.draw(way, &mut frames);
        measured_segments(&mut lines, way, &mut frames);
    }
}

fn requests(via: Via) {
    let mut field = Field::empty(via, FLOWS);
    let mut frames = vec![Flat::EMPTY; BURST];
    for burst in 0..BURSTS {
        field.ask(burst * BURST as u32, &mut frames);
        measured(&mut field, Way::In, &mut frames);
    }
}

#[inline(never)]
fn measured_segments(lines: &mut Lines, way: Way, frames: &mut [Flat]) {
    black_box(lines.walk(way, frames));
}

#[inline(never)]
fn measured(field: &mut Field, way: Way, frames: &mut [Flat]) {
    black_box(field.walk(way, frames));
}
