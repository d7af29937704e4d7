//! The last lines and the clients, kept for whoever watches. Workers make records of everything only while somebody does.

use super::clients::{Clients, Ranking};
use super::record::Line;
use engine::state::flow_log::FlowRecord;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Lines that are kept.
pub const LINES: usize = 500;

/// The last lines and the clients, kept for whoever watches. The log's thread adds to it, and control reads it.
#[derive(Debug, Clone)]
pub struct Watch(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    since: SystemTime,
    /// The latest line first.
    lines: VecDeque<Line>,
    clients: Clients,
}

impl Default for Watch {
    fn default() -> Watch {
        let since = SystemTime::UNIX_EPOCH;
        let kept = Kept { since, lines: VecDeque::new(), clients: Clients::default() };
        Watch(Arc::new(Mutex::new(kept)))
    }
}

impl Watch {
    /// Forgets what was kept before now, but for these lines, the latest first.
    pub fn begin(&self, lines: Vec<Line>) {
        let (since, clients) = (SystemTime::now(), Clients::default());
        *self.kept() = Kept { since, lines: lines.into(), clients };
    }

    /// Adds a record of a service whose protocol is without an end or not. It has a line unless so many came behind it that the
    /// line would not stay.
    pub fn add(&self, record: &FlowRecord, is_without_end: bool, line: Option<Line>) {
        let mut kept = self.kept();
        kept.clients.add(record, is_without_end);
        if let Some(line) = line {
            kept.lines.truncate(LINES - 1);
            kept.lines.push_front(line);
        }
    }

    /// The time from which everything is kept, and the last lines behind this number, the latest first.
    pub fn lines(&self, after: u64, most: usize) -> (SystemTime, Vec<Line>) {
        let kept = self.kept();
        let lines = kept.lines.iter().take_while(|line| line.seq > after).take(most);
        (kept.since, lines.cloned().collect())
    }

    /// The time from which clients are counted, and the first ones of each list.
    pub fn clients(&self, most: usize) -> (SystemTime, Ranking) {
        let kept = self.kept();
        (kept.since, kept.clients.ranking(most))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whole records are added, so it is sound whatever happened to its user.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow_log::sample;
    use engine::types::end_reason::EndReason;

    fn line(seq: u64) -> Line {
        Line { seq, ..Line::default() }
    }

    fn seqs(watch: &Watch, after: u64, most: usize) -> Vec<u64> {
        watch.lines(after, most).1.iter().map(|line| line.seq).collect()
    }

    #[test]
    fn the_last_lines_are_kept_and_asked_for_by_number() {
        let (watch, record) = (Watch::default(), sample::completed());
        (1..=LINES as u64 + 7).for_each(|seq| watch.add(&record, false, Some(line(seq))));
        watch.add(&record, false, None);
        let newest = LINES as u64 + 7;
        assert!(seqs(&watch, 0, usize::MAX).into_iter().eq((8..=newest).rev()));
        assert_eq!(seqs(&watch, newest - 2, 100), [newest, newest - 1]);
        assert_eq!(seqs(&watch, 0, 1), [newest]);
        assert_eq!(seqs(&watch, newest + 100, 1), [0; 0], "a number of an earlier daemon's");
    }

    #[test]
    fn whoever_begins_to_watch_sees_nothing_of_the_watch_before() {
        let (watch, begun) = (Watch::default(), SystemTime::now());
        watch.add(&sample::ended(EndReason::TimedOut), false, Some(line(3)));
        assert_eq!(watch.clients(9).1.unfinished.len(), 1);
        watch.begin(vec![line(2), line(1)]);
        assert_eq!(seqs(&watch, 0, 9), [2, 1], "the failures that the web page has");
        assert_eq!(watch.clients(9).1.unfinished, []);
        assert!(watch.lines(0, 0).0 >= begun);
    }
}
