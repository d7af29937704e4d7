//! Whose an address is: asked twice for every packet, so an open table for each version of IP, at
//! most a quarter full; of IPv4, eight bytes an entry.

use crate::tables::Owner;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses and their owners.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    v4: Owners<u32>,
    v6: Owners<u128>,
}

impl Addresses {
    /// Gives the address to this owner, whoever had it before.
    pub fn insert(&mut self, address: IpAddr, owner: Owner) {
        match address {
            IpAddr::V4(address) => self.v4.insert(address.to_bits(), owner),
            IpAddr::V6(address) => self.v6.insert(address.to_bits(), owner),
        }
    }

    /// Whose it is.
    pub fn get(&self, address: IpAddr) -> Option<Owner> {
        match address {
            IpAddr::V4(address) => self.get_v4(address),
            IpAddr::V6(address) => self.get_v6(address),
        }
    }

    /// Whose an IPv4 address is.
    #[inline]
    pub fn get_v4(&self, address: Ipv4Addr) -> Option<Owner> {
        self.v4.get(address.to_bits())
    }

    /// Whose an IPv6 address is.
    #[inline]
    pub fn get_v6(&self, address: Ipv6Addr) -> Option<Owner> {
        self.v6.get(address.to_bits())
    }
}

/// The bits of an address. Only configured addresses are ever entered, so nobody outside can fill a
/// table.
trait Bits: Copy + Eq {
    /// Spread over all 16 bits.
    fn hash(self) -> usize;
}

impl Bits for u32 {
    #[inline]
    fn hash(self) -> usize {
        (self.wrapping_mul(0x9e37_79b1) >> 16) as usize
    }
}

impl Bits for u128 {
    #[inline]
    fn hash(self) -> usize {
        let folded = (self ^ self >> 64) as u64;
        (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
    }
}

/// The owners of one version's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owners<A> {
    slots: Box<[Option<(A, Owner)>]>,
    len: usize,
}

const LEAST: usize = 8;

impl<A: Bits> Owners<A> {
    fn insert(&mut self, address: A, owner: Owner) {
        let mut place = self.place(address);
        if self.slots[place].is_none() {
            self.len += 1;
            if self.len * 4 > self.slots.len() {
                self.grow();
                place = self.place(address);
            }
        }
        self.slots[place] = Some((address, owner));
    }

    #[inline(always)]
    fn get(&self, address: A) -> Option<Owner> {
        let last = self.slots.len() - 1;
        let mut place = address.hash() & last;
        loop {
            match self.slots[place] {
                Some((known, owner)) if known == address => return Some(owner),
                Some(_) => place = (place + 1) & last,
                None => return None,
            }
        }
    }

    /// Where the address is, or would be.
    #[inline]
    fn place(&self, address: A) -> usize {
        let last = self.slots.len() - 1;
        let mut place = address.hash() & last;
        while matches!(self.slots[place], Some((known, _)) if known != address) {
            place = (place + 1) & last;
        }
        place
    }

    fn grow(&mut self) {
        let larger = vec![None; self.slots.len() * 2].into();
        let before = std::mem::replace(&mut self.slots, larger);
        for (address, owner) in before.into_iter().flatten() {
            let place = self.place(address);
            self.slots[place] = Some((address, owner));
        }
    }
}

impl<A: Bits> Default for Owners<A> {
    fn default() -> Owners<A> {
        Owners { slots: vec![None; LEAST].into(), len: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_found_and_no_other() {
        let mut addresses = Addresses::default();
        let v4 = |n: u16| IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + u32::from(n) * 77));
        let v6 = |n: u16| IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, n, n));
        for n in 0..5000 {
            addresses.insert(v4(n), Owner::Vip(n));
            addresses.insert(v6(n), Owner::Snat(n));
        }
        for n in 0..5000 {
            assert_eq!(addresses.get(v4(n)), Some(Owner::Vip(n)));
            assert_eq!(addresses.get(v6(n)), Some(Owner::Snat(n)));
        }
        assert_eq!([v4(5000), v6(5000)].map(|address| addresses.get(address)), [None, None]);
        assert_eq!([v4(0), v6(0)].map(|address| Addresses::default().get(address)), [None, None]);
    }

    #[test]
    fn the_last_owner_counts() {
        let mut owners = Owners::default();
        owners.insert(7u32, Owner::Vip(1));
        owners.insert(7, Owner::Snat(2));
        assert_eq!(owners.get(7), Some(Owner::Snat(2)));
        let slots = owners.slots.len();
        (0..100).for_each(|n| owners.insert(7, Owner::Vip(n)));
        assert_eq!((owners.len, owners.slots.len()), (1, slots));
    }

    #[test]
    fn a_slot_of_ipv4_is_eight_bytes() {
        assert_eq!(size_of::<Option<(u32, Owner)>>(), 8);
    }
}
