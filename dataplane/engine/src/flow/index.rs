//! From hash to flow: buckets of one cache line, two of them for every hash. It never grows; when
//! both buckets are full and none of their entries can move to its other bucket, insertion fails.
//!
//! ```text
//!  | tag x 8 (32 bytes)          | flow x 8 (32 bytes)         |   one bucket
//! ```

/// A flow's place in the table.
pub type FlowId = u32;

/// The mark of an empty place.
const EMPTY: FlowId = FlowId::MAX;
const WAYS: usize = 8;

#[derive(Clone)]
#[repr(C, align(64))]
struct Bucket {
    tags: [u32; WAYS],
    flows: [FlowId; WAYS],
}

pub struct Index {
    buckets: Box<[Bucket]>,
}

impl Index {
    /// Room for `entries`, at most four fifths full: there, hardly any bucket is full.
    pub fn new(entries: usize) -> Index {
        let buckets = (entries * 5 / 4).div_ceil(WAYS).next_power_of_two();
        Index { buckets: vec![Bucket { tags: [0; WAYS], flows: [EMPTY; WAYS] }; buckets].into() }
    }

    /// The flow with this hash that `is_it` confirms.
    pub fn find(&self, hash: u64, is_it: impl Fn(FlowId) -> bool) -> Option<FlowId> {
        let tag = tag(hash);
        self.places(hash).into_iter().find_map(|place| {
            let bucket = &self.buckets[place];
            (0..WAYS)
                .filter(|&way| bucket.tags[way] == tag && bucket.flows[way] != EMPTY)
                .map(|way| bucket.flows[way])
                .find(|&flow| is_it(flow))
        })
    }

    /// Enters a flow; answers false when there is no place for it.
    #[must_use]
    pub fn insert(&mut self, hash: u64, flow: FlowId) -> bool {
        let [first, second] = self.places(hash);
        let place = if self.taken(first) <= self.taken(second) { first } else { second };
        let entry = (tag(hash), flow);
        self.put(place, entry)
            || self.make_room(first).is_some_and(|()| self.put(first, entry))
            || self.make_room(second).is_some_and(|()| self.put(second, entry))
    }

    /// Takes a flow out that was entered with this hash.
    pub fn remove(&mut self, hash: u64, flow: FlowId) {
        for place in self.places(hash) {
            let bucket = &mut self.buckets[place];
            // A flow is entered under two keys, which may share a bucket.
            let here = |&way: &usize| bucket.flows[way] == flow && bucket.tags[way] == tag(hash);
            if let Some(way) = (0..WAYS).find(here) {
                bucket.flows[way] = EMPTY;
                return;
            }
        }
    }

    fn put(&mut self, place: usize, (tag, flow): (u32, FlowId)) -> bool {
        let bucket = &mut self.buckets[place];
        let Some(way) = bucket.flows.iter().position(|&flow| flow == EMPTY) else { return false };
        bucket.tags[way] = tag;
        bucket.flows[way] = flow;
        true
    }

    /// Moves one entry of a full bucket to its other one.
    fn make_room(&mut self, place: usize) -> Option<()> {
        let Bucket { tags, flows } = self.buckets[place].clone();
        let way = (0..WAYS)
            .find(|&way| self.put(self.other(place, tags[way]), (tags[way], flows[way])))?;
        self.buckets[place].flows[way] = EMPTY;
        Some(())
    }

    fn places(&self, hash: u64) -> [usize; 2] {
        let first = hash as usize & (self.buckets.len() - 1);
        [first, self.other(first, tag(hash))]
    }

    /// The other bucket of an entry; of that one, it is this one again.
    fn other(&self, place: usize, tag: u32) -> usize {
        // Odd, so that the two differ whenever there are two buckets.
        let apart = (u64::from(tag).wrapping_mul(0x5bd1_e995) >> 16) as usize | 1;
        (place ^ apart) & (self.buckets.len() - 1)
    }

    fn taken(&self, place: usize) -> usize {
        self.buckets[place].flows.iter().filter(|&&flow| flow != EMPTY).count()
    }
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::key::{Key, Seed};
    use std::net::Ipv4Addr;

    fn hash(n: u32) -> u64 {
        Seed([3, 4]).hash(Key::of_client(Ipv4Addr::from_bits(n), 0))
    }

    #[test]
    fn a_bucket_is_a_cache_line() {
        assert_eq!(size_of::<Bucket>(), 64);
    }

    #[test]
    fn it_takes_all_it_was_made_for_and_finds_each() {
        for entries in [1u32, 7, 1000, 52_428, 100_000] {
            let mut index = Index::new(entries as usize);
            for n in 0..entries {
                assert!(index.insert(hash(n), n), "{n} of {entries}");
            }
            for n in 0..entries {
                assert_eq!(index.find(hash(n), |flow| flow == n), Some(n));
            }
            for n in 0..entries {
                index.remove(hash(n), n);
                assert_eq!(index.find(hash(n), |flow| flow == n), None);
            }
        }
    }

    #[test]
    fn full_buckets_refuse_and_keep_what_they_have() {
        let mut index = Index::new(1);
        let taken = (0..100).take_while(|&n| index.insert(7, n)).count() as u32;
        assert!(taken >= 8, "{taken}");
        assert_eq!(index.find(7, |flow| flow == taken - 1), Some(taken - 1));
        assert_eq!(index.find(7, |flow| flow == taken), None);
    }

    #[test]
    fn two_keys_of_one_flow_can_share_a_bucket() {
        let mut index = Index::new(4);
        let (one, other) = (1, 2u64 << 32 | 1);
        assert!(index.insert(one, 5) && index.insert(other, 5));
        index.remove(other, 5);
        assert_eq!(index.find(one, |_| true), Some(5));
        assert_eq!(index.find(other, |_| true), None);
    }
}
