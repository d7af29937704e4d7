//! Time as the engine sees it.

use std::time::Duration;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Tenths of a second since some start. It wraps after 13 years, so it is only ever compared by
/// distance.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(transparent)]
pub struct Tick(pub u32);

/// Ticks in a second.
pub const PER_SECOND: u32 = 10;

impl Tick {
    /// The moment `elapsed` after the start.
    pub fn at(elapsed: Duration) -> Tick {
        // Truncation is the wrap.
        Tick((elapsed.as_millis() / 100) as u32)
    }

    /// Ticks from `earlier` to this moment.
    pub fn since(self, earlier: Tick) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// The moment `ticks` later.
    pub fn after(self, ticks: u32) -> Tick {
        Tick(self.0.wrapping_add(ticks))
    }

    /// Whether this moment has come at `now`.
    pub fn is_due(self, now: Tick) -> bool {
        now.since(self) < u32::MAX / 2
    }
}

/// A length of time in ticks, rounded up, at least one.
pub fn ticks(length: Duration) -> u32 {
    u32::try_from(length.as_millis().div_ceil(100)).unwrap_or(u32::MAX / 4).max(1)
}
