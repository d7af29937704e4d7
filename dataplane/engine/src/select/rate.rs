//! How often a client asks: a bucket of tokens for each, of a service that counts them. A fixed table of
//! small sets; when a set is full, the client that has asked longest ago is forgotten, which does it a favour.

use crate::flow::key::Seed;
use crate::tables::ServiceId;
use crate::tick::{PER_SECOND, Tick};
use std::net::IpAddr;

const WAYS: usize = 4;
const MINUTE: u32 = 60 * PER_SECOND;

/// The table.
#[derive(Debug)]
pub struct Rates {
    sets: Box<[[Option<Bucket>; WAYS]]>,
    seed: Seed,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    client: IpAddr,
    service: ServiceId,
    /// Tokens taken and not given back, in parts of a token, of which there are as many as ticks in a
    /// minute.
    taken: u32,
    since: Tick,
}

impl Rates {
    /// Room for about `clients`.
    pub fn new(clients: usize, seed: Seed) -> Rates {
        let sets = clients.div_ceil(WAYS).next_power_of_two();
        Rates { sets: vec![[None; WAYS]; sets].into(), seed }
    }

    /// Takes a token of this client's, who gets `per_minute` of them in a minute and has no more than that.
    /// Answers false when none is left.
    pub fn allows(
        &mut self,
        service: ServiceId,
        client: IpAddr,
        per_minute: u16,
        now: Tick,
    ) -> bool {
        let place = self.seed.of_client(client, service) as usize & (self.sets.len() - 1);
        let set = &mut self.sets[place];
        let of_client = |bucket: &Option<Bucket>| {
            bucket.is_some_and(|bucket| bucket.client == client && bucket.service == service)
        };
        let age = |bucket: Option<Bucket>| bucket.map_or(u32::MAX, |one| now.since(one.since));
        let way = set.iter().position(of_client).unwrap_or_else(|| {
            let oldest = (0..WAYS).max_by_key(|&way| age(set[way])).unwrap_or_default();
            set[oldest] = Some(Bucket { client, service, taken: 0, since: now });
            oldest
        });
        let Some(bucket) = &mut set[way] else { return true };
        let given = now.since(bucket.since).saturating_mul(per_minute.into());
        bucket.taken = bucket.taken.saturating_sub(given);
        bucket.since = now;
        let allowed = bucket.taken + MINUTE <= u32::from(per_minute) * MINUTE;
        bucket.taken += if allowed { MINUTE } else { 0 };
        allowed
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
        let mut rates = Rates::new(64, Seed([1, 2]));
        let mut count =
            |now| (0..100).filter(|_| rates.allows(0, client(1), 20, Tick(now))).count();
        assert_eq!(count(1000), 20);
        assert_eq!(count(1000), 0);
        // Three seconds for each.
        assert_eq!(count(1029), 0);
        assert_eq!(count(1030), 1);
        assert_eq!(count(1090), 2);
        assert_eq!(count(9000), 20);
    }

    #[test]
    fn each_client_and_each_service_for_itself() {
        let mut rates = Rates::new(64, Seed([1, 2]));
        for (service, n) in [(0, 1), (0, 2), (1, 1)] {
            assert!(rates.allows(service, client(n), 1, Tick(5)));
            assert!(!rates.allows(service, client(n), 1, Tick(5)));
        }
    }

    #[test]
    fn a_full_set_forgets_who_asked_longest_ago() {
        let mut rates = Rates::new(1, Seed([1, 2]));
        for n in 0..5 {
            assert!(rates.allows(0, client(n), 1, Tick(n)));
        }
        assert!(!rates.allows(0, client(4), 1, Tick(5)));
        assert!(rates.allows(0, client(0), 1, Tick(5)));
    }
}
