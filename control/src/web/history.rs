//! The last hour: requests and outcomes of each service by second, and since when backends and VIPs are in their state.
//! Memory is bounded: 72 KB for each service, and the names of backends and VIPs.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Seconds that are kept of each service.
pub const SPAN: usize = 3600;
/// Seconds for which drops are kept.
const MINUTE: usize = 60;

/// Counters and states at one moment.
#[derive(Debug, Default)]
pub struct Tally {
    /// Counters of the services, by name.
    pub services: Vec<(String, Totals)>,
    /// States of VIPs and backends, by name.
    pub states: Vec<(String, &'static str)>,
    /// The workers.
    pub workers: Vec<WorkerTally>,
    /// Drops, in the order of the reasons.
    pub drops: Vec<u64>,
}

/// Counters of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Transfers and connections begun.
    pub requests: u64,
    /// Ends in four kinds ([`Second::KINDS`]).
    pub outcomes: [u64; 4],
}

/// Counters of a worker.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkerTally {
    /// Nanoseconds of turns that moved frames.
    pub busy: u64,
    /// Nanoseconds of turns that found none.
    pub idle: u64,
    /// Frames from devices.
    pub received: u64,
    /// Frames forwarded.
    pub transmitted: u64,
    /// Frames dropped.
    pub dropped: u64,
}

/// The load of a worker within the last second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct WorkerLoad {
    /// The share of its time that it was busy, 0 to 1.
    pub busy: f64,
    /// Frames received, forwarded and dropped in a second.
    pub packets: [f64; 3],
}

/// A second of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Second {
    /// Transfers and connections begun.
    pub requests: u32,
    /// Ends by kind.
    pub outcomes: [u32; 4],
}

impl Second {
    /// The kinds of ends.
    pub const KINDS: [&str; 4] = ["completed", "no such file", "failed", "silent"];

    fn between(before: &Totals, now: &Totals) -> Second {
        // A counter that begins again has not grown.
        let grown = |before: u64, now: u64| u32::try_from(now.saturating_sub(before));
        let grown = |before, now| grown(before, now).unwrap_or(u32::MAX);
        Second {
            requests: grown(before.requests, now.requests),
            outcomes: std::array::from_fn(|kind| grown(before.outcomes[kind], now.outcomes[kind])),
        }
    }
}

/// Samples of the last hour.
#[derive(Debug, Default)]
pub struct History {
    services: HashMap<String, Series>,
    states: HashMap<String, (&'static str, Instant)>,
    /// The workers before and at the last sample.
    workers: [(Option<Instant>, Vec<WorkerTally>); 2],
    drops: VecDeque<Vec<u64>>,
}

#[derive(Debug)]
struct Series {
    last: Totals,
    seconds: VecDeque<Second>,
}

impl History {
    /// Adds the sample of a second, and forgets what is too old or no longer there.
    pub fn record(&mut self, at: Instant, now: Tally) {
        let mut before = std::mem::take(&mut self.services);
        for (name, totals) in now.services {
            let series = before.remove(&name);
            let mut series =
                series.unwrap_or(Series { last: totals, seconds: VecDeque::with_capacity(SPAN) });
            if series.seconds.len() == SPAN {
                series.seconds.pop_front();
            }
            series.seconds.push_back(Second::between(&series.last, &totals));
            series.last = totals;
            self.services.insert(name, series);
        }
        let mut before = std::mem::take(&mut self.states);
        for (name, state) in now.states {
            let unchanged = before.remove(&name).filter(|(old, _)| *old == state);
            self.states.insert(name, unchanged.unwrap_or((state, at)));
        }
        self.workers.swap(0, 1);
        self.workers[1] = (Some(at), now.workers);
        if self.drops.len() > MINUTE {
            self.drops.pop_front();
        }
        self.drops.push_back(now.drops);
    }

    /// The seconds of a service, the oldest first.
    pub fn seconds(&self, service: &str) -> Vec<Second> {
        let series = self.services.get(service);
        series.map(|series| series.seconds.iter().copied().collect()).unwrap_or_default()
    }

    /// The time for which a VIP or backend has been in this state.
    pub fn time_in(&self, name: &str, state: &str, now: Instant) -> Duration {
        let since = self.states.get(name).filter(|(recorded, _)| *recorded == state);
        since.map(|(_, since)| now - *since).unwrap_or_default()
    }

    /// The load of a worker; `None` before the second sample.
    pub fn load(&self, worker: usize) -> Option<WorkerLoad> {
        let [(before_at, before), (now_at, now)] = &self.workers;
        let seconds = (*now_at.as_ref()? - *before_at.as_ref()?).as_secs_f64().max(0.001);
        let (before, now) = (before.get(worker)?, now.get(worker)?);
        let grown = |of: fn(&WorkerTally) -> u64| of(now).saturating_sub(of(before)) as f64;
        let (busy, idle) = (grown(|one| one.busy), grown(|one| one.idle));
        let packets = [grown(|it| it.received), grown(|it| it.transmitted), grown(|it| it.dropped)];
        Some(WorkerLoad {
            busy: busy / (busy + idle).max(1.0),
            packets: packets.map(|count| count / seconds),
        })
    }

    /// Drops of the last minute, in the order of the reasons.
    pub fn drops(&self, reason: usize) -> u64 {
        let of = |sample: Option<&Vec<u64>>| sample.and_then(|drops| drops.get(reason)).copied();
        let (before, now) = (of(self.drops.front()), of(self.drops.back()));
        now.unwrap_or_default().saturating_sub(before.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(requests: u64, state: &'static str) -> Tally {
        let totals = Totals { requests, outcomes: [requests / 2, 0, 1, 0] };
        Tally {
            services: vec![("pxe".into(), totals)],
            states: vec![("one".into(), state)],
            workers: vec![WorkerTally { busy: requests, idle: 3 * requests, ..Default::default() }],
            drops: vec![requests],
        }
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let (start, mut history) = (Instant::now(), History::default());
        let at = |second: u64| start + Duration::from_secs(second);
        for second in 0..4000 {
            history.record(at(second), tally(10 * second, "up"));
        }
        let seconds = history.seconds("pxe");
        assert_eq!(seconds.len(), SPAN);
        let usual = Second { requests: 10, outcomes: [5, 0, 0, 0] };
        assert!(seconds.iter().all(|second| *second == usual));
        assert_eq!((history.drops(0), history.drops(1)), (600, 0));
        assert_eq!(history.load(0).map(|load| load.busy), Some(0.25));
        assert_eq!(history.load(1), None);
        // Counters that begin again.
        history.record(at(4000), tally(7, "up"));
        assert_eq!(history.seconds("pxe").last(), Some(&Second::default()));
        history.record(at(4001), Tally::default());
        assert_eq!(history.seconds("pxe"), []);
        assert_eq!(size_of::<Second>() * SPAN, 72_000, "as the documents say");
    }

    #[test]
    fn a_state_has_a_beginning() {
        let (start, mut history) = (Instant::now(), History::default());
        let at = |second: u64| start + Duration::from_secs(second);
        for (second, state) in [(0, "up"), (5, "up"), (6, "down"), (9, "down")] {
            history.record(at(second), tally(0, state));
        }
        let time_in = |name, state| history.time_in(name, state, at(10)).as_secs();
        assert_eq!((time_in("one", "down"), time_in("one", "up")), (4, 0));
        assert_eq!(time_in("other", "up"), 0);
    }
}
