//! Index from hash to flow: a cuckoo table with buckets of one cache line, two for each hash. It never grows; when both
//! buckets are full, entries move to their other buckets, which may require further moves.
//!
//! ```text
//!  | tag x 8 (32 bytes)          | flow x 8 (32 bytes)         |   one bucket
//! ```

use prefetch_index::prefetch_index;

/// Index of a flow in its table.
pub type FlowId = u32;

/// No flow.
pub const NO_FLOW: FlowId = FlowId::MAX;
/// The tag of an empty slot; tags of hashes are odd.
const EMPTY: u32 = 0;
const WAYS: usize = 8;

/// Most entries that move to make room for one. With a single move, one of ten processes refuses a flow before its
/// table is full, the earliest at a fill of 60 %.
const MOVES: usize = 3;
/// Additional buckets: in small tables chance weighs more.
const SPARE: usize = 64;

#[derive(Debug, Clone)]
#[repr(C, align(64))]
struct Bucket {
    tags: [u32; WAYS],
    /// Flow ids plus one; 0: empty.
    flows: [u32; WAYS],
}

/// The first bucket and the tag of a hash.
#[derive(Debug, Clone, Copy)]
pub struct BucketRef {
    bucket: u32,
    tag: u32,
}

#[derive(Debug)]
pub struct Index {
    buckets: Box<[Bucket]>,
}

impl Index {
    /// An index for `entries` entries, at most five sixths full: then hardly any pair of buckets is full.
    pub fn new(entries: usize) -> Index {
        let buckets = (entries * 6 / 5).div_ceil(WAYS) + SPARE;
        let empty = Bucket { tags: [EMPTY; WAYS], flows: [0; WAYS] };
        Index { buckets: vec![empty; buckets].into() }
    }

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// Computes the first bucket of a hash and prefetches it.
    #[inline]
    pub fn locate(&self, hash: u64) -> BucketRef {
        let first = self.first(hash);
        prefetch_index(&self.buckets, first);
        BucketRef { bucket: first as u32, tag: tag(hash) }
    }

    /// The most likely flow for a hash, or [`NO_FLOW`]. If two entries have the tag, the result is arbitrary. The
    /// caller verifies it, and otherwise uses [`Index::find`].
    #[inline(always)]
    pub fn candidate(&self, BucketRef { bucket, tag }: BucketRef) -> FlowId {
        let first = bucket as usize;
        match self.buckets[first].one_with(tag) {
            NO_FLOW => self.buckets[self.other(first, tag)].one_with(tag),
            flow => flow,
        }
    }

    /// The flow with this hash that `has_flow` accepts.
    pub fn find(&self, hash: u64, has_flow: impl Fn(FlowId) -> bool) -> Option<FlowId> {
        let tag = tag(hash);
        self.places(hash).into_iter().find_map(|place| {
            let bucket = &self.buckets[place];
            (0..WAYS)
                .filter(|&way| bucket.tags[way] == tag)
                .map(|way| bucket.flows[way] - 1)
                .find(|&flow| has_flow(flow))
        })
    }

    /// Enters a flow. Returns false if there is no room.
    #[must_use]
    pub fn insert(&mut self, hash: u64, flow: FlowId) -> bool {
        let [first, second] = self.places(hash);
        let entry = (tag(hash), flow + 1);
        // Most flows are found in their first bucket, and the second one is never loaded.
        self.buckets[first].put(entry)
            || self.buckets[second].put(entry)
            || self.make_room(first, MOVES) && self.buckets[first].put(entry)
            || self.make_room(second, MOVES) && self.buckets[second].put(entry)
    }

    /// Removes a flow that was entered under this hash.
    pub fn remove(&mut self, hash: u64, flow: FlowId) {
        for place in self.places(hash) {
            let bucket = &mut self.buckets[place];
            // A flow has two keys, which may share a bucket.
            let has_flow =
                |&way: &usize| bucket.flows[way] == flow + 1 && bucket.tags[way] == tag(hash);
            if let Some(way) = (0..WAYS).find(has_flow) {
                bucket.tags[way] = EMPTY;
                bucket.flows[way] = 0;
                return;
            }
        }
    }

    /// Makes room in a full bucket with at most `moves` moves. Returns whether there is room.
    fn make_room(&mut self, place: usize, moves: usize) -> bool {
        (0..WAYS).any(|way| self.move_out(place, way))
            || moves > 1
                && (0..WAYS).any(|way| {
                    let other = self.other(place, self.buckets[place].tags[way]);
                    other != place && self.make_room(other, moves - 1) && self.move_out(place, way)
                })
    }

    /// Moves an entry to its other bucket, if there is room. Returns whether its slot is empty.
    fn move_out(&mut self, place: usize, way: usize) -> bool {
        let Bucket { tags, flows } = &self.buckets[place];
        let entry = (tags[way], flows[way]);
        // The moves before may have moved this entry.
        if entry.0 == EMPTY {
            return true;
        }
        let other = self.other(place, entry.0);
        if other == place || !self.buckets[other].put(entry) {
            return false;
        }
        self.buckets[place].tags[way] = EMPTY;
        self.buckets[place].flows[way] = 0;
        true
    }

    fn places(&self, hash: u64) -> [usize; 2] {
        let first = self.first(hash);
        [first, self.other(first, tag(hash))]
    }

    #[inline]
    fn first(&self, hash: u64) -> usize {
        self.scaled((hash >> 32) as u32)
    }

    /// The other bucket of an entry. Applied twice, it gives the first one.
    #[inline]
    fn other(&self, place: usize, tag: u32) -> usize {
        let sum = self.scaled(tag.wrapping_mul(0x5bd1_e995));
        if sum >= place { sum - place } else { sum + self.buckets.len() - place }
    }

    /// Scales a 32-bit number to a bucket index.
    #[inline]
    fn scaled(&self, number: u32) -> usize {
        ((u64::from(number) * self.buckets.len() as u64) >> 32) as usize
    }
}

impl Bucket {
    /// The flow with this tag. All tags are compared without branches: the matching slot is unpredictable, and a
    /// misprediction costs more than the comparisons.
    #[inline(always)]
    fn one_with(&self, tag: u32) -> FlowId {
        let flow = (0..WAYS)
            .fold(0, |flow, way| flow | if self.tags[way] == tag { self.flows[way] } else { 0 });
        flow.wrapping_sub(1)
    }

    fn put(&mut self, (tag, flow): (u32, FlowId)) -> bool {
        let Some(way) = self.tags.iter().position(|&tag| tag == EMPTY) else { return false };
        self.tags[way] = tag;
        self.flows[way] = flow;
        true
    }
}

#[inline]
fn tag(hash: u64) -> u32 {
    hash as u32 | 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::endpoint::{Endpoint, HostId};
    use crate::flow::hash::{Seed, mixed};
    use crate::flow::key::Key;
    use crate::flow::tuple::Tuple;
    use crate::types::direction::KeyKind;
    use crate::types::id::{ServerId, VipId};

    fn hash(n: u32) -> u64 {
        let endpoint = Endpoint { host: HostId::from_bits(n), port: 1 };
        Seed([3, 4]).hash(KeyKind::Client, Key::new(endpoint, 0))
    }

    #[test]
    fn a_bucket_is_a_cache_line() {
        assert_eq!(size_of::<Bucket>(), 64);
    }

    #[test]
    #[cfg_attr(miri, ignore = "too many rows for an interpreter")]
    fn it_takes_all_it_was_made_for_and_finds_each() {
        for entries in [1u32, 7, 1000, 52_428, 100_000] {
            let mut index = Index::new(entries as usize);
            for n in 0..entries {
                assert!(index.insert(hash(n), n), "{n} of {entries}");
            }
            for n in 0..entries {
                assert_eq!(index.find(hash(n), |flow| flow == n), Some(n));
                assert_ne!(index.candidate(index.locate(hash(n))), NO_FLOW);
            }
            for n in 0..entries {
                index.remove(hash(n), n);
                assert_eq!(index.find(hash(n), |flow| flow == n), None);
            }
        }
    }

    /// Clients' ports and SNAT ports are sequential, so such keys are not spread like random ones.
    #[test]
    #[cfg_attr(miri, ignore = "too many rows for an interpreter")]
    fn a_full_table_takes_all_connections_of_a_few_clients() {
        const ROWS: u32 = 16_384;
        for n in 0..60u64 {
            let seed = Seed([2 * n, 2 * n + 1].map(mixed));
            let (mut tuples, mut keys) = (Index::new(2 * ROWS as usize), Index::new(ROWS as usize));
            for row in 0..ROWS {
                let client = endpoint(0x0a4d_0002 + row / 8192, 1024 + 2 * (row % 8192));
                let ours = endpoint(0x0a4d_0005, 1024 + row);
                for tuple in [
                    Tuple::at_vip(client, VipId(3), 21, 6),
                    Tuple::at_server(ours, ServerId(5), 21, 6),
                ] {
                    assert!(tuples.insert(seed.of_tuple(&tuple), row), "{row} of {seed:?}");
                }
                let key = Key::new(client, 3);
                assert!(keys.insert(seed.hash(KeyKind::Client, key), row), "{row} of {seed:?}");
            }
        }
    }

    /// Closed rows stay until their rows are needed, so a busy table is full of them: 600 FTP sessions of one client
    /// fill it with data connections, and each further SYN evicts the oldest. With a single move, these SYNs were
    /// refused while others were accepted.
    #[test]
    #[cfg_attr(miri, ignore = "too many rows for an interpreter")]
    fn a_table_full_of_closed_rows_takes_the_next_one() {
        const ROWS: u32 = 65_536;
        for (n, first, step, is_pool) in [(2u64, 1224, 1, false), (45, 1324, 2, true)] {
            let seed = Seed([2 * n, 2 * n + 1].map(mixed));
            let hashes = |row: u32| {
                let ports = (65_535 - first) / step;
                let client = endpoint(0x0a4d_000a + row / ports, first + step * (row % ports));
                let ours = endpoint(0x0a4d_0005 + row / 64_512, 1024 + row % 64_512);
                let seen_as = if is_pool { ours } else { client };
                let server = 5 + u16::from(is_pool) * (row % 2) as u16;
                [
                    Tuple::at_vip(client, VipId(3), 21, 6),
                    Tuple::at_server(seen_as, ServerId(server), 21, 6),
                ]
                .map(|tuple| seed.of_tuple(&tuple))
            };
            let mut index = Index::new(2 * ROWS as usize);
            for row in 0..2 * ROWS {
                if let Some(oldest) = row.checked_sub(ROWS) {
                    hashes(oldest).into_iter().for_each(|hash| index.remove(hash, oldest));
                }
                let is_in = hashes(row).map(|hash| index.insert(hash, row));
                assert_eq!(is_in, [true; 2], "{row} of {seed:?}");
            }
        }
    }

    fn endpoint(host: u32, port: u32) -> Endpoint {
        Endpoint { host: HostId::from_bits(host), port: port as u16 }
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
        let (one, other) = (1, 3);
        assert!(index.insert(one, 5) && index.insert(other, 5));
        index.remove(other, 5);
        assert_eq!(index.find(one, |_| true), Some(5));
        assert_eq!(index.find(other, |_| true), None);
    }
}
