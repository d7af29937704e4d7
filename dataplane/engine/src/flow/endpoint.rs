//! Endpoints: a host and a port.

use std::net::Ipv4Addr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An interned address: the number that stands for it within one worker.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(transparent)]
pub struct HostId(u32);

/// An endpoint: host and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Host.
    pub host: HostId,
    /// Port.
    pub port: u16,
}

/// The lowest id of an IPv6 address.
const FIRST: u32 = 0xf000_0000;

impl HostId {
    /// Stands for an IPv6 address without an id.
    pub const NOBODY: HostId = HostId(u32::MAX);

    /// The id of an IPv4 address.
    #[inline]
    pub fn v4(address: Ipv4Addr) -> HostId {
        HostId(address.to_bits())
    }

    /// The IPv4 address, if the id stands for one.
    #[inline]
    pub fn as_v4(self) -> Option<Ipv4Addr> {
        (self.0 < FIRST).then(|| Ipv4Addr::from_bits(self.0))
    }

    /// Whether the id stands for an IPv6 address.
    #[inline]
    pub fn is_v6(self) -> bool {
        self.0 >= FIRST
    }

    /// The id's bits.
    #[inline]
    pub fn to_bits(self) -> u32 {
        self.0
    }

    /// The id with these bits.
    #[inline]
    pub fn from_bits(bits: u32) -> HostId {
        HostId(bits)
    }

    pub(super) fn v6(place: u32) -> HostId {
        HostId(FIRST + place)
    }

    pub(super) fn place(self) -> Option<usize> {
        self.0.checked_sub(FIRST).map(|place| place as usize)
    }
}
