//! What the packet path asks of an IP header, of either version.

use crate::checksum::{self, Delta};
use crate::trouble::{Fields, Trouble};
use std::ops::RangeInclusive;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The protocol number of TCP.
pub const PROTOCOL_TCP: u8 = 6;

/// The protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;

/// Hops that a new packet may go (RFC 1700).
pub const HOPS: u8 = 64;

/// Why bytes are no IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// They end before the header does.
    Truncated,
    /// The version is another, or the lengths contradict each other.
    Contradiction,
    /// They end before the packet does.
    Short {
        /// Bytes of the packet, as its header says.
        len: usize,
    },
    /// The header checksum is wrong.
    Checksum,
}

/// A part's place in its datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Which datagram of its sender to its receiver: 16 bits over IPv4, 32 over IPv6.
    pub id: u32,
    /// Bytes of payload before it.
    pub offset: usize,
    /// Whether there is more behind it.
    pub more: bool,
}

impl Fragment {
    /// Of a header's field: the offset in eights of bytes, and whether there is more; `None`: the whole
    /// datagram.
    pub(crate) fn new(id: u32, eights: u16, more: bool) -> Option<Fragment> {
        let offset = usize::from(eights) * 8;
        (offset > 0 || more).then_some(Fragment { id, offset, more })
    }
}

/// A checked packet in its parts.
#[derive(Debug)]
pub struct Split<'a, H> {
    /// The part of the header that is always there.
    pub ip: &'a mut H,
    /// What the payload is.
    pub protocol: u8,
    /// Which part of a larger payload it is, if it is one.
    pub fragment: Option<Fragment>,
    /// The payload, without what lies behind the packet in its frame.
    pub body: &'a mut [u8],
}

/// An IP header without options or extension headers.
pub trait Ip: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy {
    /// A host's address.
    type Address: Copy + Eq;

    /// Ethernet's type field for it.
    const ETHER_TYPE: u16;
    /// The protocol number of its control messages.
    const ICMP: u8;
    /// The control message that asks for an echo.
    const ECHO_REQUEST: u8;
    /// The control message that is one.
    const ECHO_REPLY: u8;
    /// The control message of a router that knows a better one.
    const REDIRECT: u8;
    /// Bytes of an offending packet that its sender is sent back: so many that the answer goes over every
    /// link.
    const QUOTE: usize;
    /// The control messages that find neighbours.
    const NEIGHBOURS: RangeInclusive<u8>;
    /// Whether UDP over it may go without a checksum.
    const UNSUMMED_UDP: bool;
    /// Where its fields lie.
    const FIELDS: Fields;
    /// What lies between the header and the payload of a part.
    type PartHeader: IntoBytes + Immutable;

    /// A header for a payload of so many bytes, which is not to be fragmented.
    fn new(protocol: u8, source: Self::Address, destination: Self::Address, payload: usize)
    -> Self;

    /// Checks the packet at the front of `bytes` and splits it. What lies behind the packet
    /// (Ethernet padding) is left out: the length is the header's, never the frame's.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn split(bytes: &mut [u8]) -> Result<Split<'_, Self>, Malformed>;

    /// Splits a packet that an error message quotes: checked no further than that its parts are there, since
    /// its end may be missing.
    fn split_quote(bytes: &mut [u8]) -> Option<Split<'_, Self>>;

    /// Whether a control message of this kind tells of an error, and so quotes a packet.
    fn is_error(kind: u8) -> bool;

    /// What an error of this kind and code says, the last four bytes of whose header are `rest`; `None`:
    /// nothing that the other version of IP could.
    fn trouble(what: [u8; 2], rest: u32) -> Option<Trouble>;

    /// Kind, code and the last four bytes of the header of an error that says so.
    fn error(trouble: Trouble) -> ([u8; 2], u32);

    /// Bytes of the whole packet.
    fn total_len(&self) -> usize;

    /// Hops it may still go.
    fn hops(&self) -> u8;

    /// A part of its payload was so many bytes long, and has another length now.
    fn resize(&mut self, before: usize, after: usize);

    /// Who sent it.
    fn source(&self) -> Self::Address;

    /// Who it is for.
    fn destination(&self) -> Self::Address;

    /// Rewrites both addresses. Whatever checksum covers them besides the header's own is to be
    /// mended by the answer.
    fn set_addresses(&mut self, source: Self::Address, destination: Self::Address) -> Delta;

    /// Takes one hop off and rewrites both addresses, as [`Ip::set_addresses`] does; `None`, and
    /// nothing is changed, when no hop is left to go.
    fn forward(&mut self, source: Self::Address, destination: Self::Address) -> Option<Delta>;

    /// Gives it so many hops to go.
    fn set_hops(&mut self, hops: u8);

    /// How it is to be treated on the way: DSCP and ECN.
    fn class(&self) -> u8;

    /// The same from now on.
    fn set_class(&mut self, class: u8);

    /// Gives a part another number, if the header has it; IPv6 has it elsewhere.
    fn renumber(&mut self, id: u16);

    /// Makes it the header of a part of its payload.
    fn make_part(&mut self, part: Fragment) -> Self::PartHeader;

    /// Lets it be fragmented, as the part of no other datagram than this one of its sender's. Over IPv6
    /// only a sender fragments, and this does nothing.
    fn allow_fragments(&mut self, id: u16);

    /// The addresses as they lie in the header, one behind the other.
    fn addresses(&self) -> &[u8];

    /// The sum of the pseudo header that a payload of so many bytes is checksummed with.
    fn pseudo_sum(&self, protocol: u8, len: u16) -> u32 {
        checksum::sum(self.addresses(), 0) + u32::from(protocol) + u32::from(len)
    }

    /// The same for its control messages.
    fn icmp_sum(&self, len: u16) -> u32;
}
