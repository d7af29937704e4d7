//! Maglev hashing (Eisenbud et al., NSDI 2016): a table of places, which the backends fill in turn, each in an
//! order made of its own address. A key goes to whoever has its place. Nothing random is in it, so all
//! workers, two gates, and one gate before and after a restart choose alike. When a backend is taken out, few
//! keys move but its own.

use super::rota::Member;
use crate::flow::key::{Seed, mixed};
use crate::policy::Path;
use std::collections::HashMap;
use std::iter::successors;
use std::net::IpAddr;
use std::sync::Arc;

/// Places: a prime, so that any step leads through all of them, and as many as in the paper.
const SIZE: u64 = 65_537;

/// Looks at the table before all backends are gone through: enough for one usable of ten.
const PROBES: usize = 32;

/// Fixed for all times: with another one, all clients would move.
const SEED: Seed = Seed([0x7469_6465_6761_7465, 0x6d61_676c_6576_0001]);

const FREE: u16 = u16::MAX;

/// The table.
#[derive(Debug, PartialEq)]
pub struct Maglev {
    /// Whose each place is.
    places: Vec<u16>,
    /// Of the backends' addresses.
    hashes: Vec<u64>,
}

impl Maglev {
    /// The table of backends with these addresses and weights, none of which is 0; in the addresses' order.
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

    /// The first backend for this key that is accepted, with a number for each that is the same at all times. Those
    /// that are not accepted only lose their own keys, which are spread over all others.
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

/// A backend that fills the table.
struct Row {
    /// Of its order.
    offset: u64,
    step: u64,
    /// Where it stands in it.
    tried: u64,
    weight: u32,
    /// It has a turn when it has saved as much as the heaviest backend weighs.
    saved: u32,
}

impl Row {
    /// Everybody has a turn in the first round.
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

    /// Takes the next free place in its order.
    fn enter(&mut self, backend: u16, places: &mut [u16]) {
        let mut place = self.next();
        while places[place] != FREE {
            place = self.next();
        }
        places[place] = backend;
    }

    /// All places, one after the other: 3 and SIZE - 1 have no divisor in common, so the cubes are all numbers
    /// too. In the paper's order, without them, two backends with like steps stay in each other's way, and with
    /// some farms several percent of the keys move.
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

/// The key of a file: the same for each spelling of its name. What is no file's name is taken as it is.
pub fn of_file(file: &[u8]) -> u64 {
    match Path::of(file) {
        Some(path) => SEED.of_bytes(path.as_bytes()),
        None => SEED.of_bytes(file),
    }
}

/// Tables by what they were made of. It takes milliseconds to make one.
#[derive(Debug, Default)]
pub struct Maglevs(HashMap<Vec<(IpAddr, u16)>, Arc<Maglev>>);

impl Maglevs {
    /// The table of these, which are in their addresses' order.
    pub fn of(&mut self, members: &[Member]) -> Arc<Maglev> {
        let made_of: Vec<_> = members.iter().map(|one| (one.address, one.weight)).collect();
        let table = self.0.entry(made_of).or_insert_with_key(|made_of| Maglev::new(made_of).into());
        Arc::clone(table)
    }

    /// Forgets those that nobody uses.
    pub fn tidy(&mut self) {
        self.0.retain(|_, table| Arc::strong_count(table) > 1);
    }
}

#[cfg(test)]
mod tests;
