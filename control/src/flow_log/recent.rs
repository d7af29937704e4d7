//! The last failures, kept in memory for the web page.

use super::record::Line;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lines that are kept.
const MOST: usize = 100;

/// The last lines, which the log's thread adds and the web page reads.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<VecDeque<Line>>>);

impl Recent {
    /// Adds a line in place of the oldest one.
    pub fn push(&self, line: Line) {
        let mut lines = self.lines();
        lines.truncate(MOST - 1);
        lines.push_front(line);
    }

    /// The lines, the latest first.
    pub fn all(&self) -> Vec<Line> {
        self.lines().iter().cloned().collect()
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<Line>> {
        // A list of whole lines is sound, whatever happened to its user.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hundred_are_kept() {
        let recent = Recent::default();
        for seq in 1..=250 {
            recent.clone().push(Line { seq, ..Line::default() });
        }
        let seqs: Vec<_> = recent.all().iter().map(|line| line.seq).collect();
        assert!(seqs.iter().copied().eq((151..=250).rev()), "{seqs:?}");
    }
}
