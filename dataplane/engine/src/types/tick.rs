//! Time in the engine.

use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A time in tenths of a second since an arbitrary start. It wraps after 13 years and is therefore compared by distance
/// only.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(transparent)]
pub struct Tick(pub u32);

/// Ticks per second.
pub const PER_SECOND: u32 = 10;

impl Tick {
    /// The time `elapsed` after the start.
    pub fn at(elapsed: Duration) -> Tick {
        // Truncation is the wrap.
        Tick((elapsed.as_millis() / 100) as u32)
    }

    /// Ticks from `earlier` to `self`.
    pub fn since(self, earlier: Tick) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// The time `ticks` later.
    pub fn after(self, ticks: u32) -> Tick {
        Tick(self.0.wrapping_add(ticks))
    }

    /// The time `ticks` earlier.
    pub fn before(self, ticks: u32) -> Tick {
        Tick(self.0.wrapping_sub(ticks))
    }

    /// Whether the time has come at `now`.
    pub fn is_due(self, now: Tick) -> bool {
        now.since(self) < u32::MAX / 2
    }
}

/// A time in milliseconds since the same start, for the log and for histograms. It wraps after 49 days and is therefore
/// compared by distance only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Millis(pub u32);

impl Millis {
    /// The time `elapsed` after the start.
    pub fn at(elapsed: Duration) -> Millis {
        // Truncation is the wrap.
        Millis(elapsed.as_millis() as u32)
    }

    /// Milliseconds from `earlier` to `self`.
    pub fn since(self, earlier: Millis) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }
}

/// Converts a duration to ticks, rounded up, at least one.
pub fn ticks(length: Duration) -> u32 {
    u32::try_from(length.as_millis().div_ceil(100)).unwrap_or(u32::MAX / 4).max(1)
}
