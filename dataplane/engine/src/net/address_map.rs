//! Owners of addresses. Each packet needs two lookups: one open-addressed table per address family, at most a quarter
//! full; eight bytes per IPv4 entry.

use crate::types::id::{ServerId, SnatId, VipId};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses and their owners.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressMap {
    v4: Owners<u32>,
    v6: Owners<u128>,
}

impl AddressMap {
    /// Sets the owner of an address and replaces any earlier one.
    pub fn insert(&mut self, address: IpAddr, owner: Owner) {
        match address {
            IpAddr::V4(address) => self.v4.insert(address.to_bits(), owner),
            IpAddr::V6(address) => self.v6.insert(address.to_bits(), owner),
        }
    }

    /// The owner of an address.
    pub fn get(&self, address: IpAddr) -> Option<Owner> {
        match address {
            IpAddr::V4(address) => self.get_v4(address),
            IpAddr::V6(address) => self.get_v6(address),
        }
    }

    /// The owner of an IPv4 address.
    #[inline]
    pub fn get_v4(&self, address: Ipv4Addr) -> Option<Owner> {
        self.v4.get(address.to_bits())
    }

    /// The owner of an IPv6 address.
    #[inline]
    pub fn get_v6(&self, address: Ipv6Addr) -> Option<Owner> {
        self.v6.get(address.to_bits())
    }
}

/// An address as bits. Tables hold configured addresses only, so that no attacker can fill them.
trait Bits: Copy + Eq {
    /// A hash of 16 well-mixed bits.
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

/// Owners of the addresses of one family.
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

    /// Slot of the address, or the empty slot where it would be.
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

/// The owner of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A VIP: clients send to it.
    Vip(VipId),
    /// A VIP or SNAT address that the kernel holds on no interface of the gate.
    Down,
    /// A broadcast address of a link. Packets to it can be for a VIP (`Interface::broadcast`).
    Everybody,
    /// A SNAT address: servers answer to it.
    Snat(SnatId),
    /// A server (`Backend::server`) of a `nat` service, which sees its clients' addresses: its packets to clients pass
    /// the gate.
    Routed(ServerId),
    /// A server that answers to SNAT addresses only.
    Answering(ServerId),
}

impl Owner {
    /// Whether the address is the gate's: no other host may send from it.
    #[inline]
    pub fn is_ours(self) -> bool {
        matches!(self, Owner::Vip(_) | Owner::Down | Owner::Snat(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_found_and_no_other() {
        let mut addresses = AddressMap::default();
        let v4 = |n: u16| IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + u32::from(n) * 77));
        let v6 = |n: u16| IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, n, n));
        for n in 0..5000 {
            addresses.insert(v4(n), Owner::Vip(VipId(n)));
            addresses.insert(v6(n), Owner::Snat(SnatId(n)));
        }
        for n in 0..5000 {
            assert_eq!(addresses.get(v4(n)), Some(Owner::Vip(VipId(n))));
            assert_eq!(addresses.get(v6(n)), Some(Owner::Snat(SnatId(n))));
        }
        assert_eq!([v4(5000), v6(5000)].map(|address| addresses.get(address)), [None, None]);
        assert_eq!([v4(0), v6(0)].map(|address| AddressMap::default().get(address)), [None, None]);
    }

    #[test]
    fn the_last_owner_counts() {
        let mut owners = Owners::default();
        owners.insert(7u32, Owner::Vip(VipId(1)));
        owners.insert(7, Owner::Snat(SnatId(2)));
        assert_eq!(owners.get(7), Some(Owner::Snat(SnatId(2))));
        let slots = owners.slots.len();
        (0..100).for_each(|n| owners.insert(7, Owner::Vip(VipId(n))));
        assert_eq!((owners.len, owners.slots.len()), (1, slots));
    }

    #[test]
    fn a_slot_of_ipv4_is_eight_bytes() {
        assert_eq!(size_of::<Option<(u32, Owner)>>(), 8);
    }
}
