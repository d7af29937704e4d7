//! Request rate of each client: a token bucket per client of a rate-limited service. A fixed set-associative table; in
//! a full set, the client with the oldest request is forgotten, which favours that client.

use crate::flow::hash::Seed;
use crate::flow::set_assoc::SetAssoc;
use crate::types::id::ServiceId;
use crate::types::tick::{PER_SECOND, Tick};
use crate::types::token_bucket::{TokenBucket, TokenLimit};
use std::cmp::Reverse;
use std::net::IpAddr;

/// Units of a token, as many as a minute has ticks: a limit per minute is then one of units per tick.
const TOKEN: u32 = 60 * PER_SECOND;

/// The table of clients.
#[derive(Debug)]
pub struct RateLimits {
    buckets: SetAssoc<(IpAddr, ServiceId), TokenBucket>,
    seed: Seed,
}

impl RateLimits {
    /// A table for about `clients` clients.
    pub fn new(clients: usize, seed: Seed) -> RateLimits {
        RateLimits { buckets: SetAssoc::new(clients), seed }
    }

    /// Takes a token of the client, which gets `per_minute` tokens per minute and can save as many. Returns false if
    /// none is left.
    pub fn allows(
        &mut self,
        service: ServiceId,
        client: IpAddr,
        per_minute: u16,
        now: Tick,
    ) -> bool {
        let (key, hash) = ((client, service), self.seed.of_client(client, service.0));
        let entry = self.buckets.find(hash, &key).unwrap_or_else(|| {
            let oldest_first = |bucket: &TokenBucket| Reverse(bucket.age(now));
            self.buckets.insert(hash, key, TokenBucket::default(), oldest_first)
        });
        let per_tick = per_minute.into();
        let limit = TokenLimit { burst: per_tick * TOKEN, per_tick };
        self.buckets.get_mut(entry).is_none_or(|bucket| bucket.take(TOKEN, limit, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()
    }

    #[test]
    fn so_many_at_once_and_so_many_a_minute() {
        let mut rates = RateLimits::new(64, Seed([1, 2]));
        let mut count =
            |now| (0..100).filter(|_| rates.allows(ServiceId(0), client(1), 20, Tick(now))).count();
        assert_eq!(count(1000), 20);
        assert_eq!(count(1000), 0);
        // One token each three seconds.
        assert_eq!(count(1029), 0);
        assert_eq!(count(1030), 1);
        assert_eq!(count(1090), 2);
        assert_eq!(count(9000), 20);
    }

    #[test]
    fn each_client_and_each_service_for_itself() {
        let mut rates = RateLimits::new(64, Seed([1, 2]));
        for (service, n) in [(0, 1), (0, 2), (1, 1)] {
            assert!(rates.allows(ServiceId(service), client(n), 1, Tick(5)));
            assert!(!rates.allows(ServiceId(service), client(n), 1, Tick(5)));
        }
    }

    #[test]
    fn a_full_set_forgets_who_asked_longest_ago() {
        let mut rates = RateLimits::new(1, Seed([1, 2]));
        for n in 0..5 {
            assert!(rates.allows(ServiceId(0), client(n), 1, Tick(n)));
        }
        assert!(!rates.allows(ServiceId(0), client(4), 1, Tick(5)));
        assert!(rates.allows(ServiceId(0), client(0), 1, Tick(5)));
    }
}
