//! Passive health: how backends treat their clients, read from the counters. A backend that leaves clients without an
//! answer while others answer is suspected, and after more of them ejected for a while, which is longer each time.
//! Clients notice sooner than any probe. A single client can't eject a backend, nor can requests with forged
//! addresses.

use crate::backend_status::PassiveHealth;
use std::collections::HashMap;
use std::time::Duration;

/// Time between two readings of the counters.
pub const PERIOD: Duration = Duration::from_millis(200);

/// The number of clients without an answer after which a backend is ejected, and the time that they must fall into.
/// Workers count each client once in that time, and only clients that were heard.
const ENOUGH: u64 = 3;
const WITHIN: Duration = Duration::from_secs(60);
/// The length of the first ejection; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(10);
/// The longest ejection.
const LONGEST: Duration = Duration::from_secs(300);

/// The counters of a backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Requests that the backend responded to, whatever the response.
    pub responded: u64,
    /// Packets that the backend sent.
    pub packets: u64,
    /// Clients that were left without an answer: only those that were heard, each once a minute.
    pub missed: u64,
    /// Whether passed health checks count rather than clients.
    pub is_vouched_for: bool,
}

/// A change of a backend's passive health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The backend's name.
    pub backend: String,
    /// The new passive health.
    pub health: PassiveHealth,
    /// The reason, for operators.
    pub reason: String,
}

/// The records of a service's backends, by name.
#[derive(Debug, Default)]
pub struct Watch(HashMap<String, Record>);

/// The record of a backend.
#[derive(Debug, Default)]
struct Record {
    last: Reading,
    health: PassiveHealth,
    /// The time of the last sign of life.
    alive: Option<Duration>,
    /// Whether the backend has responded to a request since the last reading.
    responds: bool,
    /// Clients without an answer since the last response.
    missed: u64,
    /// The time when the first of these clients was counted.
    since: Duration,
    /// The number of ejections since the last response.
    ejected: u32,
    /// The end of the ejection.
    until: Duration,
}

impl Watch {
    /// Evaluates new readings of all backends of the service, at the time `now` since some start.
    pub fn look(&mut self, now: Duration, readings: &[(&str, Reading)]) -> Vec<Change> {
        self.0.retain(|known, _| readings.iter().any(|(name, _)| name == known));
        for &(name, reading) in readings {
            // Earlier counts may be another backend's.
            let new = || Record { last: reading, ..Record::default() };
            self.0.entry(name.to_owned()).or_insert_with(new).note(now, reading);
        }
        let alive: Vec<_> = self.0.iter().map(|(name, one)| (name.clone(), one.alive)).collect();
        let mut changes = vec![];
        for (name, record) in &mut self.0 {
            let mut others = alive.iter().filter(|(other, _)| other != name);
            let others_answer = others.any(|(_, alive)| *alive >= Some(record.since));
            if let Some(reason) = record.judge(now, others_answer) {
                let (backend, health) = (name.clone(), record.health);
                changes.push(Change { backend, health, reason });
            }
        }
        changes
    }
}

impl Record {
    /// Notes a new reading.
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

    /// Changes the passive health as the record demands; returns the reason if it has changed.
    fn judge(&mut self, now: Duration, others_answer: bool) -> Option<String> {
        let missed = self.missed;
        match self.health {
            PassiveHealth::Suspect | PassiveHealth::Ejected if self.responds => {
                self.health = PassiveHealth::Healthy;
                self.ejected = 0;
                Some("it answers".to_owned())
            }
            PassiveHealth::Healthy | PassiveHealth::Suspect
                if missed >= ENOUGH && others_answer =>
            {
                let length = FIRST.saturating_mul(1 << self.ejected.min(8)).min(LONGEST);
                self.health = PassiveHealth::Ejected;
                self.ejected += 1;
                self.until = now + length;
                let length = humantime::format_duration(length);
                Some(format!(
                    "{missed} times no answer while others answered; no requests for {length}"
                ))
            }
            PassiveHealth::Healthy if missed > 0 && others_answer => {
                self.health = PassiveHealth::Suspect;
                Some("no answer while others answered".to_owned())
            }
            PassiveHealth::Ejected if now >= self.until => {
                self.health = PassiveHealth::Suspect;
                self.missed = 0;
                Some("it gets another chance".to_owned())
            }
            PassiveHealth::Healthy | PassiveHealth::Suspect | PassiveHealth::Ejected => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A service with two backends, read every [`PERIOD`].
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

        /// Adds (responded, missed) to each backend's counters; returns a change of the first.
        fn moves(&mut self, moved: [(u64, u64); 2]) -> Option<PassiveHealth> {
            self.now += PERIOD;
            for (reading, (responded, missed)) in self.readings.iter_mut().zip(moved) {
                reading.responded += responded;
                reading.packets += responded;
                reading.missed += missed;
            }
            let readings = [("s1", self.readings[0]), ("s2", self.readings[1])];
            let changes = self.watch.look(self.now, &readings);
            assert!(changes.iter().all(|change| change.backend == "s1"), "{changes:?}");
            changes.first().map(|change| change.health)
        }

        /// Waits without traffic until the first backend changes; returns the time and the change.
        fn until_news(&mut self) -> (Duration, PassiveHealth) {
            let start = self.now;
            loop {
                if let Some(health) = self.moves([(0, 0); 2]) {
                    return (self.now - start, health);
                }
            }
        }
    }

    #[test]
    fn who_leaves_clients_waiting_is_suspected_and_then_ejected_for_longer_each_time() {
        let mut scene = Scene::new();
        assert_eq!(scene.moves([(5, 0), (5, 0)]), None);
        assert_eq!(scene.moves([(0, 1), (1, 0)]), Some(PassiveHealth::Suspect));
        assert_eq!(scene.moves([(0, 1), (1, 0)]), None);
        assert_eq!(scene.moves([(0, 1), (1, 0)]), Some(PassiveHealth::Ejected));
        for seconds in [10, 20, 40, 80, 160, 300, 300] {
            let (time, health) = scene.until_news();
            assert_eq!(health, PassiveHealth::Suspect);
            assert!(time.as_secs().abs_diff(seconds) <= 1, "{time:?}, not {seconds} s");
            assert_eq!(scene.moves([(0, 3), (1, 0)]), Some(PassiveHealth::Ejected));
        }
        scene.until_news();
        assert_eq!(scene.moves([(1, 0), (1, 0)]), Some(PassiveHealth::Healthy));
        assert_eq!(scene.moves([(0, 3), (1, 0)]), Some(PassiveHealth::Ejected));
        assert_eq!(scene.until_news().0.as_secs(), 10);
    }

    #[test]
    fn who_leaves_a_client_without_an_answer_now_and_then_is_not_ejected() {
        let mut scene = Scene::new();
        assert_eq!(scene.moves([(0, 1), (1, 0)]), Some(PassiveHealth::Suspect));
        for _ in 0..20 {
            assert_eq!(scene.moves([(0, 1), (1, 0)]), None);
            scene.now += WITHIN;
        }
        assert_eq!(scene.moves([(0, 1), (1, 0)]), None);
        assert_eq!(scene.moves([(0, 1), (1, 0)]), None);
        assert_eq!(scene.moves([(0, 1), (1, 0)]), Some(PassiveHealth::Ejected));
    }

    #[test]
    fn where_checks_are_believed_clients_are_not() {
        let mut scene = Scene::new();
        scene.readings[0].is_vouched_for = true;
        assert_eq!(scene.moves([(0, 9), (1, 0)]), None);
        scene.readings[0].is_vouched_for = false;
        assert_eq!(scene.moves([(0, 3), (1, 0)]), Some(PassiveHealth::Ejected));
    }

    #[test]
    fn when_nobody_answers_it_is_nobody_s_fault() {
        let mut scene = Scene::new();
        assert_eq!(scene.moves([(5, 0), (5, 0)]), None);
        for _ in 0..20 {
            assert_eq!(scene.moves([(0, 3), (0, 0)]), None);
        }
        // The other one was not asked; now it was.
        assert_eq!(scene.moves([(0, 0), (1, 0)]), Some(PassiveHealth::Ejected));
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
        /// Backends that have answered since the last reading are not ejected, nor is a backend without others.
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
                    prop_assert_eq!(responded > 0, change.health == PassiveHealth::Healthy);
                }
                prop_assert!(alone.look(now, &names[..1]).is_empty());
            }
        }
    }
}
