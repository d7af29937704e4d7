//! Histograms of time with Prometheus' classic buckets.

use std::time::Duration;

/// A histogram of time. A bound belongs to the bucket below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    bounds: &'static [Duration],
    /// Recorded values by bucket; the last bucket has no bound.
    counts: Vec<u64>,
    sum: Duration,
}

impl Histogram {
    /// An empty histogram with these bounds, in order.
    pub fn new(bounds: &'static [Duration]) -> Histogram {
        Histogram { bounds, counts: vec![0; bounds.len() + 1], sum: Duration::ZERO }
    }

    /// Records a value so many times.
    pub fn record(&mut self, value: Duration, times: u64) {
        self.counts[self.bounds.partition_point(|&bound| bound < value)] += times;
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        self.sum = self.sum.saturating_add(Duration::from_nanos(nanos.saturating_mul(times)));
    }

    /// The number of recorded values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of the recorded values, in seconds.
    pub fn sum(&self) -> f64 {
        self.sum.as_secs_f64()
    }

    /// Upper bounds in seconds, the last one infinite, and the number of values in each bucket.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = self.bounds.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        const BOUNDS: &[Duration] = &[Duration::from_millis(1), Duration::from_millis(10)];
        let mut histogram = Histogram::new(BOUNDS);
        for (micros, times) in [(1000, 2), (1001, 3), (10_000, 1), (10_001, 5)] {
            histogram.record(Duration::from_micros(micros), times);
        }
        assert_eq!(histogram.buckets(), [(0.001, 2), (0.01, 4), (f64::INFINITY, 5)]);
        assert_eq!((histogram.count(), histogram.sum()), (11, 0.065_008));
    }
}
