//! Maglev hashing (Eisenbud et al., NSDI 2016): backends fill a table of slots in turn, each by a permutation derived
//! from its own address. A key maps to the backend of its slot. Nothing is random, so that all workers, two gates, and
//! a restarted gate choose alike. Removing a backend moves few keys but its own.

use super::member::Member;
use crate::flow::hash::{Seed, mixed};
use crate::types::tftp_path::Path;
use std::collections::HashMap;
use std::iter::successors;
use std::net::IpAddr;
use std::sync::Arc;

/// Number of slots: a prime, so that every step visits all slots, and as in the paper.
const SIZE: u64 = 65_537;

/// Table lookups before all backends are tried: enough if one of ten is usable.
const PROBES: usize = 32;

/// Fixed for ever: a different seed would move all clients.
const SEED: Seed = Seed([0x7469_6465_6761_7465, 0x6d61_676c_6576_0001]);

const FREE: u16 = u16::MAX;

/// A Maglev table.
#[derive(Debug, PartialEq)]
pub struct Maglev {
    /// Backend of each slot.
    places: Vec<u16>,
    /// Hashes of the backends' addresses.
    hashes: Vec<u64>,
}

impl Maglev {
    /// The table of backends with these addresses and nonzero weights, sorted by address.
    fn new(backends: &[(IpAddr, u16)]) -> Maglev {
        let heaviest = backends.iter().map(|&(_, weight)| weight).max().unwrap_or_default();
        let mut rows: Vec<_> = backends.iter().map(|&one| Row::new(one, heaviest)).collect();
        let mut free = if rows.is_empty() { 0 } else { SIZE as usize };
        let mut places = vec![FREE; free];
        while free > 0 {
            for (backend, row) in (0..).zip(&mut rows) {
                if free > 0 && row.is_due(heaviest) {
                    row.enter(backend, &mut places);
                    free -= 1;
                }
            }
        }
        let hashes = backends.iter().map(|&(address, _)| of_address(address)).collect();
        Maglev { places, hashes }
    }

    /// The first backend for this key that `accepts`. It gets a draw that depends on key and backend only. Rejected
    /// backends lose just their own keys, which are spread over the others.
    pub fn find(&self, key: u64, accepts: impl Fn(usize, u64) -> bool) -> Option<usize> {
        let backends = self.hashes.len();
        if backends == 0 {
            return None;
        }
        let keys = successors(Some(key), |&key| Some(mixed(key))).take(PROBES);
        let probed = keys.map(|key| usize::from(self.places[(key % SIZE) as usize]));
        let first = key as usize % backends;
        let all = (first..backends).chain(0..first);
        probed.chain(all).find(|&backend| accepts(backend, key ^ self.hashes[backend]))
    }
}

/// A backend filling the table.
struct Row {
    /// Start of its permutation.
    offset: u64,
    step: u64,
    /// Position in its permutation.
    tried: u64,
    weight: u32,
    /// Accumulated weight; the backend has a turn when it reaches the heaviest weight.
    saved: u32,
}

impl Row {
    /// A new row; every backend has a turn in the first round.
    fn new((address, weight): (IpAddr, u16), heaviest: u16) -> Row {
        let hash = of_address(address);
        let (offset, step) = (hash % SIZE, mixed(hash) % (SIZE - 1) + 1);
        let saved = u32::from(heaviest - weight);
        Row { offset, step, tried: 0, weight: weight.into(), saved }
    }

    fn is_due(&mut self, heaviest: u16) -> bool {
        self.saved += self.weight;
        let due = self.saved >= heaviest.into();
        self.saved -= if due { heaviest.into() } else { 0 };
        due
    }

    /// Takes the next free slot of the permutation.
    fn enter(&mut self, backend: u16, places: &mut [u16]) {
        let mut place = self.next();
        while places[place] != FREE {
            place = self.next();
        }
        places[place] = backend;
    }

    /// Next slot of the permutation. Cubing permutes the slots, as 3 and SIZE - 1 have no common divisor. In the
    /// paper's order, without cubes, two backends with similar steps collide often, and in some farms several percent
    /// of the keys move.
    fn next(&mut self) -> usize {
        let n = self.tried;
        self.tried += 1;
        ((self.offset + n * n % SIZE * n % SIZE * self.step) % SIZE) as usize
    }
}

/// The key of an address.
pub fn of_address(address: IpAddr) -> u64 {
    SEED.of_client(address, 0)
}

/// The key of a file, equal for all spellings of its name. An invalid name is hashed as it is.
pub fn of_file(file: &[u8]) -> u64 {
    match Path::of(file) {
        Some(path) => SEED.of_bytes(path.as_bytes()),
        None => SEED.of_bytes(file),
    }
}

/// Cache of tables by their backends. Building one takes milliseconds.
#[derive(Debug, Default)]
pub struct Maglevs(HashMap<Vec<(IpAddr, u16)>, Arc<Maglev>>);

impl Maglevs {
    /// The table of these members, which are sorted by address.
    pub fn of(&mut self, members: &[Member]) -> Arc<Maglev> {
        let made_of: Vec<_> = members.iter().map(|one| (one.address, one.weight)).collect();
        let table = self.0.entry(made_of).or_insert_with_key(|made_of| Maglev::new(made_of).into());
        Arc::clone(table)
    }

    /// Drops unused tables.
    pub fn tidy(&mut self) {
        self.0.retain(|_, table| Arc::strong_count(table) > 1);
    }
}

#[cfg(test)]
mod tests;
