//! Slow start: a backend that comes back has cold caches, so its share grows gradually.

use crate::flow::hash::mixed;
use crate::types::tick::Tick;

/// The full share.
pub const WHOLE: u32 = 1 << 16;

/// A slow start in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowStart {
    /// When the backend came back.
    pub since: Tick,
    /// Ticks until the full share.
    pub ticks: u32,
}

impl SlowStart {
    /// The current share, above zero, of [`WHOLE`].
    pub fn share(self, now: Tick) -> u32 {
        // Control may be a tick ahead of a worker.
        let passed = if self.since.is_due(now) { now.since(self.since) } else { 0 };
        let share = (u64::from(passed) + 1) * u64::from(WHOLE) / u64::from(self.ticks.max(1));
        share.clamp(1, WHOLE.into()) as u32
    }
}

/// A pseudo-random draw below [`WHOLE`], a function of `number` only.
#[inline]
pub fn lot(number: u64) -> u32 {
    (mixed(number) >> 48) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_evenly_to_the_whole() {
        let start = SlowStart { since: Tick(1000), ticks: 300 };
        let share = |now| start.share(Tick(now));
        assert_eq!([999, 1000].map(share), [WHOLE / 300; 2]);
        assert_eq!(share(1149), WHOLE / 2);
        assert_eq!([1299, 1300, 90_000].map(share), [WHOLE; 3]);
        assert_eq!(SlowStart { since: Tick(0), ticks: u32::MAX }.share(Tick(0)), 1);
    }
}
