//! Keyed hashes, unpredictable from outside.

use crate::flow::key::Key;
use crate::flow::tuple::Tuple;
use crate::types::direction::KeyKind;
use std::net::{IpAddr, Ipv6Addr};

/// The secret key of hashes: nobody outside can choose endpoints that collide.
#[derive(Debug, Clone, Copy)]
pub struct Seed(pub [u64; 2]);

impl Seed {
    /// The hash of a transfer's key: all 64 bits are well mixed.
    #[inline]
    pub fn hash(self, kind: KeyKind, key: Key) -> u64 {
        folded(key.0 ^ self.0[0], (self.0[1] ^ ODD).wrapping_add(kind as u64))
    }

    /// The hash of a connection's tuple.
    #[inline]
    pub fn of_tuple(self, tuple: &Tuple) -> u64 {
        let [first, second] = tuple.words();
        folded(second ^ folded(first ^ self.0[0], self.0[1] ^ ODD), self.0[1] ^ ODD)
    }

    /// The hash of an address: all 64 bits are well mixed.
    #[inline]
    pub fn of_address(self, address: Ipv6Addr) -> u64 {
        let bits = address.to_bits();
        let half = folded(bits as u64 ^ self.0[0], self.0[1] ^ ODD);
        folded((bits >> 64) as u64 ^ half, self.0[1] ^ ODD)
    }

    /// The hash of a datagram's identity, shared by all of its fragments. Nobody outside can find two datagrams with
    /// the same hash.
    pub fn of_datagram(self, source: IpAddr, destination: IpAddr, protocol: u8, id: u32) -> u64 {
        let address = |address| match address {
            IpAddr::V4(address) => self.of_address(address.to_ipv6_mapped()),
            IpAddr::V6(address) => self.of_address(address),
        };
        let rest = u64::from(protocol) << 32 | u64::from(id);
        let half = folded(address(source) ^ rest, self.0[1] ^ ODD);
        folded(address(destination) ^ half, self.0[0] ^ ODD)
    }

    /// The hash of a client and the number of a service, group, backend or server.
    pub fn of_client(self, client: IpAddr, number: u16) -> u64 {
        let address = match client {
            IpAddr::V4(client) => client.to_ipv6_mapped(),
            IpAddr::V6(client) => client,
        };
        self.of_address(address).wrapping_add(number.into())
    }

    /// The hash of a byte string.
    #[inline]
    pub fn of_bytes(self, bytes: &[u8]) -> u64 {
        let (words, rest) = bytes.as_chunks::<8>();
        let with = |hash, word| folded(hash ^ word, self.0[1] ^ ODD);
        let start = self.0[0] ^ bytes.len() as u64;
        let hash = words.iter().fold(start, |hash, word| with(hash, u64::from_le_bytes(*word)));
        if rest.is_empty() { hash } else { with(hash, last_word(bytes, rest)) }
    }

    /// A hash of a byte string in 16 bits; never 0.
    pub fn digest(self, bytes: &[u8]) -> u16 {
        (self.of_bytes(bytes) as u16).max(1)
    }

    /// A short hash of a transfer's keys and of `rest`, which detects torn rows.
    #[inline]
    pub fn seal(self, client: Key, server: Key, rest: u64) -> u32 {
        let words = [client.0, server.0, rest];
        let with = |hash, word| folded(hash ^ word, self.0[1] ^ ODD);
        (words.into_iter().fold(self.0[0], with) >> 32) as u32
    }

    /// A short hash of a request, to recognise its repetition.
    pub fn fingerprint(self, bytes: &[u8]) -> u32 {
        let hash = self.of_bytes(bytes);
        (hash ^ (hash >> 32)) as u32
    }
}

/// A constant of wyhash: odd, with as many ones as zeroes.
const ODD: u64 = 0xe703_7ed1_a0b4_28db;

/// Derives another hash.
#[inline]
pub fn mixed(hash: u64) -> u64 {
    folded(hash ^ !ODD, ODD)
}

/// Loads the last bytes as if zeroes followed. Reading them together with the bytes before is cheaper than copying
/// them.
#[inline]
fn last_word(bytes: &[u8], rest: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
        None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// XOR of both halves of the product: wyhash's mixing step.
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::endpoint::{Endpoint, HostId};
    use std::net::Ipv4Addr;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint { host: HostId::v4(Ipv4Addr::new(10, 1, 2, 3)), port }
    }

    #[test]
    fn both_sides_of_the_same_endpoint_hash_differently() {
        let (seed, key) = (Seed([1, 2]), Key::new(endpoint(2070), 0));
        assert_ne!(seed.hash(KeyKind::Client, key), seed.hash(KeyKind::Server, key));
        let other = Seed([1, 3]);
        assert_ne!(seed.hash(KeyKind::Client, key), other.hash(KeyKind::Client, key));
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
