//! Passive health: how backends treat their clients, read from the counters. One that leaves clients without an
//! answer while others answer is suspected, and soon gets nothing for a while, which is longer each time. Clients
//! notice sooner than any probe. No single client is believed, nor anybody who asks in others' names.

use crate::standing::Conduct;
use std::collections::HashMap;
use std::time::Duration;

/// Time between two looks at the counters.
pub const PERIOD: Duration = Duration::from_millis(200);

/// Clients without an answer after which a backend is ejected, and within which time. The workers count each client
/// once in that time, and only those that were heard.
const ENOUGH: u64 = 3;
const WITHIN: Duration = Duration::from_secs(60);
/// For how long the first time; the next times twice as long each.
const FIRST: Duration = Duration::from_secs(10);
/// For no longer than that.
const LONGEST: Duration = Duration::from_secs(300);

/// The counters of a backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Requests that it responded to. What it says does not matter.
    pub responded: u64,
    /// Packets that it sent.
    pub packets: u64,
    /// Clients that it left without an answer: those that were heard, each once a minute.
    pub missed: u64,
    /// Whether health checks, which it passes, are to be believed rather than clients.
    pub is_vouched_for: bool,
}

/// A backend is seen differently from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The backend's name.
    pub backend: String,
    /// How it treats its clients.
    pub conduct: Conduct,
    /// Why, for operators.
    pub reason: String,
}

/// The past of one service's backends, by name.
#[derive(Debug, Default)]
pub struct Watch(HashMap<String, Record>);

/// How one backend has behaved so far.
#[derive(Debug, Default)]
struct Record {
    last: Reading,
    conduct: Conduct,
    /// When it showed a sign of life last.
    alive: Option<Duration>,
    /// Whether it has responded to a request since the last look.
    responds: bool,
    /// Clients without an answer since it responded last.
    missed: u64,
    /// When the first of these was noticed.
    since: Duration,
    /// How often it was ejected since then.
    ejected: u32,
    /// Until when it is.
    until: Duration,
}

impl Watch {
    /// Looks at all backends of the service at once, at the time `now` since some start.
    pub fn look(&mut self, now: Duration, readings: &[(&str, Reading)]) -> Vec<Change> {
        self.0.retain(|known, _| readings.iter().any(|(name, _)| name == known));
        for &(name, reading) in readings {
            // What it did before is not known to be its own.
            let new = || Record { last: reading, ..Record::default() };
            self.0.entry(name.to_owned()).or_insert_with(new).note(now, reading);
        }
        let alive: Vec<_> = self.0.iter().map(|(name, one)| (name.clone(), one.alive)).collect();
        let mut changes = vec![];
        for (name, record) in &mut self.0 {
            let mut others = alive.iter().filter(|(other, _)| other != name);
            let others_answer = others.any(|(_, alive)| *alive >= Some(record.since));
            if let Some(reason) = record.judge(now, others_answer) {
                let (backend, conduct) = (name.clone(), record.conduct);
                changes.push(Change { backend, conduct, reason });
            }
        }
        changes
    }
}

impl Record {
    /// Takes what has moved since the last look into account.
    fn note(&mut self, now: Duration, reading: Reading) {
        let last = std::mem::replace(&mut self.last, reading);
        let missed = reading.missed.saturating_sub(last.missed);
        let missed = if reading.is_vouched_for { 0 } else { missed };
        self.responds = reading.responded > last.responded;
        if self.responds || reading.packets > last.packets {
            self.alive = Some(now);
        }
        if self.responds {
            self.missed = 0;
        } else if missed > 0 {
            if self.missed == 0 || now - self.since >= WITHIN {
                (self.since, self.missed) = (now, 0);
            }
            self.missed += missed;
        }
    }

    /// The conduct that follows from the counters, and the reason, if that is something new.
    fn judge(&mut self, now: Duration, others_answer: bool) -> Option<String> {
        let missed = self.missed;
        match self.conduct {
            Conduct::Suspected | Conduct::Ejected if self.responds => {
                self.conduct = Conduct::Answers;
                self.ejected = 0;
                Some("it answers".to_owned())
            }
            Conduct::Answers | Conduct::Suspected if missed >= ENOUGH && others_answer => {
                let length = FIRST.saturating_mul(1 << self.ejected.min(8)).min(LONGEST);
                self.conduct = Conduct::Ejected;
                self.ejected += 1;
                self.until = now + length;
                let length = humantime::format_duration(length);
                Some(format!(
                    "{missed} times no answer while others answered; no requests for {length}"
                ))
            }
            Conduct::Answers if missed > 0 && others_answer => {
                self.conduct = Conduct::Suspected;
                Some("no answer while others answered".to_owned())
            }
            Conduct::Ejected if now >= self.until => {
                self.conduct = Conduct::Suspected;
                self.missed = 0;
                Some("it gets another chance".to_owned())
            }
            Conduct::Answers | Conduct::Suspected | Conduct::Ejected => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A service with two backends, a look every [`PERIOD`].
    struct Scene {
        watch: Watch,
        now: Duration,
        readings: [Reading; 2],
    }

    impl Scene {
        fn new() -> Scene {
            let mut scene = Scene {
                watch: Watch::default(),
                now: Duration::from_secs(1000),
                readings: Default::default(),
            };
            assert_eq!(scene.moves([(0, 0); 2]), None);
            scene
        }

        /// So many more (responded, missed) of each; what is new of the first.
        fn moves(&mut self, moved: [(u64, u64); 2]) -> Option<Conduct> {
            self.now += PERIOD;
            for (reading, (responded, missed)) in self.readings.iter_mut().zip(moved) {
                reading.responded += responded;
                reading.packets += responded;
                reading.missed += missed;
            }
            let readings = [("s1", self.readings[0]), ("s2", self.readings[1])];
            let changes = self.watch.look(self.now, &readings);
            assert!(changes.iter().all(|change| change.backend == "s1"), "{changes:?}");
            changes.first().map(|change| change.conduct)
        }

        /// Nothing happens until there is news; answers how long that took.
        fn until_news(&mut self) -> (Duration, Conduct) {
            let start = self.now;
            loop {
                if let Some(conduct) = self.moves([(0, 0); 2]) {
                    return (self.now - start, conduct);
                }
            }
        }
    }

    #[test]
    fn who_leaves_clients_waiting_is_suspected_and_then_ejected_for_longer_each_time() {
        let mut scene = Scene::new();
        assert_eq!(scene.moves([(5, 0), (5, 0)]), None);
        assert_eq!(scene.moves([(0, 1), (1, 0)]), Some(Conduct::Suspected));
        assert_eq!(scene.moves([(0, 1), (1, 0)]), None);
        assert_eq!(scene.moves([(0, 1), (1, 0)]), Some(Conduct::Ejected));
        for seconds in [10, 20, 40, 80, 160, 300, 300] {
            let (time, conduct) = scene.until_news();
            assert_eq!(conduct, Conduct::Suspected);
            assert!(time.as_secs().abs_diff(seconds) <= 1, "{time:?}, not {seconds} s");
            assert_eq!(scene.moves([(0, 3), (1, 0)]), Some(Conduct::Ejected));
        }
        scene.until_news();
        assert_eq!(scene.moves([(1, 0), (1, 0)]), Some(Conduct::Answers));
        assert_eq!(scene.moves([(0, 3), (1, 0)]), Some(Conduct::Ejected));
        assert_eq!(scene.until_news().0.as_secs(), 10);
    }

    #[test]
    fn who_leaves_a_client_without_an_answer_now_and_then_is_not_ejected() {
        let mut scene = Scene::new();
        assert_eq!(scene.moves([(0, 1), (1, 0)]), Some(Conduct::Suspected));
        for _ in 0..20 {
            assert_eq!(scene.moves([(0, 1), (1, 0)]), None);
            scene.now += WITHIN;
        }
        assert_eq!(scene.moves([(0, 1), (1, 0)]), None);
        assert_eq!(scene.moves([(0, 1), (1, 0)]), None);
        assert_eq!(scene.moves([(0, 1), (1, 0)]), Some(Conduct::Ejected));
    }

    #[test]
    fn where_checks_are_believed_clients_are_not() {
        let mut scene = Scene::new();
        scene.readings[0].is_vouched_for = true;
        assert_eq!(scene.moves([(0, 9), (1, 0)]), None);
        scene.readings[0].is_vouched_for = false;
        assert_eq!(scene.moves([(0, 3), (1, 0)]), Some(Conduct::Ejected));
    }

    #[test]
    fn when_nobody_answers_it_is_nobody_s_fault() {
        let mut scene = Scene::new();
        assert_eq!(scene.moves([(5, 0), (5, 0)]), None);
        for _ in 0..20 {
            assert_eq!(scene.moves([(0, 3), (0, 0)]), None);
        }
        // The other one was not asked; now it was.
        assert_eq!(scene.moves([(0, 0), (1, 0)]), Some(Conduct::Ejected));
    }

    #[test]
    fn who_answers_some_is_not_to_blame_for_the_others() {
        let mut scene = Scene::new();
        for _ in 0..20 {
            assert_eq!(scene.moves([(1, 5), (1, 0)]), None);
        }
    }

    #[test]
    fn one_that_was_taken_out_is_forgotten() {
        let mut scene = Scene::new();
        scene.moves([(0, 9), (1, 0)]);
        assert_eq!(scene.watch.look(scene.now, &[("s2", scene.readings[1])]), []);
        assert_eq!(scene.moves([(0, 0), (1, 0)]), None);
    }

    proptest! {
        /// Nobody is ejected who has answered since the last look, and nobody alone, whatever happens.
        #[test]
        fn nobody_is_ejected_who_answers_or_is_alone(
            script in prop::collection::vec(((0u64..2, 0u64..4), (0u64..2, 0u64..4)), 1..60),
        ) {
            let (mut watch, mut alone) = (Watch::default(), Watch::default());
            let mut readings = [Reading::default(); 2];
            for (at, (one, two)) in script.into_iter().enumerate() {
                let now = PERIOD * (at as u32 + 1);
                for (reading, (responded, missed)) in readings.iter_mut().zip([one, two]) {
                    reading.responded += responded;
                    reading.missed += missed;
                }
                let names = [("s1", readings[0]), ("s2", readings[1])];
                for change in watch.look(now, &names) {
                    let (responded, _) = if change.backend == "s1" { one } else { two };
                    prop_assert_eq!(responded > 0, change.conduct == Conduct::Answers);
                }
                prop_assert!(alone.look(now, &names[..1]).is_empty());
            }
        }
    }
}
