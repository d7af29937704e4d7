//! IPv4 (RFC 791).

use crate::checksum::{self, Delta};
use crate::icmp_problem::{Fields, IcmpProblem};
use crate::ip::{Fragment, HOPS, Ip, Malformed, Split};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// The fixed 20 bytes of the header.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ipv4 {
    version_ihl: u8,
    tos: u8,
    total_len: U16,
    id: U16,
    fragment: U16,
    ttl: u8,
    protocol: u8,
    checksum: U16,
    source: U32,
    destination: U32,
}

/// Bytes of a header without options.
pub const HEADER: usize = size_of::<Ipv4>();

impl Ipv4 {
    /// Bytes of options.
    #[inline]
    fn options(&self) -> Result<usize, Malformed> {
        match self.version_ihl {
            0x45 => Ok(0),
            0x46..=0x4f => Ok(usize::from(self.version_ihl & 0xf) * 4 - HEADER),
            _ => Err(Malformed::Contradiction),
        }
    }

    fn part(&self) -> Option<Fragment> {
        let (field, id) = (self.fragment.get(), self.id.get());
        Fragment::new(id.into(), field & FRAGMENT_OFFSET, field & MORE_FRAGMENTS != 0)
    }

    #[inline]
    fn is_fragment(&self) -> bool {
        self.fragment & U16::new(MORE_FRAGMENTS | FRAGMENT_OFFSET) != U16::ZERO
    }

    /// Whether the payload's protocol is `protocol`.
    #[inline(always)]
    pub(crate) fn carries(&self, protocol: u8) -> bool {
        self.protocol == protocol
    }

    /// Whether the header has no options, is valid, and belongs to no fragment.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        (self.version_ihl == 0x45)
            & !self.is_fragment()
            & checksum::is_sound([self.as_bytes(), &[]])
    }

    fn set_fragment(&mut self, id: u16, fragment: u16) {
        let (id, fragment) = (U16::new(id), U16::new(fragment));
        let delta = Delta::word(self.id, id).and(Delta::word(self.fragment, fragment));
        self.checksum = delta.mend(self.checksum);
        (self.id, self.fragment) = (id, fragment);
    }

    #[inline(always)]
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
}

impl Ip for Ipv4 {
    type Address = Ipv4Addr;

    const ETHER_TYPE: u16 = 0x0800;
    const ICMP: u8 = 1;
    const ECHO_REQUEST: u8 = 8;
    const ECHO_REPLY: u8 = 0;
    const REDIRECT: u8 = 5;
    /// RFC 1812 §4.3.2.3: an ICMP error has at most 576 bytes.
    const QUOTE: usize = 576 - HEADER - 8;
    /// Empty: IPv4 uses ARP.
    #[allow(clippy::reversed_empty_ranges)]
    const NEIGHBOURS: RangeInclusive<u8> = 1..=0;
    const UNSUMMED_UDP: bool = true;
    const FIELDS: Fields = [0..=0, 1..=1, 2..=3, 9..=9, 8..=8, 12..=15, 16..=19];
    type FragmentHeader = ();

    fn new(protocol: u8, source: Ipv4Addr, destination: Ipv4Addr, payload: usize) -> Ipv4 {
        let mut header = Ipv4 {
            version_ihl: 0x45,
            tos: 0,
            total_len: U16::new((HEADER + payload) as u16),
            id: U16::ZERO,
            fragment: U16::new(0x4000),
            ttl: HOPS,
            protocol,
            checksum: U16::ZERO,
            source: U32::new(source.to_bits()),
            destination: U32::new(destination.to_bits()),
        };
        header.checksum = U16::new(!checksum::fold(checksum::sum(header.as_bytes(), 0)));
        header
    }

    /// Splits the packet and skips options.
    #[inline]
    fn split(bytes: &mut [u8]) -> Result<Split<'_, Ipv4>, Malformed> {
        let (ip, rest) = Ipv4::mut_from_prefix(bytes).map_err(|_| Malformed::Truncated)?;
        let options = ip.options()?;
        let end = ip.total_len().checked_sub(HEADER).ok_or(Malformed::Contradiction)?;
        let rest = rest.get_mut(..end).ok_or(Malformed::Short { len: HEADER + end })?;
        let (options, body) = rest.split_at_mut_checked(options).ok_or(Malformed::Contradiction)?;
        if !checksum::is_sound([ip.as_bytes(), options]) {
            return Err(Malformed::Checksum);
        }
        Ok(Split { protocol: ip.protocol, fragment: ip.part(), ip, body })
    }

    fn split_quote(bytes: &mut [u8]) -> Option<Split<'_, Ipv4>> {
        let (ip, rest) = Ipv4::mut_from_prefix(bytes).ok()?;
        let body = rest.get_mut(ip.options().ok()?..)?;
        Some(Split { protocol: ip.protocol, fragment: ip.part(), ip, body })
    }

    fn is_error(kind: u8) -> bool {
        matches!(kind, 3 | 11 | 12)
    }

    fn problem(what: [u8; 2], rest: u32) -> Option<IcmpProblem> {
        Some(match what {
            [3, 0 | 1 | 5..=8 | 11 | 12] => IcmpProblem::NoRoute,
            [3, 2] => IcmpProblem::NoProtocol,
            [3, 3] => IcmpProblem::NoPort,
            [3, 4] => IcmpProblem::TooBig((rest as u16).saturating_sub(HEADER as u16)),
            [3, 9 | 10 | 13 | 15] => IcmpProblem::Prohibited,
            [11, 0] => IcmpProblem::Expired,
            [11, 1] => IcmpProblem::Incomplete,
            [12, 0 | 2] => IcmpProblem::at(rest >> 24, &Ipv4::FIELDS)?,
            _ => return None,
        })
    }

    fn error(problem: IcmpProblem) -> ([u8; 2], u32) {
        match problem {
            IcmpProblem::NoRoute => ([3, 1], 0),
            IcmpProblem::NoProtocol => ([3, 2], 0),
            IcmpProblem::NoPort => ([3, 3], 0),
            IcmpProblem::TooBig(room) => ([3, 4], u32::from(room.saturating_add(HEADER as u16))),
            IcmpProblem::Prohibited => ([3, 10], 0),
            IcmpProblem::Expired => ([11, 0], 0),
            IcmpProblem::Incomplete => ([11, 1], 0),
            IcmpProblem::Malformed(field) => {
                ([12, 0], u32::from(*Ipv4::FIELDS[field].start()) << 24)
            }
        }
    }

    #[inline]
    fn total_len(&self) -> usize {
        usize::from(self.total_len.get())
    }

    fn resize(&mut self, before: usize, after: usize) {
        let len = self.total_len().saturating_add(after).saturating_sub(before);
        let len = U16::new(len as u16);
        self.checksum = Delta::word(self.total_len, len).mend(self.checksum);
        self.total_len = len;
    }

    #[inline]
    fn hops(&self) -> u8 {
        self.ttl
    }

    #[inline]
    fn source(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.source.get())
    }

    #[inline]
    fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.destination.get())
    }

    #[inline]
    fn set_addresses(&mut self, source: Ipv4Addr, destination: Ipv4Addr) -> Delta {
        self.rewrite(self.ttl, source, destination)
    }

    #[inline(always)]
    fn forward(&mut self, source: Ipv4Addr, destination: Ipv4Addr) -> Option<Delta> {
        // No closure: it would be a call on every packet's path.
        if self.ttl > 1 { Some(self.rewrite(self.ttl - 1, source, destination)) } else { None }
    }

    fn set_hops(&mut self, hops: u8) {
        self.checksum = self.set_ttl(hops).mend(self.checksum);
    }

    fn class(&self) -> u8 {
        self.tos
    }

    fn set_class(&mut self, class: u8) {
        let word = |tos| U16::from_bytes([0, tos]);
        self.checksum = Delta::word(word(self.tos), word(class)).mend(self.checksum);
        self.tos = class;
    }

    fn renumber(&mut self, id: u16) {
        let id = U16::new(id);
        self.checksum = Delta::word(self.id, id).mend(self.checksum);
        self.id = id;
    }

    fn make_fragment(&mut self, part: Fragment) {
        let more = if part.more { MORE_FRAGMENTS } else { 0 };
        self.set_fragment(part.id as u16, (part.offset / 8) as u16 | more);
    }

    fn allow_fragments(&mut self, id: u16) {
        self.set_fragment(id, 0);
    }

    fn addresses(&self) -> &[u8] {
        &self.as_bytes()[12..]
    }

    /// ICMP has no pseudo header (RFC 792).
    fn icmp_sum(&self, _: u16) -> u32 {
        0
    }
}
