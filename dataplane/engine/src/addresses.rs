//! Whose an IPv4 address is: asked twice for every packet, so an open table, at most a quarter
//! full, of eight bytes an entry.

use crate::tables::Owner;
use std::net::Ipv4Addr;

/// Addresses and their owners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    slots: Box<[Option<(u32, Owner)>]>,
    len: usize,
}

const LEAST: usize = 8;

impl Addresses {
    /// Gives the address to this owner, whoever had it before.
    pub fn insert(&mut self, address: Ipv4Addr, owner: Owner) {
        let mut place = self.place(address.to_bits());
        if self.slots[place].is_none() {
            self.len += 1;
            if self.len * 4 > self.slots.len() {
                self.grow();
                place = self.place(address.to_bits());
            }
        }
        self.slots[place] = Some((address.to_bits(), owner));
    }

    /// Whose it is.
    #[inline]
    pub fn get(&self, address: Ipv4Addr) -> Option<Owner> {
        self.slots[self.place(address.to_bits())].map(|(_, owner)| owner)
    }

    /// Where the address is, or would be.
    #[inline]
    fn place(&self, address: u32) -> usize {
        let last = self.slots.len() - 1;
        let mut place = (address.wrapping_mul(0x9e37_79b1) >> 16) as usize & last;
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

impl Default for Addresses {
    fn default() -> Addresses {
        Addresses { slots: vec![None; LEAST].into(), len: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_found_and_no_other() {
        let mut addresses = Addresses::default();
        let address = |n: u16| Ipv4Addr::from_bits(0x0a00_0000 + u32::from(n) * 77);
        for n in 0..5000 {
            addresses.insert(address(n), Owner::Vip(n));
        }
        for n in 0..5000 {
            assert_eq!(addresses.get(address(n)), Some(Owner::Vip(n)));
        }
        assert_eq!(addresses.get(address(5000)), None);
        assert_eq!(Addresses::default().get(address(0)), None);
    }

    #[test]
    fn the_last_owner_counts() {
        let mut addresses = Addresses::default();
        addresses.insert(Ipv4Addr::LOCALHOST, Owner::Vip(1));
        addresses.insert(Ipv4Addr::LOCALHOST, Owner::Snat(2));
        assert_eq!(addresses.get(Ipv4Addr::LOCALHOST), Some(Owner::Snat(2)));
        let slots = addresses.slots.len();
        (0..100).for_each(|n| addresses.insert(Ipv4Addr::LOCALHOST, Owner::Vip(n)));
        assert_eq!((addresses.len, addresses.slots.len()), (1, slots));
    }

    #[test]
    fn a_slot_is_eight_bytes() {
        assert_eq!(size_of::<Option<(u32, Owner)>>(), 8);
    }
}
