//! `scripts/bench` runs this program: every figure of the table in `docs/performance.md`, each beside its reference, measured
//! alternately in one run with programs of the same build.
#![forbid(unsafe_code)]

mod device;
mod farm;
mod gate;
mod machine;
mod pcap;
mod pipeline;
mod results;

use clap::{Parser, ValueEnum};
use results::Results;
use std::path::PathBuf;

/// Measures Tidegate.
#[derive(Debug, Parser)]
struct Options {
    /// Parts to measure; all, if left out.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Repetitions of each alternating measurement; medians count.
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// Output file.
    #[arg(long, default_value = "bench.json")]
    output: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The engine alone, by criterion.
    Pipeline,
    /// tidegated and testpmd on the same device.
    Device,
    /// Real transfers through network namespaces.
    Storm,
}

fn main() {
    let options = Options::parse();
    let mut results = Results::new(machine::describe());
    let wanted = |part| options.parts.is_empty() || options.parts.contains(&part);
    if wanted(Part::Pipeline) {
        pipeline::measure(&mut results);
    }
    if wanted(Part::Device) {
        device::measure(&mut results, options.turns);
    }
    if wanted(Part::Storm) {
        farm::measure(&mut results, options.turns);
    }
    std::fs::write(&options.output, results.json()).expect("the figures can be written");
    println!("{}", results.table());
}
