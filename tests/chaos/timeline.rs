//! What goes wrong, and when. All of it is drawn from one seed before anything happens, so that a run can be repeated.

use clap::ValueEnum;
use fastrand::Rng;
use std::ops::Range;
use std::time::Duration;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Trouble {
    /// A server is killed, and started again.
    Kill,
    /// A server stands still (SIGSTOP), and goes on.
    Pause,
    /// A server's cable is pulled, and plugged in.
    Unplug,
    /// A backend is drained by command, and enabled.
    Drain,
    /// A backend is disabled by command, and enabled.
    Disable,
    /// A backend gets no new transfers by command, and then its weight again.
    Weigh,
    /// A backend has another weight in the file, and then its own again.
    Reweigh,
    /// A backend is taken out of the file, and put back.
    Remove,
    /// The gate is stopped, and started again.
    Restart,
    /// The gate is killed, and started again.
    Crash,
}

/// What troubles are drawn from, unless told otherwise.
pub const USUAL: [Trouble; 10] = {
    use Trouble::*;
    [Kill, Pause, Unplug, Drain, Disable, Weigh, Reweigh, Remove, Restart, Crash]
};

/// What a trouble befalls. Nothing has two troubles at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A server.
    Machine,
    /// What the gate was told about a server.
    Standing,
    Gate,
}

impl Trouble {
    fn part(self) -> Part {
        use Trouble::*;
        match self {
            Kill | Pause | Unplug => Part::Machine,
            Drain | Disable | Weigh | Reweigh | Remove => Part::Standing,
            Restart | Crash => Part::Gate,
        }
    }
}

/// A trouble, and where it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blow {
    pub trouble: Trouble,
    /// The server's number.
    pub server: usize,
    /// The service's number, where it concerns only one.
    pub service: usize,
}

/// Something that is done.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Since the start.
    pub at: Duration,
    pub what: What,
}

#[derive(Debug, Clone, Copy)]
pub enum What {
    Strike(Blow),
    Mend(Blow),
}

/// So many there are.
#[derive(Debug, Clone, Copy)]
pub struct Targets {
    pub servers: usize,
    pub services: usize,
}

const PAUSE: Range<u64> = 100..700;
const LENGTH: Range<u64> = 300..4000;
/// Time after which the gate has noticed that a server is back, and clients that the gate is.
const SETTLE: Duration = Duration::from_secs(2);

/// A blow, from when to when.
struct Spell {
    blow: Blow,
    begin: Duration,
    end: Duration,
}

/// What is done from the start on, for so long. At every moment one server at least has no trouble.
pub fn timeline(seed: u64, length: Duration, troubles: &[Trouble], targets: Targets) -> Vec<Step> {
    let mut random = Rng::with_seed(seed);
    let mut spells: Vec<Spell> = vec![];
    let mut now = Duration::ZERO;
    while now < length {
        now += Duration::from_millis(random.u64(PAUSE));
        let blow = Blow {
            trouble: troubles[random.usize(..troubles.len())],
            server: random.usize(..targets.servers),
            service: random.usize(..targets.services),
        };
        let spell = Spell::new(blow, now, Duration::from_millis(random.u64(LENGTH)));
        if is_bearable(&spell, &spells, targets.servers) {
            spells.push(spell);
        }
    }
    let mut steps: Vec<_> = spells.iter().flat_map(Spell::steps).collect();
    steps.sort_by_key(|step| step.at);
    steps
}

fn is_bearable(spell: &Spell, before: &[Spell], servers: usize) -> bool {
    let Spell { blow, begin, .. } = spell;
    let part = blow.trouble.part();
    let is_over = |one: &Spell| one.end + SETTLE <= *begin;
    if part == Part::Gate {
        return before.iter().all(|one| one.blow.trouble.part() != part || is_over(one));
    }
    let is_sound = |server| before.iter().all(|one| !one.hits(server) || is_over(one));
    let mut others = (0..servers).filter(|&server| server != blow.server);
    let is_free = before
        .iter()
        .all(|one| one.end <= *begin || !one.hits(blow.server) || one.blow.trouble.part() != part);
    is_free && others.any(is_sound)
}

impl Spell {
    /// One of the gate is over with itself.
    fn new(blow: Blow, begin: Duration, length: Duration) -> Spell {
        let end = if blow.trouble.part() == Part::Gate { begin } else { begin + length };
        Spell { blow, begin, end }
    }

    fn hits(&self, server: usize) -> bool {
        self.blow.trouble.part() != Part::Gate && self.blow.server == server
    }

    fn steps(&self) -> [Step; 2] {
        [
            Step { at: self.begin, what: What::Strike(self.blow) },
            Step { at: self.end, what: What::Mend(self.blow) },
        ]
    }
}
