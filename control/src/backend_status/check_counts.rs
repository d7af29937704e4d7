//! Counts of a backend's health checks, for metrics.

use crate::histogram::Histogram;
use std::time::Duration;

/// The bounds of the histogram of checks.
const BOUNDS: &[Duration] = &[
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// A backend's health checks so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckCounts {
    /// Checks that found the backend healthy.
    pub passed: u64,
    /// Checks that did not.
    pub failed: u64,
    /// Checks that could not be made.
    pub none: u64,
    /// The time that checks took.
    pub time: Histogram,
}

impl Default for CheckCounts {
    fn default() -> CheckCounts {
        CheckCounts { passed: 0, failed: 0, none: 0, time: Histogram::new(BOUNDS) }
    }
}
