//! IPv6 (RFC 8200).
//!
//! ```text
//!  0                      4             6         7       8              24             40
//!  | version class label  | payload len | next    | hops  | source       | destination  | extensions
//! ```

use crate::checksum::Delta;
use crate::icmp_problem::{Fields, IcmpProblem};
use crate::ip::{Fragment, HOPS, Ip, Malformed, Split};
use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const VERSION: u8 = 6;

/// The MTU that every link has (RFC 8200 §5).
const LEAST_MTU: u32 = 1280;

/// Extension headers that are skipped to find the payload (RFC 8200 §4.1). Mobility (RFC 6275 §6.1.1) is not among
/// them.
mod extension {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const DESTINATION: u8 = 60;
}

/// Most extension headers that are skipped in one packet. No real sender has more, and each takes time.
const MOST_EXTENSIONS: usize = 8;

/// The fixed 40 bytes of the header.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ipv6 {
    version_class_label: U32,
    payload_len: U16,
    next: u8,
    hops: u8,
    source: [u8; 16],
    destination: [u8; 16],
}

/// Bytes of the fixed header.
pub const HEADER: usize = size_of::<Ipv6>();

/// The first eight bytes of any extension header. In a fragment header, `len` is unused; the next two bytes hold the
/// offset and the more-fragments flag, the last four the identification.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Extension {
    next: u8,
    len: u8,
    fragment: U16,
    rest: [u8; 4],
}

impl Extension {
    /// Bytes of the extension header, if its type is `kind`.
    fn size(&self, kind: u8) -> usize {
        match kind {
            extension::FRAGMENT => size_of::<Extension>(),
            _ => 8 + usize::from(self.len) * 8,
        }
    }

    /// Whether a routing header has segments left: the packet is not at its destination yet.
    fn is_on_its_way(&self) -> bool {
        let segments_left = self.fragment.to_bytes()[1];
        segments_left != 0
    }
}

/// The upper-layer payload.
struct Upper {
    protocol: u8,
    fragment: Option<Fragment>,
    /// Bytes of extension headers.
    at: usize,
}

impl Upper {
    /// Finds the payload behind the extension headers at the front of `bytes`. An unknown header counts as payload.
    fn find(first: u8, bytes: &[u8]) -> Result<Upper, Malformed> {
        let mut upper = Upper { protocol: first, fragment: None, at: 0 };
        for nth in 0..MOST_EXTENSIONS {
            match upper.protocol {
                extension::HOP_BY_HOP if nth == 0 => {}
                extension::ROUTING | extension::FRAGMENT | extension::DESTINATION => {}
                _ => break,
            }
            let (header, _) = Extension::ref_from_prefix(bytes.get(upper.at..).unwrap_or_default())
                .map_err(|_| Malformed::Contradiction)?;
            if upper.protocol == extension::ROUTING && header.is_on_its_way() {
                break;
            }
            if upper.protocol == extension::FRAGMENT {
                // An atomic fragment (RFC 6946) is a whole packet.
                let field = header.fragment.get();
                let id = u32::from_be_bytes(header.rest);
                upper.fragment = Fragment::new(id, field >> 3, field & 1 == 1);
            }
            upper.at += header.size(upper.protocol);
            upper.protocol = header.next;
            if upper.fragment.is_some() {
                break;
            }
        }
        if upper.at > bytes.len() { Err(Malformed::Contradiction) } else { Ok(upper) }
    }
}

impl Ipv6 {
    fn version(&self) -> u8 {
        self.version_class_label.to_bytes()[0] >> 4
    }

    /// Whether ICMPv6 follows without any extension header.
    pub(crate) fn is_icmp(&self) -> bool {
        self.next == Ipv6::ICMP
    }
}

impl Ip for Ipv6 {
    type Address = Ipv6Addr;

    const ETHER_TYPE: u16 = 0x86dd;
    const ICMP: u8 = 58;
    const ECHO_REQUEST: u8 = 128;
    const ECHO_REPLY: u8 = 129;
    const REDIRECT: u8 = 137;
    /// RFC 4443 §2.4: an ICMP error has at most 1280 bytes.
    const QUOTE: usize = 1280 - HEADER - 8;
    /// RFC 4861 §4.
    const NEIGHBOURS: RangeInclusive<u8> = 133..=137;
    /// RFC 8200 §8.1.
    const UNSUMMED_UDP: bool = false;
    const FIELDS: Fields = [0..=0, 1..=1, 4..=5, 6..=6, 7..=7, 8..=23, 24..=39];
    type FragmentHeader = Extension;

    fn new(protocol: u8, source: Ipv6Addr, destination: Ipv6Addr, payload: usize) -> Ipv6 {
        Ipv6 {
            version_class_label: U32::new(u32::from(VERSION) << 28),
            payload_len: U16::new(payload as u16),
            next: protocol,
            hops: HOPS,
            source: source.octets(),
            destination: destination.octets(),
        }
    }

    /// Splits the packet and skips known extension headers.
    fn split(bytes: &mut [u8]) -> Result<Split<'_, Ipv6>, Malformed> {
        let (ip, rest) = Ipv6::mut_from_prefix(bytes).map_err(|_| Malformed::Truncated)?;
        if ip.version() != VERSION {
            return Err(Malformed::Contradiction);
        }
        let len = usize::from(ip.payload_len.get());
        let rest = rest.get_mut(..len).ok_or(Malformed::Short { len: ip.total_len() })?;
        let Upper { protocol, fragment, at } = Upper::find(ip.next, rest)?;
        Ok(Split { ip, protocol, fragment, body: &mut rest[at..] })
    }

    fn split_quote(bytes: &mut [u8]) -> Option<Split<'_, Ipv6>> {
        let (ip, rest) = Ipv6::mut_from_prefix(bytes).ok()?;
        let Upper { protocol, fragment, at } = Upper::find(ip.next, rest).ok()?;
        Some(Split { ip, protocol, fragment, body: rest.get_mut(at..)? })
    }

    fn is_error(kind: u8) -> bool {
        (1..=4).contains(&kind)
    }

    fn problem(what: [u8; 2], rest: u32) -> Option<IcmpProblem> {
        Some(match what {
            [1, 0 | 2 | 3] => IcmpProblem::NoRoute,
            [1, 1] => IcmpProblem::Prohibited,
            [1, 4] => IcmpProblem::NoPort,
            [2, _] => {
                let mtu = u16::try_from(rest).unwrap_or(u16::MAX);
                IcmpProblem::TooBig(mtu.saturating_sub(HEADER as u16))
            }
            [3, 0] => IcmpProblem::Expired,
            [3, 1] => IcmpProblem::Incomplete,
            [4, 0] => IcmpProblem::at(rest, &Ipv6::FIELDS)?,
            [4, 1] => IcmpProblem::NoProtocol,
            _ => return None,
        })
    }

    fn error(problem: IcmpProblem) -> ([u8; 2], u32) {
        match problem {
            IcmpProblem::NoRoute => ([1, 0], 0),
            IcmpProblem::Prohibited => ([1, 1], 0),
            IcmpProblem::NoPort => ([1, 4], 0),
            IcmpProblem::TooBig(room) => ([2, 0], LEAST_MTU.max(u32::from(room) + HEADER as u32)),
            IcmpProblem::Expired => ([3, 0], 0),
            IcmpProblem::Incomplete => ([3, 1], 0),
            IcmpProblem::Malformed(field) => ([4, 0], u32::from(*Ipv6::FIELDS[field].start())),
            // The pointer is at the next-header field.
            IcmpProblem::NoProtocol => ([4, 1], 6),
        }
    }

    #[inline]
    fn total_len(&self) -> usize {
        HEADER + usize::from(self.payload_len.get())
    }

    fn resize(&mut self, before: usize, after: usize) {
        let len = usize::from(self.payload_len.get()).saturating_add(after).saturating_sub(before);
        self.payload_len = U16::new(len as u16);
    }

    #[inline]
    fn hops(&self) -> u8 {
        self.hops
    }

    #[inline]
    fn source(&self) -> Ipv6Addr {
        Ipv6Addr::from_octets(self.source)
    }

    #[inline]
    fn destination(&self) -> Ipv6Addr {
        Ipv6Addr::from_octets(self.destination)
    }

    #[inline]
    fn set_addresses(&mut self, source: Ipv6Addr, destination: Ipv6Addr) -> Delta {
        let (source, destination) = (source.octets(), destination.octets());
        let delta =
            Delta::bytes(self.source, source).and(Delta::bytes(self.destination, destination));
        self.source = source;
        self.destination = destination;
        delta
    }

    #[inline]
    fn forward(&mut self, source: Ipv6Addr, destination: Ipv6Addr) -> Option<Delta> {
        if self.hops <= 1 {
            return None;
        }
        self.hops -= 1;
        Some(self.set_addresses(source, destination))
    }

    fn set_hops(&mut self, hops: u8) {
        self.hops = hops;
    }

    fn class(&self) -> u8 {
        (self.version_class_label.get() >> 20) as u8
    }

    fn set_class(&mut self, class: u8) {
        let others = self.version_class_label.get() & !(0xff << 20);
        self.version_class_label = U32::new(others | u32::from(class) << 20);
    }

    fn renumber(&mut self, _: u16) {}

    fn make_fragment(&mut self, part: Fragment) -> Extension {
        let next = std::mem::replace(&mut self.next, extension::FRAGMENT);
        self.payload_len = U16::new(self.payload_len.get() + size_of::<Extension>() as u16);
        let fragment = U16::new(part.offset as u16 | u16::from(part.more));
        Extension { next, len: 0, fragment, rest: part.id.to_be_bytes() }
    }

    fn allow_fragments(&mut self, _: u16) {}

    fn addresses(&self) -> &[u8] {
        &self.as_bytes()[8..]
    }

    /// RFC 4443 §2.3.
    fn icmp_sum(&self, len: u16) -> u32 {
        self.pseudo_sum(Ipv6::ICMP, len)
    }
}
