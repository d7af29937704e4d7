//! Overruns: losses of workers whose rings are full, as the log's thread does not keep up.

use super::loss::Loss;
use std::sync::Arc;
use std::time::Instant;
use worker::command_channel::WorkerChannel;

/// The watch for records that workers lose.
pub struct Overrun {
    workers: Arc<[WorkerChannel]>,
    /// Lost records at the last look.
    seen: u64,
    loss: Loss,
}

impl Overrun {
    /// A watch over these workers, from now on.
    pub fn new(workers: Arc<[WorkerChannel]>) -> Overrun {
        let seen = lost(&workers);
        Overrun { workers, seen, loss: Loss::default() }
    }

    /// Tells a loss that has begun or ended since the last look.
    pub fn look(&mut self, now: Instant) {
        let lost = lost(&self.workers);
        if self.loss.add(lost - self.seen, now) {
            log::warn!("records for the log are lost: workers make more than are written");
        }
        self.seen = lost;
        if let Some(lost) = self.loss.end_if_over(now) {
            log::info!("the log keeps up again; records lost: {lost}");
        }
    }

    /// Whether records are being lost.
    pub fn is_on(&self) -> bool {
        self.loss.is_on()
    }
}

impl Drop for Overrun {
    fn drop(&mut self) {
        if let Some(lost) = self.loss.end() {
            log::info!("the log ends; records lost by workers: {lost}");
        }
    }
}

fn lost(workers: &[WorkerChannel]) -> u64 {
    workers.iter().map(|worker| worker.counters.lost_records.value()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow_log::told;
    use engine::counters::{Counters, Room};
    use std::time::Duration;

    #[test]
    fn an_overrun_is_told_when_it_begins_and_when_it_ends() {
        let workers =
            [(); 2].map(|()| WorkerChannel::new(Arc::new(Counters::new(Room::default()))));
        let lose = |worker: usize, records| workers[worker].counters.lost_records.add(records);
        lose(0, 100);
        let (mut overrun, start) = (Overrun::new(workers.clone().into()), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let told = told::by(|| overrun.look(start));
        assert_eq!(told, [""; 0], "before the log");
        let told = told::by(|| {
            for (second, worker) in [(1, 0), (2, 1), (3, 1)] {
                lose(worker, 7);
                overrun.look(at(second));
            }
        });
        assert_eq!(told, ["records for the log are lost: workers make more than are written"]);
        assert!(overrun.is_on());
        let told = told::by(|| [7, 8, 20].into_iter().for_each(|second| overrun.look(at(second))));
        assert_eq!(told, ["the log keeps up again; records lost: 21"]);
        lose(1, 1);
        overrun.look(at(30));
        let told = told::by(|| drop(overrun));
        assert_eq!(told, ["the log ends; records lost by workers: 1"]);
    }
}
