//! The worker that owns a client, by the same function as a network card's RSS.
//!
//! RSS computes the Toeplitz hash of source and destination address: for each set bit, 32 bits of the key starting
//! there, all combined by XOR. The lowest bits of the hash select an entry of the indirection table. A client is the
//! source of some packets and the destination of others. With a key that is zero almost everywhere, the lowest seven
//! bits of the hash depend on one of the two addresses only, whatever the other one and the ports are: with [`key`], on
//! the client's. Of an IPv6 client, the first and the last 32 bits count. Where a client is the destination over IPv6,
//! no key serves both address families; those frames are handed over in software.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that selects the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steer {
    /// The source address: on interfaces where clients send to VIPs.
    BySource,
    /// The destination address: on interfaces with servers only, which answer their clients.
    ByDestination,
}

/// Entries of the indirection table; larger tables repeat them.
pub const ENTRIES: u16 = 128;

/// Bits 31 to 56 of the key, where no other address reaches the lowest seven bits of the hash. The last bit is set, so
/// that neighbouring addresses differ in the lowest bits.
const CORE: u32 = 0b10_1101_1011_0100_0111_0010_1011;
const CORE_AT: usize = 31;
const CORE_BITS: usize = 26;

/// The RSS key of `len` bytes for this steering.
pub fn key(steer: Steer, len: usize) -> Vec<u8> {
    let cores: &[usize] = match steer {
        // The second offset is beyond the bytes hashed for IPv4.
        Steer::BySource => &[CORE_AT, CORE_AT + 96],
        Steer::ByDestination => &[CORE_AT + 32],
    };
    let mut key = vec![0; len];
    for core in cores {
        for bit in (0..CORE_BITS).filter(|bit| CORE >> (CORE_BITS - 1 - bit) & 1 == 1) {
            if let Some(byte) = key.get_mut((core + bit) / 8) {
                *byte |= 0x80 >> ((core + bit) % 8);
            }
        }
    }
    key
}

/// The queue at an entry of the indirection table.
pub fn queue(entry: u16, queues: u16) -> u16 {
    (u32::from(entry % ENTRIES) * u32::from(queues) / u32::from(ENTRIES)) as u16
}

/// The entry of the indirection table that a client's address selects. What is shared out by entry, as SNAT ports are,
/// goes with the client to any number of workers. Only the address counts: ports change during a transfer, fragments
/// have none, and packets of servers do not name the VIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RssEntry(u16);

impl RssEntry {
    /// The entry of a client.
    #[inline]
    pub fn of(client: IpAddr) -> RssEntry {
        match client {
            IpAddr::V4(client) => RssEntry::of_v4(client),
            IpAddr::V6(client) => RssEntry::of_v6(client),
        }
    }

    /// The entry of an IPv4 client.
    #[inline]
    fn of_v4(client: Ipv4Addr) -> RssEntry {
        RssEntry(hash(client.octets()).into())
    }

    /// The entry of an IPv6 client, by the first and the last 32 bits.
    fn of_v6(client: Ipv6Addr) -> RssEntry {
        let [a, b, c, d, .., e, f, g, h] = client.octets();
        RssEntry((hash([a, b, c, d]) ^ hash([e, f, g, h])).into())
    }

    /// The entry at a place of the table, if there is one.
    pub fn at(place: u16) -> Option<RssEntry> {
        (place < ENTRIES).then_some(RssEntry(place))
    }

    /// The place in the table, below [`ENTRIES`].
    #[inline]
    pub fn place(self) -> u16 {
        self.0
    }

    /// The worker whose queue is at the entry.
    #[inline]
    pub fn worker(self, workers: u16) -> u16 {
        queue(self.0, workers)
    }
}

/// The worker that owns an IPv4 client.
#[inline]
pub fn owner(client: Ipv4Addr, workers: u16) -> u16 {
    if workers == 1 { 0 } else { RssEntry::of_v4(client).worker(workers) }
}

/// The worker that owns an IPv6 client.
pub fn owner_v6(client: Ipv6Addr, workers: u16) -> u16 {
    RssEntry::of_v6(client).worker(workers)
}

/// The lowest seven bits of the hash of 32 bits.
#[inline]
fn hash(address: [u8; 4]) -> u8 {
    let [a, b, c, d] = address.map(usize::from);
    TABLES[0][a] ^ TABLES[1][b] ^ TABLES[2][c] ^ TABLES[3][d]
}

/// The contribution of each address byte to the lowest seven bits of the hash.
static TABLES: [[u8; 256]; 4] = tables();

const fn tables() -> [[u8; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut place = 0;
    while place < 4 * 256 {
        let (byte, value) = (place / 256, place % 256);
        let mut bit = 0;
        while bit < 8 {
            if value & (0x80 >> bit) != 0 {
                tables[byte][value] ^= added(byte * 8 + bit);
            }
            bit += 1;
        }
        place += 1;
    }
    tables
}

/// The lowest seven of the 32 key bits from `bit` on.
const fn added(bit: usize) -> u8 {
    let mut low = 0;
    let mut place = bit + 25;
    while place < bit + 32 {
        let inside = place >= CORE_AT && place < CORE_AT + CORE_BITS;
        let set = inside && CORE >> (CORE_AT + CORE_BITS - 1 - place) & 1 == 1;
        low = low << 1 | set as u8;
        place += 1;
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_clients_spread_over_workers() {
        for workers in 1..=8u16 {
            for base in [0x0a00_0000u32, 0xc0a8_0100, 0x0b00_0000] {
                let mut count = vec![0; usize::from(workers)];
                for host in 0..8000u32 {
                    count[usize::from(owner(Ipv4Addr::from_bits(base + host), workers))] += 1;
                }
                let fair = 8000 / i32::from(workers);
                assert!(count.iter().all(|&n| (n - fair).abs() < fair / 5), "{workers}: {count:?}");
            }
        }
    }

    #[test]
    fn one_client_of_each_subnet_spreads_too() {
        let mut count = [0; 4];
        for subnet in 0..1000u32 {
            count[usize::from(owner(Ipv4Addr::from_bits(0x0a00_000a + (subnet << 8)), 4))] += 1;
        }
        assert!(count.iter().all(|&n| (200..300).contains(&n)), "{count:?}");
    }

    #[test]
    fn every_queue_has_its_share_of_the_table() {
        for queues in 1..=16u16 {
            let mut count = vec![0; usize::from(queues)];
            (0..ENTRIES).for_each(|entry| count[usize::from(queue(entry, queues))] += 1);
            let fair = i32::from(ENTRIES / queues);
            assert!(count.iter().all(|&n: &i32| (n - fair).abs() <= 1), "{queues}: {count:?}");
        }
        assert_eq!(queue(130, 4), queue(2, 4));
    }

    /// The hash by its definition, bit by bit.
    fn toeplitz(key: &[u8], input: &[u32]) -> u32 {
        let bit = |place: usize| u32::from(key[place / 8] >> (7 - place % 8) & 1);
        let window = |from: usize| (from..from + 32).fold(0, |all, place| all << 1 | bit(place));
        let set = |place: &usize| input[place / 32] >> (31 - place % 32) & 1 == 1;
        (0..32 * input.len()).filter(set).fold(0, |hash, place| hash ^ window(place))
    }

    #[test]
    fn a_card_gives_the_same_answer() {
        let mut random = 1u32;
        let mut next = || {
            random = random.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
            random ^ random >> 15
        };
        for len in [40, 52] {
            let (source, destination) = (key(Steer::BySource, len), key(Steer::ByDestination, len));
            for _ in 0..2000 {
                let (client, other, ports) = (next(), next(), next());
                let owner = owner(Ipv4Addr::from_bits(client), 8);
                for hash in [
                    toeplitz(&source, &[client, other]),
                    toeplitz(&source, &[client, other, ports]),
                    toeplitz(&destination, &[other, client]),
                    toeplitz(&destination, &[other, client, ports]),
                ] {
                    assert_eq!(queue(hash as u16 % ENTRIES, 8), owner);
                    // A table of 512 entries repeats the 128.
                    assert_eq!(queue(hash as u16 % 512, 8), owner);
                }
                let client: [u32; 4] = std::array::from_fn(|_| next());
                let other: [u32; 4] = std::array::from_fn(|_| next());
                let address = client.iter().fold(0, |all, &word| all << 32 | u128::from(word));
                let owner = owner_v6(Ipv6Addr::from_bits(address), 8);
                let ends = [client, other].concat();
                for hash in
                    [toeplitz(&source, &ends), toeplitz(&source, &[&ends[..], &[ports]].concat())]
                {
                    assert_eq!(queue(hash as u16 % ENTRIES, 8), owner);
                }
            }
        }
    }
}
