//! Clients that backends left without an answer. Each counts against a backend once a minute, so that a single client
//! cannot have a backend ejected. A fixed table by hash; a client pushed out by another one merely counts again.

use crate::flow::hash::{Seed, mixed};
use crate::scheduler::persistence::Persistence;
use crate::types::id::BackendId;
use crate::types::tick::{PER_SECOND, Tick};
use std::net::IpAddr;

/// Number of entries.
const ROOM: usize = 4096;

/// Ticks during which a client counts only once.
const ONCE: u32 = 60 * PER_SECOND;

/// An IPv6 client counts as its /64 network.
const ONE: Persistence = Persistence { ticks: ONCE, prefixes: [32, 64] };

/// The table of clients.
#[derive(Debug)]
pub struct Silences {
    entries: Box<[Entry]>,
    seed: Seed,
}

/// A client and a backend.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Hash of client and backend; 0: empty.
    mark: u64,
    since: Tick,
}

impl Silences {
    /// An empty table.
    pub fn new(seed: Seed) -> Silences {
        let none = Entry { mark: 0, since: Tick(0) };
        Silences { entries: vec![none; ROOM].into(), seed }
    }

    /// Notes that the backend left the client without an answer. Returns whether it counts.
    pub fn note(&mut self, backend: BackendId, client: IpAddr, now: Tick) -> bool {
        let mark = mixed(self.seed.of_client(ONE.who(client), backend.0)) | 1;
        let entry = &mut self.entries[(mark >> 32) as usize % ROOM];
        let counts = entry.mark != mark || now.since(entry.since) >= ONCE;
        if counts {
            *entry = Entry { mark, since: now };
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_counts_once_a_minute_against_each_backend() {
        let mut silences = Silences::new(Seed([1, 2]));
        let now = Tick(100);
        let mut note = |backend, client: &str, now| {
            silences.note(backend, client.parse().expect("an address"), now)
        };
        for (backend, client) in [(0, "10.0.0.1"), (0, "10.0.0.2"), (1, "10.0.0.1")] {
            assert!(note(BackendId(backend), client, now));
            assert!(!note(BackendId(backend), client, now.after(ONCE - 1)));
        }
        assert!(note(BackendId(0), "10.0.0.1", now.after(ONCE)));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_client() {
        let mut silences = Silences::new(Seed([1, 2]));
        let mut note =
            |client: &str| silences.note(BackendId(0), client.parse().expect("one"), Tick(100));
        assert!(note("fd00::1") && !note("fd00::2") && note("fd00:0:0:1::1"));
    }
}
