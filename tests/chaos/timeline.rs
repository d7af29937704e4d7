//! Timelines of faults, drawn from a seed in advance, so that a run can be repeated.

use clap::ValueEnum;
use fastrand::Rng;
use std::ops::Range;
use std::time::Duration;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// A server is killed, and started again.
    Kill,
    /// A server is paused (SIGSTOP) and continued.
    Pause,
    /// A server's link goes down and up.
    Unplug,
    /// A backend is drained by command, and enabled.
    Drain,
    /// A backend is disabled by command, and enabled.
    Disable,
    /// A backend's weight is set to 0 by command, and restored.
    Weigh,
    /// A backend's weight is changed in the configuration, and restored.
    Reweigh,
    /// A backend is taken out of the file, and put back.
    Remove,
    /// The gate is stopped, and started again.
    Restart,
    /// The gate is killed, and started again.
    Crash,
}

/// Default kinds of fault.
pub const USUAL: [Fault; 10] = {
    use Fault::*;
    [Kill, Pause, Unplug, Drain, Disable, Weigh, Reweigh, Remove, Restart, Crash]
};

/// The target of a fault: it has one fault at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// A server.
    Server,
    /// The gate's settings for a server.
    Settings,
    Gate,
}

impl Fault {
    fn target(self) -> Target {
        use Fault::*;
        match self {
            Kill | Pause | Unplug => Target::Server,
            Drain | Disable | Weigh | Reweigh | Remove => Target::Settings,
            Restart | Crash => Target::Gate,
        }
    }
}

/// A fault at its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    pub fault: Fault,
    /// The server's number.
    pub server: usize,
    /// The service's number, if the fault concerns one service.
    pub service: usize,
}

/// A step of the timeline.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Time since the start.
    pub at: Duration,
    pub what: What,
}

#[derive(Debug, Clone, Copy)]
pub enum What {
    Inject(Injection),
    Repair(Injection),
}

/// Numbers of targets.
#[derive(Debug, Clone, Copy)]
pub struct Targets {
    pub servers: usize,
    pub services: usize,
}

const PAUSE: Range<u64> = 100..700;
const LENGTH: Range<u64> = 300..4000;
/// Time for the gate to notice a returned server, and for clients to notice the gate.
const SETTLE: Duration = Duration::from_secs(2);

/// A fault from begin to end.
struct Episode {
    injection: Injection,
    begin: Duration,
    end: Duration,
}

/// The steps of a run of this length. At every moment at least one server has no fault.
pub fn timeline(seed: u64, length: Duration, faults: &[Fault], targets: Targets) -> Vec<Step> {
    let mut random = Rng::with_seed(seed);
    let mut episodes: Vec<Episode> = vec![];
    let mut now = Duration::ZERO;
    while now < length {
        now += Duration::from_millis(random.u64(PAUSE));
        let injection = Injection {
            fault: faults[random.usize(..faults.len())],
            server: random.usize(..targets.servers),
            service: random.usize(..targets.services),
        };
        let episode = Episode::new(injection, now, Duration::from_millis(random.u64(LENGTH)));
        if is_bearable(&episode, &episodes, targets.servers) {
            episodes.push(episode);
        }
    }
    let mut steps: Vec<_> = episodes.iter().flat_map(Episode::steps).collect();
    steps.sort_by_key(|step| step.at);
    steps
}

fn is_bearable(episode: &Episode, before: &[Episode], servers: usize) -> bool {
    let Episode { injection, begin, .. } = episode;
    let target = injection.fault.target();
    let is_over = |one: &Episode| one.end + SETTLE <= *begin;
    if target == Target::Gate {
        return before.iter().all(|one| one.injection.fault.target() != target || is_over(one));
    }
    let is_sound = |server| before.iter().all(|one| !one.hits(server) || is_over(one));
    let mut others = (0..servers).filter(|&server| server != injection.server);
    let is_free = before.iter().all(|one| {
        one.end <= *begin || !one.hits(injection.server) || one.injection.fault.target() != target
    });
    is_free && others.any(is_sound)
}

impl Episode {
    /// A restart of the gate has no end of its own.
    fn new(injection: Injection, begin: Duration, length: Duration) -> Episode {
        let end = if injection.fault.target() == Target::Gate { begin } else { begin + length };
        Episode { injection, begin, end }
    }

    fn hits(&self, server: usize) -> bool {
        self.injection.fault.target() != Target::Gate && self.injection.server == server
    }

    fn steps(&self) -> [Step; 2] {
        [
            Step { at: self.begin, what: What::Inject(self.injection) },
            Step { at: self.end, what: What::Repair(self.injection) },
        ]
    }
}
