//! How long frames stay in a worker: from before the receive call that brought them until after the
//! device has taken what became of them, in nanoseconds, all bursts of a turn at a time.

use hdrhistogram::Histogram;
use std::time::Duration;

/// How often each time was seen, to two digits.
pub type Latencies = Histogram<u64>;

/// Longer than any turn should take; what takes longer counts as this.
const LONGEST: Duration = Duration::from_secs(1);

/// No time seen. All its memory is taken now.
///
/// # Panics
///
/// Never: the bounds are sound.
pub fn none() -> Latencies {
    Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 2).expect("sound bounds")
}

/// Counts one time in.
#[inline]
pub fn record(latencies: &mut Latencies, time: Duration) {
    latencies.saturating_record(time.as_nanos() as u64);
}
