//! Histograms of one worker, with fixed bounds: counters without atomic operations, as all of a worker's.

use super::counter::Counter;
use zerocopy::{FromBytes, IntoBytes, KnownLayout};

/// A histogram of `CELLS` counters: a bucket for each bound, one for what is above the last bound, and the sum.
#[derive(Debug, FromBytes, IntoBytes, KnownLayout)]
#[repr(transparent)]
pub struct Cells<const CELLS: usize>([Counter; CELLS]);

/// A histogram with its bounds, each inclusive, in rising order.
#[derive(Debug, Clone, Copy)]
pub struct Histogram<'a> {
    bounds: &'static [u64],
    cells: &'a [Counter],
}

impl<const CELLS: usize> Cells<CELLS> {
    /// The histogram in these cells, with bounds for all but two of them.
    fn with(&self, bounds: &'static [u64]) -> Histogram<'_> {
        Histogram { bounds, cells: &self.0 }
    }
}

impl<const CELLS: usize> Default for Cells<CELLS> {
    fn default() -> Cells<CELLS> {
        Cells(std::array::from_fn(|_| Counter::default()))
    }
}

impl Histogram<'_> {
    /// Adds a value. Only the owning worker may call it.
    #[inline]
    pub fn record(&self, value: u64) {
        let bucket = self.bounds.iter().position(|&bound| value <= bound);
        self.cells[bucket.unwrap_or(self.bounds.len())].add(1);
        self.cells[self.bounds.len() + 1].add(value);
    }

    /// Each bound with the number of values up to it and above the bound before.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.bounds.iter().copied().zip(self.cells.iter().map(Counter::value))
    }

    /// The number of values above the last bound.
    pub fn above(&self) -> u64 {
        self.cells[self.bounds.len()].value()
    }

    /// The sum of all values.
    pub fn sum(&self) -> u64 {
        self.cells[self.bounds.len() + 1].value()
    }
}

/// Bounds of the time to the first answer, in milliseconds.
pub const ANSWER_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];
/// Bounds of a transfer's duration, in milliseconds.
pub const DURATION_MS: [u64; 10] =
    [100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000];
/// Bounds of a transfer's size in bytes: 1 KiB to 2 GiB, each eight times the one before.
pub const SIZE: [u64; 8] = [1 << 10, 1 << 13, 1 << 16, 1 << 19, 1 << 22, 1 << 25, 1 << 28, 1 << 31];

/// Histograms of one service's transfers and connections, by how they ended.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct ServiceHistograms {
    completed: Cells<{ DURATION_MS.len() + 2 }>,
    other: Cells<{ DURATION_MS.len() + 2 }>,
    size: Cells<{ SIZE.len() + 2 }>,
}

impl ServiceHistograms {
    /// Milliseconds that completed ones took.
    pub fn completed(&self) -> Histogram<'_> {
        self.completed.with(&DURATION_MS)
    }

    /// Milliseconds that all others took.
    pub fn other(&self) -> Histogram<'_> {
        self.other.with(&DURATION_MS)
    }

    /// Bytes of completed transfers.
    pub fn size(&self) -> Histogram<'_> {
        self.size.with(&SIZE)
    }
}

/// Histogram of the milliseconds from requests to a backend's first answers.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(transparent)]
pub struct Answers(Cells<{ ANSWER_MS.len() + 2 }>);

impl Answers {
    /// The histogram.
    pub fn histogram(&self) -> Histogram<'_> {
        self.0.with(&ANSWER_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_at_the_first_bound_that_is_not_below_it() {
        let answers = Answers::default();
        let histogram = answers.histogram();
        for value in [0, 1, 2, 3, 5000, 5001, 1 << 40] {
            histogram.record(value);
        }
        let filled: Vec<_> = histogram.buckets().filter(|&(_, count)| count > 0).collect();
        assert_eq!(filled, [(1, 2), (2, 1), (5, 1), (5000, 1)]);
        assert_eq!((histogram.above(), histogram.sum()), (2, 10_007 + (1 << 40)));
    }
}
