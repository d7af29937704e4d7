//! Names of 32 bits for addresses, so that flows and their keys are as small over IPv6 as over IPv4.
//! An IPv4 address stands for itself; an IPv6 address gets a number from 240.0.0.0/4, which no host
//! has, for as long as it has users in this worker.

use super::index::Index;
use super::key::Seed;
use super::store::{Named, Rows};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The name of an address, in one worker.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(transparent)]
pub struct Host(u32);

/// A host and a port of its.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The host.
    pub host: Host,
    /// Its UDP port.
    pub port: u16,
}

/// The first number for an IPv6 address.
const FIRST: u32 = 0xf000_0000;

impl Host {
    /// An IPv6 address that has no name here.
    pub const NOBODY: Host = Host(u32::MAX);

    /// An IPv4 address's.
    #[inline]
    pub fn v4(address: Ipv4Addr) -> Host {
        Host(address.to_bits())
    }

    /// The IPv4 address, if it is one's.
    #[inline]
    pub fn as_v4(self) -> Option<Ipv4Addr> {
        (self.0 < FIRST).then(|| Ipv4Addr::from_bits(self.0))
    }

    /// Whether it is an IPv6 address's.
    #[inline]
    pub fn is_v6(self) -> bool {
        self.0 >= FIRST
    }

    /// Its bits.
    #[inline]
    pub fn to_bits(self) -> u32 {
        self.0
    }

    /// That with these bits.
    #[inline]
    pub fn from_bits(bits: u32) -> Host {
        Host(bits)
    }

    fn v6(place: u32) -> Host {
        Host(FIRST + place)
    }

    fn place(self) -> Option<usize> {
        self.0.checked_sub(FIRST).map(|place| place as usize)
    }
}

/// One worker's IPv6 addresses. All memory is taken at the start.
pub struct Hosts {
    index: Index,
    addresses: Rows<Named>,
    users: Box<[u32]>,
    free: Vec<u32>,
    seed: Seed,
}

/// No place or no way to find it is left.
#[derive(Debug, PartialEq, Eq)]
pub struct NoRoom;

impl Hosts {
    /// Names for as many IPv6 addresses as there are rows. What stands in them already is no name until it is
    /// adopted.
    pub fn new(addresses: Rows<Named>, seed: Seed) -> Hosts {
        let capacity = addresses.len() as u32;
        Hosts {
            index: Index::new(capacity as usize),
            addresses,
            users: vec![0; capacity as usize].into(),
            free: (0..capacity).rev().collect(),
            seed,
        }
    }

    /// A name that an earlier process gave has one user more. Answers whether it can have been given.
    pub fn adopt(&mut self, host: Host) -> bool {
        let Some(place) = host.place() else { return true };
        let Some(users) = self.users.get_mut(place) else { return false };
        *users += 1;
        if *users > 1 {
            return true;
        }
        let address = Ipv6Addr::from(self.addresses[place]);
        let is_new = self.find(address) == Host::NOBODY;
        let adopted = is_new && self.index.insert(self.seed.of_address(address), place as u32);
        if !adopted {
            self.users[place] = 0;
        }
        adopted
    }

    /// Gives the rows back.
    pub fn leave_names(self) -> Rows<Named> {
        self.addresses
    }

    /// Takes that back.
    pub fn disown(&mut self, host: Host) {
        let Some(place) = host.place() else { return };
        self.users[place] -= 1;
        if self.users[place] == 0 {
            let address = self.addresses[place].into();
            self.index.remove(self.seed.of_address(address), place as u32);
        }
    }

    /// All names that were not adopted are free.
    pub fn tidy(&mut self) {
        let users = &self.users;
        self.free.retain(|&place| users[place as usize] == 0);
    }

    /// The address's name, or [`Host::NOBODY`].
    #[inline]
    pub fn find(&self, address: Ipv6Addr) -> Host {
        let hash = self.seed.of_address(address);
        let place =
            self.index.find(hash, |place| self.addresses[place as usize] == address.octets());
        place.map_or(Host::NOBODY, Host::v6)
    }

    /// The name of an address that has one user more from now on.
    ///
    /// # Errors
    ///
    /// It has none yet, and there is no room for more.
    pub fn enter(&mut self, address: IpAddr) -> Result<Host, NoRoom> {
        let address = match address {
            IpAddr::V4(address) => return Ok(Host::v4(address)),
            IpAddr::V6(address) => address,
        };
        let host = match self.find(address) {
            Host::NOBODY => self.name(address)?,
            known => known,
        };
        self.users[host.place().ok_or(NoRoom)?] += 1;
        Ok(host)
    }

    /// The address has one user less; after the last it loses its name.
    pub fn leave(&mut self, host: Host) {
        let Some(place) = host.place().filter(|&place| place < self.users.len()) else { return };
        self.users[place] -= 1;
        if self.users[place] == 0 {
            let address = self.addresses[place].into();
            self.index.remove(self.seed.of_address(address), place as u32);
            self.free.push(place as u32);
        }
    }

    /// The IPv6 address with this name, if it is one's.
    #[inline]
    pub fn as_v6(&self, host: Host) -> Option<Ipv6Addr> {
        self.addresses.get(host.place()?).map(|&address| address.into())
    }

    /// The endpoint with its whole address.
    pub fn socket_address(&self, endpoint: Endpoint) -> SocketAddr {
        let address = match endpoint.host.as_v4() {
            Some(address) => IpAddr::V4(address),
            None => self.as_v6(endpoint.host).unwrap_or(Ipv6Addr::UNSPECIFIED).into(),
        };
        SocketAddr::new(address, endpoint.port)
    }

    /// Addresses that have names.
    pub fn len(&self) -> usize {
        self.addresses.len() - self.free.len()
    }

    /// Whether no address has one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn name(&mut self, address: Ipv6Addr) -> Result<Host, NoRoom> {
        let &place = self.free.last().ok_or(NoRoom)?;
        if !self.index.insert(self.seed.of_address(address), place) {
            return Err(NoRoom);
        }
        self.free.pop();
        self.addresses[place as usize] = address.octets();
        Ok(Host::v6(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n)
    }

    fn hosts(room: usize) -> Hosts {
        Hosts::new(Rows::Own(vec![[0; 16]; room].into()), Seed([1, 2]))
    }

    #[test]
    fn an_ipv4_address_stands_for_itself() {
        let mut hosts = hosts(0);
        let address = Ipv4Addr::new(223, 255, 255, 254);
        let host = hosts.enter(address.into()).unwrap();
        assert_eq!((host, host.as_v4()), (Host::v4(address), Some(address)));
        hosts.leave(host);
        let endpoint = Endpoint { host, port: 69 };
        assert_eq!(hosts.socket_address(endpoint), "223.255.255.254:69".parse().unwrap());
    }

    #[test]
    fn an_ipv6_address_has_its_name_until_its_last_user_leaves() {
        let mut hosts = hosts(2);
        assert_eq!(hosts.find(address(1)), Host::NOBODY);
        let one = hosts.enter(address(1).into()).unwrap();
        let two = hosts.enter(address(2).into()).unwrap();
        assert_ne!(one, two);
        assert_eq!(hosts.enter(address(1).into()), Ok(one));
        assert_eq!(hosts.enter(address(3).into()), Err(NoRoom));
        assert_eq!((hosts.as_v6(one), one.as_v4()), (Some(address(1)), None));
        hosts.leave(one);
        assert_eq!(hosts.find(address(1)), one);
        hosts.leave(one);
        assert_eq!((hosts.find(address(1)), hosts.len()), (Host::NOBODY, 1));
        assert!(hosts.enter(address(3).into()).is_ok());
        assert_eq!(hosts.as_v6(Host::NOBODY), None);
    }
}
