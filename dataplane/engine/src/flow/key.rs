//! What a packet is looked up by, and its hash.

use super::hosts::{Endpoint, Host};
use super::tuple::Tuple;
use crate::tables::ServiceId;
use std::net::{IpAddr, Ipv6Addr};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One side of a transfer: enough of a packet's addresses and ports to find it, whatever the TID.
/// An endpoint's host and port, and 16 bits more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub struct Key(u64);

impl Key {
    /// The key of a free place.
    pub const NONE: Key = Key(0);

    /// As clients see it, their endpoint and the VIP; as servers see it, the endpoint that they
    /// answer to, and who of them.
    #[inline]
    pub fn new(endpoint: Endpoint, other: u16) -> Key {
        let host = u64::from(endpoint.host.to_bits());
        Key(host << 32 | u64::from(endpoint.port) << 16 | u64::from(other))
    }

    /// The endpoint in it.
    #[inline]
    pub fn endpoint(self) -> Endpoint {
        Endpoint { host: Host::from_bits((self.0 >> 32) as u32), port: (self.0 >> 16) as u16 }
    }

    /// The same with this host.
    #[inline]
    pub fn with(self, host: Host) -> Key {
        Key::new(Endpoint { host, ..self.endpoint() }, self.other())
    }

    /// What it has besides.
    #[inline]
    pub fn other(self) -> u16 {
        self.0 as u16
    }
}

/// What a key is of: the same bits mean something else on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// A client's endpoint and a VIP.
    Client,
    /// The endpoint that a server sees, and that server.
    Server,
}

/// Makes hashes unforeseeable, so that nobody outside can choose endpoints that fill one bucket.
#[derive(Debug, Clone, Copy)]
pub struct Seed(pub [u64; 2]);

impl Seed {
    /// The key's hash: all 64 bits are good.
    #[inline]
    pub fn hash(self, kind: KeyKind, key: Key) -> u64 {
        folded(key.0 ^ self.0[0], (self.0[1] ^ ODD).wrapping_add(kind as u64))
    }

    /// The hash of a connection's ends.
    #[inline]
    pub fn of_tuple(self, tuple: &Tuple) -> u64 {
        let [first, second] = tuple.words();
        folded(second ^ folded(first ^ self.0[0], self.0[1] ^ ODD), self.0[1] ^ ODD)
    }

    /// An address's hash: all 64 bits are good.
    #[inline]
    pub fn of_address(self, address: Ipv6Addr) -> u64 {
        let bits = address.to_bits();
        let half = folded(bits as u64 ^ self.0[0], self.0[1] ^ ODD);
        folded((bits >> 64) as u64 ^ half, self.0[1] ^ ODD)
    }

    /// A hash of what the parts of a datagram have in common: nobody outside can find two datagrams with
    /// the same one.
    pub fn of_datagram(self, source: IpAddr, destination: IpAddr, protocol: u8, id: u32) -> u64 {
        let address = |address| match address {
            IpAddr::V4(address) => self.of_address(address.to_ipv6_mapped()),
            IpAddr::V6(address) => self.of_address(address),
        };
        let rest = u64::from(protocol) << 32 | u64::from(id);
        let half = folded(address(source) ^ rest, self.0[1] ^ ODD);
        folded(address(destination) ^ half, self.0[0] ^ ODD)
    }

    /// The hash of a client of a service.
    pub fn of_client(self, client: IpAddr, service: ServiceId) -> u64 {
        let address = match client {
            IpAddr::V4(client) => client.to_ipv6_mapped(),
            IpAddr::V6(client) => client,
        };
        self.of_address(address).wrapping_add(service.into())
    }

    /// A hash of some bytes.
    #[inline]
    pub fn of_bytes(self, bytes: &[u8]) -> u64 {
        let (words, rest) = bytes.as_chunks::<8>();
        let with = |hash, word| folded(hash ^ word, self.0[1] ^ ODD);
        let start = self.0[0] ^ bytes.len() as u64;
        let hash = words.iter().fold(start, |hash, word| with(hash, u64::from_le_bytes(*word)));
        if rest.is_empty() { hash } else { with(hash, last_word(bytes, rest)) }
    }

    /// A short hash of a transfer's keys and what else says which one it is.
    #[inline]
    pub fn seal(self, client: Key, server: Key, rest: u64) -> u32 {
        let words = [client.0, server.0, rest];
        let with = |hash, word| folded(hash ^ word, self.0[1] ^ ODD);
        (words.into_iter().fold(self.0[0], with) >> 32) as u32
    }

    /// A short hash of some bytes, to tell one request from another.
    pub fn fingerprint(self, bytes: &[u8]) -> u32 {
        let hash = self.of_bytes(bytes);
        (hash ^ (hash >> 32)) as u32
    }
}

/// Of wyhash: odd, and with as many ones as zeroes.
const ODD: u64 = 0xe703_7ed1_a0b4_28db;

/// Another hash, made of this one.
#[inline]
pub fn mixed(hash: u64) -> u64 {
    folded(hash ^ !ODD, ODD)
}

/// The last bytes, as if zeroes lay behind them: read with those before, since a copy of so few costs more than all.
#[inline]
fn last_word(bytes: &[u8], rest: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
        None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// Both halves of the product: the mixing step of wyhash.
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint { host: Host::v4(Ipv4Addr::new(10, 1, 2, 3)), port }
    }

    #[test]
    fn both_sides_of_the_same_endpoint_hash_differently() {
        let (seed, key) = (Seed([1, 2]), Key::new(endpoint(2070), 0));
        assert_ne!(seed.hash(KeyKind::Client, key), seed.hash(KeyKind::Server, key));
        let other = Seed([1, 3]);
        assert_ne!(seed.hash(KeyKind::Client, key), other.hash(KeyKind::Client, key));
    }

    #[test]
    fn a_key_gives_back_what_it_was_made_of() {
        let key = Key::new(endpoint(2070), 0xabcd);
        assert_eq!((key.endpoint(), key.other()), (endpoint(2070), 0xabcd));
    }

    #[test]
    fn bytes_hash_as_words_with_zeroes_behind() {
        let seed = Seed([11, 12]);
        let bytes: Vec<u8> = (1..=20).collect();
        for len in 0..bytes.len() {
            let words = bytes[..len].chunks(8).map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_le_bytes(word)
            });
            let by_words = words.fold(11 ^ len as u64, |hash, word| folded(hash ^ word, 12 ^ ODD));
            assert_eq!(seed.of_bytes(&bytes[..len]), by_words, "{len}");
        }
    }

    #[test]
    fn a_fingerprint_sees_every_byte_and_the_length() {
        let seed = Seed([11, 12]);
        let request = *b"\0\x01pxelinux.0\0octet\0";
        for at in 0..request.len() {
            let mut other = request;
            other[at] ^= 1;
            assert_ne!(seed.fingerprint(&request), seed.fingerprint(&other), "byte {at}");
        }
        assert_ne!(seed.fingerprint(b"a"), seed.fingerprint(b"a\0"));
    }
}
