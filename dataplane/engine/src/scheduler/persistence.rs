//! Persistence: the backend of a client or its network within a group. A fixed set-associative table; in a full set,
//! the entry that expires first is replaced, and its client is merely scheduled again.

use crate::flow::hash::Seed;
use crate::flow::set_assoc::{EntryRef, SetAssoc};
use crate::types::id::{BackendId, GroupId};
use crate::types::tick::Tick;
use ipnet::IpNet;
use std::net::IpAddr;

/// Bits of a whole address, by address family ([`crate::ip_family::IpFamily::PLACE`]).
pub const WHOLE: [u8; 2] = [32, 128];

/// A service's persistence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persistence {
    /// Lifetime in ticks after the last request.
    pub ticks: u32,
    /// Prefix length of a network whose clients count as one, by address family.
    pub prefixes: [u8; 2],
}

impl Persistence {
    /// Persistence of single clients.
    pub fn of_clients(ticks: u32) -> Persistence {
        Persistence { ticks, prefixes: WHOLE }
    }

    /// The address that stands for the client: its own, or its network's.
    pub fn who(self, client: IpAddr) -> IpAddr {
        let prefix = self.prefixes[usize::from(client.is_ipv6())];
        IpNet::new(client, prefix).map_or(client, |net| net.network())
    }
}

/// The table of clients.
#[derive(Debug)]
pub struct PersistenceTable {
    clients: SetAssoc<(IpAddr, GroupId), Entry>,
    seed: Seed,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    backend: BackendId,
    until: Tick,
}

impl PersistenceTable {
    /// A table for about `clients` clients.
    pub fn new(clients: usize, seed: Seed) -> PersistenceTable {
        PersistenceTable { clients: SetAssoc::new(clients), seed }
    }

    /// The client's backend, if it is remembered.
    pub fn find(&self, group: GroupId, client: IpAddr, now: Tick) -> Option<BackendId> {
        let (_, entry) = self.clients.get(self.entry(group, client)?)?;
        (!entry.until.is_due(now)).then_some(entry.backend)
    }

    /// Remembers the client's backend.
    pub fn keep(
        &mut self,
        group: GroupId,
        client: IpAddr,
        backend: BackendId,
        until: Tick,
        now: Tick,
    ) {
        let left = |entry: &Entry| (!entry.until.is_due(now)).then(|| entry.until.since(now));
        let hash = self.seed.of_client(client, group.0);
        self.clients.insert(hash, (client, group), Entry { backend, until }, left);
    }

    /// Forgets the client.
    pub fn forget(&mut self, group: GroupId, client: IpAddr) {
        if let Some(entry) = self.entry(group, client) {
            self.clients.remove(entry);
        }
    }

    fn entry(&self, group: GroupId, client: IpAddr) -> Option<EntryRef> {
        self.clients.find(self.seed.of_client(client, group.0), &(client, group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Tick = Tick(100);

    fn client(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()
    }

    #[test]
    fn a_client_is_remembered_for_a_while_and_for_each_group() {
        let mut sticky = PersistenceTable::new(64, Seed([1, 2]));
        sticky.keep(GroupId(0), client(1), BackendId(7), NOW.after(10), NOW);
        assert_eq!(sticky.find(GroupId(0), client(1), NOW.after(9)), Some(BackendId(7)));
        assert_eq!(sticky.find(GroupId(0), client(1), NOW.after(10)), None);
        assert_eq!(sticky.find(GroupId(1), client(1), NOW), None);
        assert_eq!(sticky.find(GroupId(0), client(2), NOW), None);
        sticky.keep(GroupId(0), client(1), BackendId(8), NOW.after(30), NOW.after(5));
        assert_eq!(sticky.find(GroupId(0), client(1), NOW.after(20)), Some(BackendId(8)));
        sticky.forget(GroupId(1), client(1));
        assert_eq!(sticky.find(GroupId(0), client(1), NOW.after(20)), Some(BackendId(8)));
        sticky.forget(GroupId(0), client(1));
        assert_eq!(sticky.find(GroupId(0), client(1), NOW.after(20)), None);
    }

    #[test]
    fn a_network_s_clients_count_as_one() {
        let persistence = Persistence { ticks: 1, prefixes: [20, 64] };
        let who = |text: &str| persistence.who(text.parse().unwrap()).to_string();
        assert_eq!(["10.0.31.9", "fd00::1:2:3:4"].map(who), ["10.0.16.0", "fd00::"]);
        let alone = Persistence::of_clients(1);
        for client in ["10.0.31.9", "fd00::9"].map(|text| text.parse().unwrap()) {
            assert_eq!(alone.who(client), client);
        }
    }

    #[test]
    fn a_full_set_forgets_who_would_have_gone_first() {
        let mut sticky = PersistenceTable::new(1, Seed([1, 2]));
        for n in 0..5 {
            sticky.keep(GroupId(0), client(n), BackendId(n as u16), NOW.after(50 - n), NOW);
        }
        let kept: Vec<_> =
            (0..5).filter(|&n| sticky.find(GroupId(0), client(n), NOW).is_some()).collect();
        assert_eq!(kept, [0, 1, 2, 4]);
    }
}
