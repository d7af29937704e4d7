//! Interned addresses: ids of 32 bits, so that flows and keys have the same size over IPv4 and IPv6. An IPv4 address is
//! its own id. An IPv6 address gets an id within 240.0.0.0/4, which no host has, while it is in use by this worker.

use super::hash::Seed;
use super::hash_index::Index;
use super::rows::Rows;
use super::store::Named;
use crate::flow::endpoint::{Endpoint, HostId};
use crate::net::rss::RssEntry;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The IPv6 addresses of one worker. All memory is allocated at the start.
pub struct HostTable {
    index: Index,
    addresses: Rows<Named>,
    users: Box<[u32]>,
    free: Vec<u32>,
    seed: Seed,
}

/// Error: no free id, or no room in the index.
#[derive(Debug, PartialEq, Eq)]
pub struct NoRoom;

impl HostTable {
    /// A table with one id per row. Saved rows are ids only after [`HostTable::adopt`].
    pub fn new(addresses: Rows<Named>, seed: Seed) -> HostTable {
        let capacity = addresses.len() as u32;
        HostTable {
            index: Index::new(capacity as usize),
            addresses,
            users: vec![0; capacity as usize].into(),
            free: (0..capacity).rev().collect(),
            seed,
        }
    }

    /// Counts a user of a saved id. Returns whether the id is valid.
    pub fn adopt(&mut self, host: HostId) -> bool {
        let Some(place) = host.place() else { return true };
        let Some(users) = self.users.get_mut(place) else { return false };
        *users += 1;
        if *users > 1 {
            return true;
        }
        let address = Ipv6Addr::from(self.addresses[place]);
        let is_new = self.find(address) == HostId::NOBODY;
        let adopted = is_new && self.index.insert(self.seed.of_address(address), place as u32);
        if !adopted {
            self.users[place] = 0;
        }
        adopted
    }

    /// Returns the rows.
    pub fn into_rows(self) -> Rows<Named> {
        self.addresses
    }

    /// Undoes [`HostTable::adopt`].
    pub fn forget(&mut self, host: HostId) {
        let Some(place) = host.place() else { return };
        self.users[place] -= 1;
        if self.users[place] == 0 {
            let address = self.addresses[place].into();
            self.index.remove(self.seed.of_address(address), place as u32);
        }
    }

    /// Frees all ids that were not adopted.
    pub fn tidy(&mut self) {
        let users = &self.users;
        self.free.retain(|&place| users[place as usize] == 0);
    }

    /// The id of an address, or [`HostId::NOBODY`].
    #[inline]
    pub fn find(&self, address: Ipv6Addr) -> HostId {
        let hash = self.seed.of_address(address);
        let place =
            self.index.find(hash, |place| self.addresses[place as usize] == address.octets());
        place.map_or(HostId::NOBODY, HostId::v6)
    }

    /// The id of an address, which gets one more user.
    ///
    /// # Errors
    ///
    /// The address has no id yet, and the table is full.
    pub fn intern(&mut self, address: IpAddr) -> Result<HostId, NoRoom> {
        let address = match address {
            IpAddr::V4(address) => return Ok(HostId::v4(address)),
            IpAddr::V6(address) => address,
        };
        let host = match self.find(address) {
            HostId::NOBODY => self.name(address)?,
            known => known,
        };
        self.users[host.place().ok_or(NoRoom)?] += 1;
        Ok(host)
    }

    /// Removes a user from an address; the last one frees its id.
    pub fn release(&mut self, host: HostId) {
        let Some(place) = host.place().filter(|&place| place < self.users.len()) else { return };
        self.users[place] -= 1;
        if self.users[place] == 0 {
            let address = self.addresses[place].into();
            self.index.remove(self.seed.of_address(address), place as u32);
            self.free.push(place as u32);
        }
    }

    /// The IPv6 address with this id.
    #[inline]
    pub fn as_v6(&self, host: HostId) -> Option<Ipv6Addr> {
        self.addresses.get(host.place()?).map(|&address| address.into())
    }

    /// The endpoint with its full address.
    pub fn socket_address(&self, endpoint: Endpoint) -> SocketAddr {
        SocketAddr::new(self.address(endpoint.host), endpoint.port)
    }

    #[inline]
    fn address(&self, host: HostId) -> IpAddr {
        match host.as_v4() {
            Some(address) => address.into(),
            None => self.as_v6(host).unwrap_or(Ipv6Addr::UNSPECIFIED).into(),
        }
    }

    /// The RSS entry of a client.
    #[inline]
    pub fn rss_entry(&self, host: HostId) -> RssEntry {
        RssEntry::of(self.address(host))
    }

    /// Number of interned addresses.
    pub fn len(&self) -> usize {
        self.addresses.len() - self.free.len()
    }

    /// Whether no address is interned.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn name(&mut self, address: Ipv6Addr) -> Result<HostId, NoRoom> {
        let &place = self.free.last().ok_or(NoRoom)?;
        if !self.index.insert(self.seed.of_address(address), place) {
            return Err(NoRoom);
        }
        self.free.pop();
        self.addresses[place as usize] = address.octets();
        Ok(HostId::v6(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n)
    }

    fn hosts(room: usize) -> HostTable {
        HostTable::new(Rows::Heap(vec![[0; 16]; room].into()), Seed([1, 2]))
    }

    #[test]
    fn an_ipv4_address_stands_for_itself() {
        let mut hosts = hosts(0);
        let address = Ipv4Addr::new(223, 255, 255, 254);
        let host = hosts.intern(address.into()).unwrap();
        assert_eq!((host, host.as_v4()), (HostId::v4(address), Some(address)));
        hosts.release(host);
        let endpoint = Endpoint { host, port: 69 };
        assert_eq!(hosts.socket_address(endpoint), "223.255.255.254:69".parse().unwrap());
    }

    #[test]
    fn an_ipv6_address_has_its_name_until_its_last_user_leaves() {
        let mut hosts = hosts(2);
        assert_eq!(hosts.find(address(1)), HostId::NOBODY);
        let one = hosts.intern(address(1).into()).unwrap();
        let two = hosts.intern(address(2).into()).unwrap();
        assert_ne!(one, two);
        assert_eq!(hosts.intern(address(1).into()), Ok(one));
        assert_eq!(hosts.intern(address(3).into()), Err(NoRoom));
        assert_eq!((hosts.as_v6(one), one.as_v4()), (Some(address(1)), None));
        hosts.release(one);
        assert_eq!(hosts.find(address(1)), one);
        hosts.release(one);
        assert_eq!((hosts.find(address(1)), hosts.len()), (HostId::NOBODY, 1));
        assert!(hosts.intern(address(3).into()).is_ok());
        assert_eq!(hosts.as_v6(HostId::NOBODY), None);
    }
}
