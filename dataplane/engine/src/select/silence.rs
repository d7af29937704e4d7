//! Clients that backends left without an answer. Each counts once a minute against a backend, so that one alone can't
//! bring it into disrepute. A fixed table by hash; a client that another one has pushed out merely counts again.

use crate::flow::key::{Seed, mixed};
use crate::select::sticky::Persistence;
use crate::tables::BackendId;
use crate::tick::{PER_SECOND, Tick};
use std::net::IpAddr;

/// Clients that are remembered.
const ROOM: usize = 4096;

/// Ticks for which one counts no second time.
const ONCE: u32 = 60 * PER_SECOND;

/// Whoever has an IPv6 address has its whole network of 64 bits.
const ONE: Persistence = Persistence { ticks: ONCE, prefixes: [32, 64] };

/// The table.
#[derive(Debug)]
pub struct Silences {
    entries: Box<[Entry]>,
    seed: Seed,
}

/// A client and a backend.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Both of them; 0 for none.
    mark: u64,
    since: Tick,
}

impl Silences {
    /// Nobody yet.
    pub fn new(seed: Seed) -> Silences {
        let none = Entry { mark: 0, since: Tick(0) };
        Silences { entries: vec![none; ROOM].into(), seed }
    }

    /// The backend left this client without an answer. Answers whether that counts.
    pub fn note(&mut self, backend: BackendId, client: IpAddr, now: Tick) -> bool {
        let mark = mixed(self.seed.of_client(ONE.who(client), backend)) | 1;
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
            assert!(note(backend, client, now));
            assert!(!note(backend, client, now.after(ONCE - 1)));
        }
        assert!(note(0, "10.0.0.1", now.after(ONCE)));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_client() {
        let mut silences = Silences::new(Seed([1, 2]));
        let mut note = |client: &str| silences.note(0, client.parse().expect("one"), Tick(100));
        assert!(note("fd00::1") && !note("fd00::2") && note("fd00:0:0:1::1"));
    }
}
