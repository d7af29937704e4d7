//! IPv4 (RFC 791).

use crate::checksum::{self, Delta};
use std::net::Ipv4Addr;
use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The protocol field's value for ICMP.
pub const PROTOCOL_ICMP: u8 = 1;
/// The protocol field's value for UDP.
pub const PROTOCOL_UDP: u8 = 17;

/// Hops that a new packet may go (RFC 1700).
const TTL: u8 = 64;
const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// The 20 bytes of the header that are always there.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ipv4 {
    version_ihl: u8,
    /// Type of service: DSCP and ECN.
    pub tos: u8,
    total_len: U16,
    /// Which datagram a fragment is part of.
    pub id: U16,
    fragment: U16,
    ttl: u8,
    /// What the payload is: one of the `PROTOCOL_` values.
    pub protocol: u8,
    checksum: U16,
    source: U32,
    destination: U32,
}

/// Why bytes are no IPv4 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// They end before the header does.
    Truncated,
    /// The version is not 4, or the lengths contradict each other or the bytes there are.
    Contradiction,
    /// The header checksum is wrong.
    Checksum,
}

/// Bytes of a header without options.
pub const HEADER: usize = size_of::<Ipv4>();

impl Ipv4 {
    /// Checks the packet at the front of `bytes` and splits it into its header and its payload.
    /// What lies behind the packet (Ethernet padding) is left out: the length is the header's,
    /// never the frame's. Options are skipped.
    #[inline]
    pub fn split(bytes: &mut [u8]) -> Result<(&mut Ipv4, &mut [u8]), Malformed> {
        let (header, rest) = Ipv4::mut_from_prefix(bytes).map_err(|_| Malformed::Truncated)?;
        let options = header.options()?;
        let end = header.total_len().checked_sub(HEADER).ok_or(Malformed::Contradiction)?;
        let (options, payload) = rest
            .get_mut(..end)
            .and_then(|rest| rest.split_at_mut_checked(options))
            .ok_or(Malformed::Contradiction)?;
        if !checksum::is_sound([header.as_bytes(), options]) {
            return Err(Malformed::Checksum);
        }
        Ok((header, payload))
    }

    /// Bytes of options behind the 20 of the header.
    #[inline]
    fn options(&self) -> Result<usize, Malformed> {
        match self.version_ihl {
            0x45 => Ok(0),
            0x46..=0x4f => Ok(usize::from(self.version_ihl & 0xf) * 4 - HEADER),
            _ => Err(Malformed::Contradiction),
        }
    }

    /// A header without options for a payload of so many bytes. TTL 64, not to be fragmented.
    pub fn new(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr, payload: usize) -> Ipv4 {
        let mut header = Ipv4 {
            version_ihl: 0x45,
            tos: 0,
            total_len: U16::new((HEADER + payload) as u16),
            id: U16::ZERO,
            fragment: U16::new(0x4000),
            ttl: TTL,
            protocol,
            checksum: U16::ZERO,
            source: U32::new(source.to_bits()),
            destination: U32::new(destination.to_bits()),
        };
        header.checksum = U16::new(!checksum::fold(checksum::sum(header.as_bytes(), 0)));
        header
    }

    /// Whether it is version 4 without options, whole, and carries this protocol.
    #[inline]
    pub(crate) fn is_plain(&self, protocol: u8) -> bool {
        let whole = self.fragment & U16::new(MORE_FRAGMENTS | FRAGMENT_OFFSET) == U16::ZERO;
        (self.version_ihl == 0x45) & whole & (self.protocol == protocol)
    }

    /// Bytes of the whole packet.
    #[inline]
    pub fn total_len(&self) -> usize {
        usize::from(self.total_len.get())
    }

    /// Whether it is a part of a larger datagram.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        self.fragment.get() & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0
    }

    /// Who sent it.
    #[inline]
    pub fn source(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.source.get())
    }

    /// Who it is for.
    #[inline]
    pub fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.destination.get())
    }

    /// Hops it may still go.
    #[inline]
    pub fn ttl(&self) -> u8 {
        self.ttl
    }

    /// Rewrites both addresses and mends the header checksum. The pseudo header of UDP and TCP
    /// covers the addresses too: the change is returned for that.
    #[inline]
    pub fn set_addresses(&mut self, source: Ipv4Addr, destination: Ipv4Addr) -> Delta {
        self.rewrite(self.ttl, source, destination)
    }

    /// Takes one hop off and rewrites both addresses, as [`Ipv4::set_addresses`] does; `None`, and
    /// nothing is changed, when no hop is left to go.
    #[inline]
    pub fn forward(&mut self, source: Ipv4Addr, destination: Ipv4Addr) -> Option<Delta> {
        (self.ttl > 1).then(|| self.rewrite(self.ttl - 1, source, destination))
    }

    /// Gives it as many hops as a new packet.
    pub fn renew(&mut self) {
        self.checksum = self.set_ttl(TTL).mend(self.checksum);
    }

    #[inline]
    fn rewrite(&mut self, ttl: u8, source: Ipv4Addr, destination: Ipv4Addr) -> Delta {
        let (source, destination) =
            (U32::from_bytes(source.octets()), U32::from_bytes(destination.octets()));
        let addresses =
            Delta::long(self.source, source).and(Delta::long(self.destination, destination));
        self.source = source;
        self.destination = destination;
        self.checksum = self.set_ttl(ttl).and(addresses).mend(self.checksum);
        addresses
    }

    #[inline]
    fn set_ttl(&mut self, ttl: u8) -> Delta {
        let word = |ttl| U16::from_bytes([ttl, 0]);
        let delta = Delta::word(word(self.ttl), word(ttl));
        self.ttl = ttl;
        delta
    }

    /// The sum of the pseudo header that a payload of so many bytes is checksummed with.
    pub fn pseudo_sum(&self, len: u16) -> u32 {
        let addresses = checksum::sum(self.source.as_bytes(), 0);
        checksum::sum(self.destination.as_bytes(), addresses)
            + u32::from(self.protocol)
            + u32::from(len)
    }
}
