//! Chaos: while clients fetch files through the gate, servers die, stand still, lose their cables and come back,
//! backends are drained, removed and added, and the gate is started again. In the end every download has the right
//! bytes, no transfer is left over, and the counters add up. `scripts/chaos` runs it.

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
use timeline::{Trouble, What, timeline};

/// Makes trouble for a farm and its gate, in network namespaces, and looks whether any client notices.
#[derive(Debug, Parser)]
#[command(name = "scripts/chaos")]
struct Options {
    /// For so long.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// What a run is repeated by; left out: another one each time.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Of the gate; left out: one and then two.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=2))]
    workers: Option<u8>,
    /// The kinds of trouble, each as often as it is named.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = timeline::USUAL)]
    troubles: Vec<Trouble>,
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

/// Is told of when a run fails.
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
    let (mut now, mut standing) = (Duration::ZERO, vec![]);
    for step in timeline(seed, length, &options.troubles, farm::TARGETS) {
        if begin.elapsed() >= length {
            break;
        }
        std::thread::sleep(step.at - now);
        now = step.at;
        say(&format!("{:?}", step.what));
        match step.what {
            What::Strike(blow) => {
                farm.strike(blow);
                standing.push(blow);
            }
            What::Mend(blow) => {
                farm.mend(blow);
                standing.retain(|one| *one != blow);
            }
        }
    }
    standing.into_iter().for_each(|blow| farm.mend(blow));
    load.finish();
    farm.finish();
    say("all is well");
}
