//! Histograms as Prometheus reads them: buckets with upper bounds, and a sum.

use crate::histogram::Histogram;
use engine::counters::histogram;

/// A histogram as Prometheus reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Buckets {
    /// The sum of the recorded values.
    pub sum: f64,
    /// Upper bounds, the last one infinite, and the number of values in each bucket.
    pub buckets: Vec<(f64, u64)>,
}

impl Buckets {
    /// The sum of workers' histograms, of which there is at least one; a recorded 1 counts as `unit`.
    pub fn sum<'a>(
        histograms: impl IntoIterator<Item = histogram::Histogram<'a>>,
        unit: f64,
    ) -> Buckets {
        let mut all = Buckets { sum: 0.0, buckets: vec![] };
        for one in histograms {
            let bounded = one.buckets().map(|(bound, count)| (bound as f64 * unit, count));
            let buckets = bounded.chain([(f64::INFINITY, one.above())]).collect();
            all.add(&Buckets { sum: one.sum() as f64 * unit, buckets });
        }
        all
    }

    /// Adds another histogram with the same bounds.
    pub fn add(&mut self, other: &Buckets) {
        self.sum += other.sum;
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        for ((_, count), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
    }

    /// The number of recorded values.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|&(_, count)| count).sum()
    }
}

impl From<&Histogram> for Buckets {
    fn from(histogram: &Histogram) -> Buckets {
        Buckets { sum: histogram.sum(), buckets: histogram.buckets() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::counters::histogram::Answers;

    #[test]
    fn workers_are_added_up_in_seconds() {
        let workers = [0, 1].map(|_| Answers::default());
        let workers = [0, 1].map(|number| workers[number].histogram());
        workers[0].record(2);
        workers[1].record(2);
        workers[1].record(9000);
        let all = Buckets::sum(workers, 0.001);
        assert_eq!(
            (all.count(), all.buckets[1], all.buckets.last()),
            (3, (0.002, 2), Some(&(f64::INFINITY, 1)))
        );
        assert!((all.sum - 9.004).abs() < 1e-9);
    }
}
