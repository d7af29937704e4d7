//! Accounting of turns: how long each took, and whether there was work.

use crate::latency::{self, Latencies};
use engine::counters::Load;
use std::time::{Duration, Instant};

/// A turn. It is over when the next one begins.
pub(super) struct Turn {
    /// The time of the beginning.
    pub begun: Instant,
    /// Whether frames came from a device.
    pub has_received: bool,
    /// Whether frames came from anywhere, or were originated.
    pub is_busy: bool,
}

impl Turn {
    /// Counts the time that the turn took.
    #[inline]
    pub fn account(&self, time: Duration, load: &Load, latencies: &mut Latencies) {
        let share = if self.is_busy { &load.busy } else { &load.idle };
        share.add(time.as_nanos() as u64);
        if self.has_received {
            latency::record(latencies, time);
        }
    }
}
