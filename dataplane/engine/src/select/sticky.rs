//! Persistence: which of a rota's backends a client, or its network, went to. A fixed table of small sets; when a set is full,
//! the entry that would end first makes room, and its client is merely scheduled anew.

use crate::flow::key::Seed;
use crate::tables::{BackendId, RotaId};
use crate::tick::Tick;
use ipnet::IpNet;
use std::net::IpAddr;

const WAYS: usize = 4;

/// Bits of a whole address, by its version of IP ([`crate::family::Family::PLACE`]).
pub const WHOLE: [u8; 2] = [32, 128];

/// Who stays with a backend, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persistence {
    /// Ticks after its last request.
    pub ticks: u32,
    /// All clients that have so many bits of their addresses in common count as one: by their version of IP.
    pub prefixes: [u8; 2],
}

impl Persistence {
    /// Each client by itself.
    pub fn of_clients(ticks: u32) -> Persistence {
        Persistence { ticks, prefixes: WHOLE }
    }

    /// What stands for all clients that count as one with this one.
    pub fn who(self, client: IpAddr) -> IpAddr {
        let prefix = self.prefixes[usize::from(client.is_ipv6())];
        IpNet::new(client, prefix).map_or(client, |net| net.network())
    }
}

/// The table.
#[derive(Debug)]
pub struct Sticky {
    sets: Box<[[Option<Entry>; WAYS]]>,
    seed: Seed,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    client: IpAddr,
    rota: RotaId,
    backend: BackendId,
    until: Tick,
}

impl Sticky {
    /// Room for about `clients`.
    pub fn new(clients: usize, seed: Seed) -> Sticky {
        let sets = clients.div_ceil(WAYS).next_power_of_two();
        Sticky { sets: vec![[None; WAYS]; sets].into(), seed }
    }

    /// Where the client belongs, if it was there a short while ago.
    pub fn find(&self, rota: RotaId, client: IpAddr, now: Tick) -> Option<BackendId> {
        let of_client = |entry: &&Entry| entry.client == client && entry.rota == rota;
        let entry = self.sets[self.place(rota, client)].iter().flatten().find(of_client)?;
        (!entry.until.is_due(now)).then_some(entry.backend)
    }

    /// The client belongs to this backend until then.
    pub fn keep(
        &mut self,
        rota: RotaId,
        client: IpAddr,
        backend: BackendId,
        until: Tick,
        now: Tick,
    ) {
        let set = &mut self.sets[self.place(rota, client)];
        let same = |e: &Option<Entry>| e.is_some_and(|e| e.client == client && e.rota == rota);
        let left = |entry: Option<Entry>| {
            entry
                .filter(|entry| !entry.until.is_due(now))
                .map_or(0, |entry| entry.until.since(now) + 1)
        };
        let way = set.iter().position(same).or_else(|| (0..WAYS).min_by_key(|&way| left(set[way])));
        set[way.unwrap_or(0)] = Some(Entry { client, rota, backend, until });
    }

    /// The client belongs nowhere.
    pub fn forget(&mut self, rota: RotaId, client: IpAddr) {
        let of_client = |entry: &mut Entry| entry.client == client && entry.rota == rota;
        for entry in &mut self.sets[self.place(rota, client)] {
            entry.take_if(of_client);
        }
    }

    fn place(&self, rota: RotaId, client: IpAddr) -> usize {
        self.seed.of_client(client, rota) as usize & (self.sets.len() - 1)
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
    fn a_client_is_remembered_for_a_while_and_for_each_rota() {
        let mut sticky = Sticky::new(64, Seed([1, 2]));
        sticky.keep(0, client(1), 7, NOW.after(10), NOW);
        assert_eq!(sticky.find(0, client(1), NOW.after(9)), Some(7));
        assert_eq!(sticky.find(0, client(1), NOW.after(10)), None);
        assert_eq!(sticky.find(1, client(1), NOW), None);
        assert_eq!(sticky.find(0, client(2), NOW), None);
        sticky.keep(0, client(1), 8, NOW.after(30), NOW.after(5));
        assert_eq!(sticky.find(0, client(1), NOW.after(20)), Some(8));
        sticky.forget(1, client(1));
        assert_eq!(sticky.find(0, client(1), NOW.after(20)), Some(8));
        sticky.forget(0, client(1));
        assert_eq!(sticky.find(0, client(1), NOW.after(20)), None);
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
        let mut sticky = Sticky::new(1, Seed([1, 2]));
        for n in 0..5 {
            sticky.keep(0, client(n), n as BackendId, NOW.after(50 - n), NOW);
        }
        let kept: Vec<_> = (0..5).filter(|&n| sticky.find(0, client(n), NOW).is_some()).collect();
        assert_eq!(kept, [0, 1, 2, 4]);
    }
}
