//! Token buckets: so many events at once, and so many per tick on average.

use super::tick::Tick;

/// The limit of a token bucket, in units of the caller's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLimit {
    /// Units of a full bucket.
    pub burst: u32,
    /// Units added per tick.
    pub per_tick: u32,
}

/// A token bucket. It keeps the units taken rather than those left, so that the default is full under any limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenBucket {
    /// Units taken and not added again.
    taken: u32,
    /// Time of the last update.
    since: Tick,
}

impl TokenBucket {
    /// Takes `units`, if the bucket has as many at `now`.
    pub fn take(&mut self, units: u32, limit: TokenLimit, now: Tick) -> bool {
        let added = now.since(self.since).saturating_mul(limit.per_tick);
        self.since = now;
        self.taken = self.taken.saturating_sub(added);
        let has_units = units <= limit.burst.saturating_sub(self.taken);
        self.taken += if has_units { units } else { 0 };
        has_units
    }

    /// Ticks since the last attempt to take units.
    pub fn age(&self, now: Tick) -> u32 {
        now.since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(bucket: &mut TokenBucket, units: u32, limit: TokenLimit, now: u32) -> usize {
        (0..1000).filter(|_| bucket.take(units, limit, Tick(now))).count()
    }

    #[test]
    fn a_burst_and_then_so_many_per_tick() {
        let (mut bucket, limit) = (TokenBucket::default(), TokenLimit { burst: 50, per_tick: 10 });
        assert_eq!(count(&mut bucket, 1, limit, 500), 50);
        assert_eq!(count(&mut bucket, 1, limit, 500), 0);
        assert_eq!(count(&mut bucket, 1, limit, 501), 10);
        assert_eq!(count(&mut bucket, 1, limit, 504), 30);
        assert_eq!(count(&mut bucket, 1, limit, 9000), 50);
    }

    #[test]
    fn units_are_taken_whole_or_not_at_all() {
        let (mut bucket, limit) = (TokenBucket::default(), TokenLimit { burst: 10, per_tick: 1 });
        assert_eq!(count(&mut bucket, 4, limit, 500), 2);
        assert_eq!(count(&mut bucket, 4, limit, 501), 0);
        assert_eq!(count(&mut bucket, 4, limit, 502), 1);
        assert_eq!(count(&mut bucket, 11, limit, 9000), 0);
    }

    #[test]
    fn no_limit_overflows() {
        let limit = TokenLimit { burst: u32::MAX, per_tick: u32::MAX };
        assert_eq!(count(&mut TokenBucket::default(), u32::MAX, limit, u32::MAX), 1);
    }

    #[test]
    fn a_bucket_s_age_is_the_time_since_its_last_use() {
        let (mut bucket, limit) = (TokenBucket::default(), TokenLimit { burst: 0, per_tick: 0 });
        assert!(!bucket.take(1, limit, Tick(500)));
        assert_eq!(bucket.age(Tick(507)), 7);
    }
}
