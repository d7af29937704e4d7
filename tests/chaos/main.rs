//! Chaos: while clients fetch files through the gate, servers die, pause, lose their links and come back; backends are
//! drained, removed and added; the gate restarts. In the end every download has the right bytes, no transfer is left,
//! and the counters add up. Run by `scripts/chaos`.

#[path = "../netns/daemon.rs"]
#[allow(dead_code)] // The end-to-end tests ask it for more.
mod daemon;
mod farm;
mod load;
mod timeline;

use clap::Parser;
use farm::Farm;
use load::Load;
use std::time::{Duration, Instant};
use timeline::{Fault, What, timeline};

/// Injects faults into servers and gate in network namespaces, and checks that no client notices.
#[derive(Debug, Parser)]
#[command(name = "scripts/chaos")]
struct Options {
    /// Duration of a run in seconds.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// The seed that repeats a run; random if left out.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Workers of the gate; if left out, one and then two.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=2))]
    workers: Option<u8>,
    /// Kinds of fault, each as frequent as it is named.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = timeline::USUAL)]
    faults: Vec<Fault>,
}

fn main() {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let workers = options.workers.map_or(vec![1, 2], |workers| vec![workers]);
    for workers in workers {
        let _seed = Seed(seed);
        run(seed, workers.into(), &options);
    }
}

/// Prints the seed when a run fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("chaos: FAILED with --seed {}", self.0);
        }
    }
}

fn run(seed: u64, workers: usize, options: &Options) {
    let length = Duration::from_secs(options.seconds);
    let start = Instant::now();
    let say = |what: &str| println!("{:7.3} {what}", start.elapsed().as_secs_f64());
    say(&format!("chaos: {workers} workers, {length:?}, seed {seed}"));
    let lab = farm::lab();
    let mut farm = Farm::start(&lab, workers);
    let (begin, load) = (Instant::now(), Load::start(&lab, length));
    let (mut now, mut present) = (Duration::ZERO, vec![]);
    for step in timeline(seed, length, &options.faults, farm::TARGETS) {
        if begin.elapsed() >= length {
            break;
        }
        std::thread::sleep(step.at - now);
        now = step.at;
        say(&format!("{:?}", step.what));
        match step.what {
            What::Inject(injection) => {
                farm.inject(injection);
                present.push(injection);
            }
            What::Repair(injection) => {
                farm.repair(injection);
                present.retain(|one| *one != injection);
            }
        }
    }
    present.into_iter().for_each(|injection| farm.repair(injection));
    load.finish();
    farm.finish();
    say("all is well");
}
