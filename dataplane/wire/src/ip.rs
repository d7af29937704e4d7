//! IP headers of either address family, as the packet path needs them.

use crate::checksum::{self, Delta};
use crate::icmp_problem::{Fields, IcmpProblem};
use std::ops::RangeInclusive;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The protocol number of TCP.
pub const PROTOCOL_TCP: u8 = 6;

/// The protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;

/// Initial hop limit (TTL) of packets that the gate originates (RFC 1700).
pub const HOPS: u8 = 64;

/// Why bytes are not a valid IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes end within the header.
    Truncated,
    /// The version differs, or the lengths contradict each other.
    Contradiction,
    /// The bytes end before the packet does.
    Short {
        /// Bytes of the packet by its header.
        len: usize,
    },
    /// The header checksum is wrong.
    Checksum,
}

/// A fragment's position in its datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Identification of the datagram, unique for source and destination: 16 bits over IPv4, 32 over IPv6.
    pub id: u32,
    /// Offset in bytes of payload.
    pub offset: usize,
    /// Whether more fragments follow.
    pub more: bool,
}

impl Fragment {
    /// From a header's fields: the offset in units of eight bytes, and the more-fragments flag. `None`: not a fragment.
    pub(crate) fn new(id: u32, eights: u16, more: bool) -> Option<Fragment> {
        let offset = usize::from(eights) * 8;
        (offset > 0 || more).then_some(Fragment { id, offset, more })
    }
}

/// A checked packet, split into header and payload.
#[derive(Debug)]
pub struct Split<'a, H> {
    /// The fixed part of the header.
    pub ip: &'a mut H,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Fragment fields, if the packet is a fragment.
    pub fragment: Option<Fragment>,
    /// The payload, without trailing bytes of the frame.
    pub body: &'a mut [u8],
}

/// An IP header without options or extension headers.
pub trait Ip: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy {
    /// A host's address.
    type Address: Copy + Eq;

    /// EtherType of the address family.
    const ETHER_TYPE: u16;
    /// Protocol number of ICMP.
    const ICMP: u8;
    /// ICMP type of an echo request.
    const ECHO_REQUEST: u8;
    /// ICMP type of an echo reply.
    const ECHO_REPLY: u8;
    /// ICMP type of a redirect.
    const REDIRECT: u8;
    /// Bytes of the offending packet that an ICMP error quotes, chosen so that the error fits every link.
    const QUOTE: usize;
    /// ICMP types of neighbour discovery.
    const NEIGHBOURS: RangeInclusive<u8>;
    /// Whether UDP may go without a checksum.
    const UNSUMMED_UDP: bool;
    /// Byte ranges of the header's fields.
    const FIELDS: Fields;
    /// The header between IP header and payload of a fragment: none over IPv4.
    type FragmentHeader: IntoBytes + Immutable;

    /// A header for a payload of `payload` bytes, with fragmentation forbidden.
    fn new(protocol: u8, source: Self::Address, destination: Self::Address, payload: usize)
    -> Self;

    /// Checks the packet at the front of `bytes` and splits it. The length is that of the header, never that of the
    /// frame: trailing bytes such as Ethernet padding are left out.
    ///
    /// # Errors
    ///
    /// The packet's first fault.
    fn split(bytes: &mut [u8]) -> Result<Split<'_, Self>, Malformed>;

    /// Splits a packet that an ICMP error quotes. Checks only that the headers are complete, as the quote may lack the
    /// packet's end.
    fn split_quote(bytes: &mut [u8]) -> Option<Split<'_, Self>>;

    /// Whether ICMP messages of this type are errors, and so quote a packet.
    fn is_error(kind: u8) -> bool;

    /// The problem that an error of this type and code reports; `rest` is the last four bytes of its header. `None`: a
    /// problem that the other address family does not have.
    fn problem(what: [u8; 2], rest: u32) -> Option<IcmpProblem>;

    /// Type, code and the last four header bytes of an error that reports `problem`.
    fn error(problem: IcmpProblem) -> ([u8; 2], u32);

    /// Bytes of the whole packet.
    fn total_len(&self) -> usize;

    /// Hop limit (TTL).
    fn hops(&self) -> u8;

    /// Adjusts the length fields after a part of the payload changed from `before` to `after` bytes.
    fn resize(&mut self, before: usize, after: usize);

    /// Source address.
    fn source(&self) -> Self::Address;

    /// Destination address.
    fn destination(&self) -> Self::Address;

    /// Rewrites both addresses. The returned change must be applied to every checksum that covers them, besides the
    /// header's own.
    fn set_addresses(&mut self, source: Self::Address, destination: Self::Address) -> Delta;

    /// Decrements the hop limit and rewrites both addresses like [`Ip::set_addresses`]. Returns `None` and changes
    /// nothing if the hop limit has expired.
    fn forward(&mut self, source: Self::Address, destination: Self::Address) -> Option<Delta>;

    /// Sets the hop limit (TTL).
    fn set_hops(&mut self, hops: u8);

    /// Traffic class: DSCP and ECN.
    fn class(&self) -> u8;

    /// Sets the traffic class.
    fn set_class(&mut self, class: u8);

    /// Sets a fragment's identification over IPv4. Over IPv6 it is in the fragment header.
    fn renumber(&mut self, id: u16);

    /// Turns the header into that of a fragment.
    fn make_fragment(&mut self, part: Fragment) -> Self::FragmentHeader;

    /// Permits fragmentation, with this identification. Over IPv6 only senders fragment, and this does nothing.
    fn allow_fragments(&mut self, id: u16);

    /// Both addresses, contiguous, as they are in the header.
    fn addresses(&self) -> &[u8];

    /// The pseudo header's sum for a payload of `len` bytes.
    fn pseudo_sum(&self, protocol: u8, len: u16) -> u32 {
        checksum::sum(self.addresses(), 0) + u32::from(protocol) + u32::from(len)
    }

    /// The pseudo header's sum for ICMP.
    fn icmp_sum(&self, len: u16) -> u32;
}
