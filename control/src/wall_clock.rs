//! Workers' time as time of day.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One moment by both clocks. Made anew for each answer, so that it follows changes of the time of day.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    instant: Instant,
    /// Nanoseconds since 1970.
    unix: u64,
}

impl WallClock {
    /// This moment.
    pub fn now() -> WallClock {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallClock { instant: Instant::now(), unix: unix.as_nanos() as u64 }
    }

    /// A moment of the past in nanoseconds since 1970.
    pub fn at(&self, past: Instant) -> u64 {
        self.unix.saturating_sub(self.instant.saturating_duration_since(past).as_nanos() as u64)
    }
}
