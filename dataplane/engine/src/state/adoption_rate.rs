//! When, and at which rates, a worker adopts packets of flows that it does not know.

use crate::types::tick::{PER_SECOND, Tick};
use crate::types::token_bucket::{TokenBucket, TokenLimit};

/// Packets per second that a worker adopts: clients of a gate that has died come within seconds, before they give up.
const RATE: u32 = 10_000;

/// The limit of each kind of adopted packets of a worker.
const LIMIT: TokenLimit = TokenLimit { burst: RATE, per_tick: RATE / PER_SECOND };

/// Ticks after a worker's start in which no hash counts: what the kernel and health checks know has not come yet.
const SETTLING: u32 = PER_SECOND;

/// Ticks after a worker's start in which no hash counts that would skip a backend without a next hop. The kernel gives a
/// neighbour up after three seconds.
const RESOLVING: u32 = 5 * PER_SECOND;

/// The packets that a worker may adopt. Those that leave no row come again and again: they have a limit of their own.
#[derive(Debug)]
pub struct AdoptionRate {
    with_row: TokenBucket,
    without_row: TokenBucket,
    /// The time of the worker's start.
    start: Tick,
}

impl AdoptionRate {
    /// The rate of a worker that starts now.
    pub fn new(now: Tick) -> AdoptionRate {
        let [with_row, without_row] = [TokenBucket::default(); 2];
        AdoptionRate { with_row, without_row, start: now }
    }

    /// Takes a token for a packet that makes a row or not, if there is one.
    pub fn allows(&mut self, makes_row: bool, now: Tick) -> bool {
        let bucket = if makes_row { &mut self.with_row } else { &mut self.without_row };
        bucket.take(1, LIMIT, now)
    }

    /// Whether the hash names the backends that other gates have chosen; `awaits`: a backend's next hop is unresolved.
    pub fn is_settled(&self, awaits: impl FnOnce() -> bool, now: Tick) -> bool {
        let age = now.since(self.start);
        age >= RESOLVING || (age >= SETTLING && !awaits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_so_many_a_second() {
        let mut rate = AdoptionRate::new(Tick(500));
        let mut count =
            |makes_row, now| (0..3 * RATE).filter(|_| rate.allows(makes_row, Tick(now))).count();
        for makes_row in [true, false] {
            assert_eq!(count(makes_row, 510), RATE as usize);
            let second: usize = (511..521).map(|now| count(makes_row, now)).sum();
            assert_eq!(second, RATE as usize);
        }
    }

    #[test]
    fn a_missing_next_hop_is_waited_for_and_not_for_ever() {
        let rate = AdoptionRate::new(Tick(500));
        let when = |awaits| (500..600).find(|&now| rate.is_settled(|| awaits, Tick(now)));
        assert_eq!([false, true].map(when), [Some(510), Some(550)]);
    }
}
