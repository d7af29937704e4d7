//! What a packet is looked up by, and its hash.

use crate::tables::VipId;
use std::net::{Ipv4Addr, SocketAddrV4};

/// One side of a transfer: enough of a packet's addresses and ports to find it, whatever the TID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    endpoint: u64,
    other: u64,
}

/// Keeps server-side keys apart from client-side ones.
const SERVER_SIDE: u64 = 1 << 32;

impl Key {
    /// As clients see it: their endpoint and the VIP.
    pub fn client_side(client: SocketAddrV4, vip: VipId) -> Key {
        Key { endpoint: packed(client), other: u64::from(vip) }
    }

    /// As servers see it: the endpoint that they answer to, and their address.
    pub fn server_side(seen_as: SocketAddrV4, backend: Ipv4Addr) -> Key {
        Key { endpoint: packed(seen_as), other: SERVER_SIDE | u64::from(backend.to_bits()) }
    }

    /// One address, for what goes by client and service alone.
    pub fn of_client(client: Ipv4Addr, service: u16) -> Key {
        Key { endpoint: u64::from(client.to_bits()), other: u64::from(service) }
    }
}

fn packed(endpoint: SocketAddrV4) -> u64 {
    u64::from(endpoint.ip().to_bits()) << 16 | u64::from(endpoint.port())
}

/// Makes hashes unforeseeable, so that nobody outside can choose endpoints that fill one bucket.
#[derive(Debug, Clone, Copy)]
pub struct Seed(pub [u64; 2]);

impl Seed {
    /// The key's hash: all 64 bits are good.
    pub fn hash(self, key: Key) -> u64 {
        let mixed = folded(key.endpoint ^ self.0[0] ^ ODD[0], key.other ^ self.0[1] ^ ODD[1]);
        folded(mixed ^ self.0[1], ODD[0])
    }

    /// A hash of some bytes, to tell one request from another.
    pub fn fingerprint(self, bytes: &[u8]) -> u32 {
        let hash = bytes.chunks(8).fold(self.0[0] ^ bytes.len() as u64, |hash, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            folded(hash ^ u64::from_le_bytes(word), self.0[1] ^ ODD[1])
        });
        (hash ^ (hash >> 32)) as u32
    }
}

/// Of wyhash: odd, and with as many ones as zeroes.
const ODD: [u64; 2] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];

/// Both halves of the product: the mixing step of wyhash.
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The worker that owns a client. A function of its address alone: ports change during a transfer,
/// fragments have none, and on the server's side the packet does not name the VIP.
pub fn owner(client: Ipv4Addr, workers: u16) -> u16 {
    let hash = client.to_bits().wrapping_mul(0x9e37_79b1);
    let hash = (hash ^ (hash >> 15)).wrapping_mul(0x85eb_ca77);
    ((u64::from(hash) * u64::from(workers)) >> 32) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_clients_spread_over_workers() {
        for workers in 1..=8u16 {
            let mut count = vec![0; usize::from(workers)];
            for host in 0..8000u32 {
                count[usize::from(owner(Ipv4Addr::from_bits(0x0a00_0000 + host), workers))] += 1;
            }
            let fair = 8000 / i32::from(workers);
            assert!(count.iter().all(|&n| (n - fair).abs() < fair / 5), "{workers}: {count:?}");
        }
    }

    #[test]
    fn both_sides_of_the_same_endpoint_are_different_keys() {
        let endpoint = "10.0.0.1:2070".parse().unwrap();
        let seed = Seed([1, 2]);
        let client = Key::client_side(endpoint, 0);
        let server = Key::server_side(endpoint, Ipv4Addr::UNSPECIFIED);
        assert_ne!(client, server);
        assert_ne!(seed.hash(client), seed.hash(server));
        assert_ne!(seed.hash(client), Seed([1, 3]).hash(client));
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
