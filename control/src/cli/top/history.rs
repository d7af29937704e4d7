//! The last minute: outcomes of each service's transfers, and drops.

use crate::api::Counts;
use crate::cli::sample::{Sample, grown};
use crate::cli::table::number;
use engine::types::drop_reason::DropReason;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// The time span that is kept.
const SPAN: Duration = Duration::from_secs(60);

/// Ends of transfers in four kinds: completed, no such file, failed, silent.
pub type Outcomes = [u64; 4];

/// Samples of the last minute, without what nobody asks for again.
#[derive(Debug, Default)]
pub struct History(VecDeque<Moment>);

#[derive(Debug)]
struct Moment {
    at: Instant,
    outcomes: HashMap<String, Outcomes>,
    /// Dropped packets by the reasons' order.
    drops: Vec<u64>,
}

impl History {
    /// Adds a sample, and forgets those of more than a minute ago.
    pub fn push(&mut self, now: &Sample) {
        let services = now.services.iter();
        let drops = DropReason::ALL.iter();
        self.0.push_back(Moment {
            at: now.at,
            outcomes: services.map(|one| (one.name.clone(), outcomes(&one.totals))).collect(),
            drops: drops.map(|reason| number(&now.stats.drops, reason.name())).collect(),
        });
        while self.0.front().is_some_and(|oldest| now.at - oldest.at > SPAN) {
            self.0.pop_front();
        }
    }

    /// Ends of a service's transfers within the last minute.
    pub fn outcomes(&self, service: &str) -> Outcomes {
        let of = |moment: Option<&Moment>| moment?.outcomes.get(service).copied();
        let (Some(before), Some(now)) = (of(self.0.front()), of(self.0.back())) else {
            return Outcomes::default();
        };
        std::array::from_fn(|kind| grown(before[kind], now[kind]))
    }

    /// Drops per second for this reason between each two samples, the oldest first.
    pub fn drops(&self, reason: DropReason) -> Vec<u64> {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        let rates = pairs.map(|(before, now)| {
            let count = |moment: &Moment| moment.drops[reason as usize];
            let seconds = (now.at - before.at).as_secs_f64();
            (grown(count(before), count(now)) as f64 / seconds).round() as u64
        });
        rates.collect()
    }
}

fn outcomes(totals: &Counts) -> Outcomes {
    let sum = |names: &[&str]| -> u64 { names.iter().map(|name| number(totals, name)).sum() };
    [
        sum(&["completed", "size_probes"]),
        sum(&["not_found"]),
        sum(&["failed", "lost", "evicted"]),
        // Requests that went to another backend have yet to end there.
        sum(&["unanswered", "unheard", "timed_out"]).saturating_sub(sum(&["asked_elsewhere"])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::types::end_reason::{EndKind, EndReason};

    /// The name of an end's counter, as answers have it.
    fn counter(end: EndReason) -> String {
        match end {
            EndReason::SizeProbe => "size_probes".to_owned(),
            other => other.name().replace('-', "_"),
        }
    }

    #[test]
    fn ends_are_grouped_by_the_engine_s_kinds() {
        for end in EndReason::ALL {
            let expected = match end.kind(false) {
                EndKind::Completed => [1, 0, 0, 0],
                EndKind::NotFound => [0, 1, 0, 0],
                EndKind::Failed => [0, 0, 1, 0],
                EndKind::Silent => [0, 0, 0, 1],
                EndKind::Neutral => [0; 4],
            };
            let totals = Counts::from_iter([(counter(end), 1.into())]);
            assert_eq!(outcomes(&totals), expected, "{}", end.name());
        }
    }
}
