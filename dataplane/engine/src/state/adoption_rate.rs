//! The rate at which a worker adopts packets of flows that it does not know.

use crate::types::tick::{PER_SECOND, Tick};
use crate::types::token_bucket::{TokenBucket, TokenLimit};

/// Packets per second that a worker adopts: clients of a gate that has died come within seconds, before they give up.
const RATE: u32 = 10_000;

/// The limit of adopted packets of a worker.
const LIMIT: TokenLimit = TokenLimit { burst: RATE, per_tick: RATE / PER_SECOND };

/// Ticks after a worker's start without adoption: while the kernel has not resolved the backends, the hash names others.
const SETTLING: u32 = PER_SECOND;

/// The packets that a worker may adopt.
#[derive(Debug)]
pub struct AdoptionRate {
    bucket: TokenBucket,
    /// The time of the worker's start.
    start: Tick,
}

impl AdoptionRate {
    /// The rate of a worker that starts now.
    pub fn new(now: Tick) -> AdoptionRate {
        AdoptionRate { bucket: TokenBucket::default(), start: now }
    }

    /// Takes a token, if there is one.
    pub fn allows(&mut self, now: Tick) -> bool {
        now.since(self.start) >= SETTLING && self.bucket.take(1, LIMIT, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_at_first_then_a_burst_and_then_so_many_a_second() {
        let mut rate = AdoptionRate::new(Tick(500));
        let mut count = |now| (0..3 * RATE).filter(|_| rate.allows(Tick(now))).count();
        assert_eq!([500, 509].map(&mut count), [0; 2]);
        assert_eq!(count(510), RATE as usize);
        let second: usize = (511..521).map(&mut count).sum();
        assert_eq!(second, RATE as usize);
    }
}
