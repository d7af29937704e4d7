//! The last lines of the log, collected from the daemon's answers.

use crate::api::{Log, LogLine};
use std::collections::VecDeque;

/// The most lines to ask for at a time: the daemon keeps no more.
pub const MOST: usize = 500;
/// Lines that are kept.
const KEPT: usize = 5000;

/// The last lines.
#[derive(Debug, Default)]
pub struct Lines {
    /// The time from which the daemon has kept everything, in seconds since 1970; `None` before its first answer.
    pub since: Option<u64>,
    /// The latest line first.
    lines: VecDeque<LogLine>,
}

impl Lines {
    /// The number of the latest line.
    pub fn newest(&self) -> u64 {
        self.lines.front().map_or(0, |line| line.seq)
    }

    /// Adds the lines of an answer, the latest first.
    pub fn take(&mut self, log: Log) {
        self.since = Some(log.since);
        let newest = self.newest();
        // An answer that was asked for before another one came has lines that are there already.
        let fresh: Vec<_> = log.lines.into_iter().filter(|line| line.seq > newest).collect();
        fresh.into_iter().rev().for_each(|line| self.lines.push_front(line));
        self.lines.truncate(KEPT);
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The lines that contain a text, the latest first.
    pub fn chosen(&self, filter: &str) -> Vec<&LogLine> {
        let filter = filter.to_lowercase();
        self.lines.iter().filter(|line| line.text.to_lowercase().contains(&filter)).collect()
    }
}
