//! ICMP (RFC 792) and ICMPv6 (RFC 4443): answers echo requests; reads, translates and builds ICMP errors.

use crate::checksum::{self, Delta};
use crate::icmp_problem::IcmpProblem;
use crate::ip::{Fragment, Ip, PROTOCOL_TCP, PROTOCOL_UDP, Split};
use crate::udp::Udp;
use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Echo {
    kind: u8,
    code: u8,
    checksum: U16,
    id: U16,
    sequence: U16,
}

/// Turns an echo request into its reply. Returns false and changes nothing if the IP payload is no sound echo request.
/// The checksum covers both addresses symmetrically, so they may be exchanged before or after.
#[must_use]
pub fn answer_echo<H: Ip>(ip: &H, bytes: &mut [u8]) -> bool {
    let Ok(len) = u16::try_from(bytes.len()) else { return false };
    let pseudo = ip.icmp_sum(len);
    if checksum::fold(checksum::sum(bytes, pseudo)) != 0xffff {
        return false;
    }
    let Ok((echo, _data)) = Echo::mut_from_prefix(bytes) else { return false };
    if echo.kind != H::ECHO_REQUEST || echo.code != 0 {
        return false;
    }
    echo.kind = H::ECHO_REPLY;
    echo.checksum = U16::ZERO;
    // A full computation: an update cannot tell the two zeroes of one's complement apart.
    let checksum = !checksum::fold(checksum::sum(bytes, pseudo));
    if let Ok((echo, _data)) = Echo::mut_from_prefix(bytes) {
        echo.checksum = U16::new(checksum);
    }
    true
}

/// Whether the message belongs to neighbour discovery: from routers and neighbours on this link only (RFC 4861).
pub fn is_about_neighbours<H: Ip>(ip: &H, bytes: &[u8]) -> bool {
    let kind = bytes.first().copied().unwrap_or_default();
    H::NEIGHBOURS.contains(&kind) && ip.hops() == 255
}

/// Whether the packet is an ICMP redirect, or the first fragment of one.
pub fn is_redirect<H: Ip>(split: &Split<H>) -> bool {
    let begins_it = split.fragment.is_none_or(|fragment| fragment.offset == 0);
    begins_it && split.protocol == H::ICMP && split.body.first() == Some(&H::REDIRECT)
}

/// The 8-byte header of an ICMP error.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ErrorHeader {
    what: [u8; 2],
    checksum: U16,
    rest: U32,
}

/// Bytes of an ICMP error's header.
pub const ERROR_HEADER: usize = size_of::<ErrorHeader>();

/// An ICMP error's quoted packet, as far as it is quoted.
pub struct Quoted<'a, H> {
    /// The problem that the error reports; `None`: one that exists in this address family only.
    pub problem: Option<IcmpProblem>,
    /// The quoted IP header.
    pub ip: &'a mut H,
    /// Protocol of the quoted packet.
    pub protocol: u8,
    /// Fragment fields of the quoted packet, if it was a fragment.
    pub fragment: Option<Fragment>,
    /// The quoted UDP header; for TCP, the bytes at its place: the ports are at the same offsets. `None`: a protocol
    /// without ports, or not a first fragment.
    udp: Option<&'a mut Udp>,
    /// Bytes behind the quoted IP header.
    pub len: usize,
}

impl<H> Quoted<'_, H> {
    /// Whether the quoted packet's ports are known.
    pub fn has_ports(&self) -> bool {
        self.udp.is_some()
    }

    /// Source port of the quoted packet; 0: unknown.
    pub fn source(&self) -> u16 {
        self.udp.as_ref().map_or(0, |udp| udp.source())
    }

    /// Destination port of the quoted packet; 0: unknown.
    pub fn destination(&self) -> u16 {
        self.udp.as_ref().map_or(0, |udp| udp.destination())
    }

    /// Rewrites both ports and updates the quoted checksum for the ports and addresses, as far as it is quoted. That of
    /// TCP mostly is not, as RFC 792 asks for eight bytes, and receivers ignore it.
    pub fn set_ports(&mut self, source: u16, destination: u16, addresses: Delta) {
        match &mut self.udp {
            Some(udp) if self.protocol == PROTOCOL_UDP => {
                udp.set_ports(source, destination, addresses);
            }
            Some(tcp) => tcp.set_ports_alone(source, destination),
            None => {}
        }
    }
}

/// Parses an ICMP error. `None`: another message, a wrong checksum, or too few quoted bytes of a TCP segment or UDP
/// datagram.
pub fn split_error<'a, H: Ip>(ip: &H, bytes: &'a mut [u8]) -> Option<Quoted<'a, H>> {
    let len = u16::try_from(bytes.len()).ok()?;
    if checksum::fold(checksum::sum(bytes, ip.icmp_sum(len))) != 0xffff {
        return None;
    }
    let (header, quote) = ErrorHeader::mut_from_prefix(bytes).ok()?;
    if !H::is_error(header.what[0]) {
        return None;
    }
    let Split { ip, protocol, fragment, body } = H::split_quote(quote)?;
    let is_first = fragment.is_none_or(|fragment| fragment.offset == 0);
    let (problem, len) = (H::problem(header.what, header.rest.get()), body.len());
    let udp = match protocol {
        PROTOCOL_UDP | PROTOCOL_TCP if is_first => Some(Udp::mut_from_prefix(body).ok()?.0),
        _ => None,
    };
    Some(Quoted { problem, ip, protocol, fragment, udp, len })
}

/// Whether the bytes begin like an ICMP error.
pub fn is_error<H: Ip>(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|&kind| H::is_error(kind))
}

/// Computes the checksum of an ICMP error.
pub fn make_checksum<H: Ip>(ip: &H, bytes: &mut [u8]) {
    let len = bytes.len() as u16;
    let Ok((header, _)) = ErrorHeader::mut_from_prefix(bytes) else { return };
    header.checksum = U16::ZERO;
    let checksum = !checksum::fold(checksum::sum(bytes, ip.icmp_sum(len)));
    if let Ok((header, _)) = ErrorHeader::mut_from_prefix(bytes) {
        header.checksum = U16::new(checksum);
    }
}

impl ErrorHeader {
    /// The header of an error that reports `problem`. Its checksum is still zero.
    pub fn new<H: Ip>(problem: IcmpProblem) -> ErrorHeader {
        let (what, rest) = H::error(problem);
        ErrorHeader { what, checksum: U16::ZERO, rest: U32::new(rest) }
    }
}
