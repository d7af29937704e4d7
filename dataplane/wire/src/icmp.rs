//! ICMP (RFC 792, for IPv6 RFC 4443): echoes are answered, errors read, passed on and made.

use crate::checksum::{self, Delta};
use crate::ip::{Fragment, Ip, PROTOCOL_TCP, PROTOCOL_UDP, Split};
use crate::trouble::Trouble;
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

/// Turns an echo request into its reply. Answers false, and changes nothing, when the IP payload is
/// no sound echo request. The checksum covers both addresses alike, so it does not matter when they
/// are exchanged.
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
    // In full: mending can't tell the two zeroes of one's complement apart.
    let checksum = !checksum::fold(checksum::sum(bytes, pseudo));
    if let Ok((echo, _data)) = Echo::mut_from_prefix(bytes) {
        echo.checksum = U16::new(checksum);
    }
    true
}

/// Whether it is neighbour discovery, or what belongs to it (RFC 4861: from routers and neighbours on
/// this link alone).
pub fn is_about_neighbours<H: Ip>(ip: &H, bytes: &[u8]) -> bool {
    let kind = bytes.first().copied().unwrap_or_default();
    H::NEIGHBOURS.contains(&kind) && ip.hops() == 255
}

/// Whether it is a redirect, or the first part of one.
pub fn is_redirect<H: Ip>(split: &Split<H>) -> bool {
    let begins_it = split.fragment.is_none_or(|fragment| fragment.offset == 0);
    begins_it && split.protocol == H::ICMP && split.body.first() == Some(&H::REDIRECT)
}

/// What errors begin with.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ErrorHeader {
    what: [u8; 2],
    checksum: U16,
    rest: U32,
}

/// Bytes of that.
pub const ERROR_HEADER: usize = size_of::<ErrorHeader>();

/// An error, and the packet that it is about, as far as it is there.
pub struct Quoted<'a, H> {
    /// What went wrong; `None`: something that only this version of IP knows.
    pub trouble: Option<Trouble>,
    /// The packet's IP header.
    pub ip: &'a mut H,
    /// What it carries.
    pub protocol: u8,
    /// Which part of it was sent, if it was sent in parts.
    pub fragment: Option<Fragment>,
    /// Its UDP header; of TCP, what lies there: the ports are at the same place. `None`: it has neither, or is not the
    /// first part.
    udp: Option<&'a mut Udp>,
    /// Bytes behind the IP header.
    pub len: usize,
}

impl<H> Quoted<'_, H> {
    /// Whether its ports are known.
    pub fn has_ports(&self) -> bool {
        self.udp.is_some()
    }

    /// Its sender's port; 0: it is not known.
    pub fn source(&self) -> u16 {
        self.udp.as_ref().map_or(0, |udp| udp.source())
    }

    /// Its receiver's port; 0: it is not known.
    pub fn destination(&self) -> u16 {
        self.udp.as_ref().map_or(0, |udp| udp.destination())
    }

    /// Rewrites both ports, and mends the checksum for that and for what happened to the addresses, as far as it is
    /// quoted: that of TCP mostly is not (RFC 792 asks for eight bytes), and nobody looks at it.
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

/// Reads an error; `None`: it is something else, its checksum is wrong, or too little is quoted of a TCP segment or a
/// UDP datagram.
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
    let (trouble, len) = (H::trouble(header.what, header.rest.get()), body.len());
    let udp = match protocol {
        PROTOCOL_UDP | PROTOCOL_TCP if is_first => Some(Udp::mut_from_prefix(body).ok()?.0),
        _ => None,
    };
    Some(Quoted { trouble, ip, protocol, fragment, udp, len })
}

/// Whether it begins as an error does.
pub fn is_error<H: Ip>(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|&kind| H::is_error(kind))
}

/// Makes the checksum of an error anew.
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
    /// The header of an error that says so. The checksum is yet to be made.
    pub fn new<H: Ip>(trouble: Trouble) -> ErrorHeader {
        let (what, rest) = H::error(trouble);
        ErrorHeader { what, checksum: U16::ZERO, rest: U32::new(rest) }
    }
}
