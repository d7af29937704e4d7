//! Latency of frames in a worker: from before the receive call that brought them until after the device has taken the
//! frames that left, in nanoseconds. All bursts of a turn count as one.

use hdrhistogram::Histogram;
use std::time::Duration;

/// Histogram of latencies, to two digits.
pub type Latencies = Histogram<u64>;

/// The longest latency that is told apart: no turn should take as long.
const LONGEST: Duration = Duration::from_secs(1);

/// An empty histogram. All its memory is taken now.
///
/// # Panics
///
/// Never: the bounds are sound.
pub fn none() -> Latencies {
    Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 2).expect("sound bounds")
}

/// Records one latency.
#[inline]
pub fn record(latencies: &mut Latencies, time: Duration) {
    latencies.saturating_record(time.as_nanos() as u64);
}
