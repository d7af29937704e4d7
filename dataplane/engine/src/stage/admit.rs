//! Is it a sound IPv4 packet for us? What is not IPv4 is the kernel's.

use crate::reason::Reason;
use crate::verdict::{Step, Verdict};
use std::net::Ipv4Addr;
use wire::ethernet::{self, Ethernet, Mac};
use wire::ipv4::{Ipv4, Malformed, PROTOCOL_UDP};
use wire::plain::Plain;
use wire::udp::Udp;
use zerocopy::FromBytes;

/// A frame whose headers have been checked.
pub enum Admitted<'a> {
    /// A whole and sound UDP datagram.
    Datagram(Datagram<'a>),
    /// Anything else in IPv4.
    Other(Packet<'a>),
}

/// A UDP datagram.
pub struct Datagram<'a> {
    /// Its Ethernet header.
    pub ethernet: &'a mut Ethernet,
    /// Its IPv4 header.
    pub ip: &'a mut Ipv4,
    /// Its UDP header.
    pub udp: &'a mut Udp,
    /// What UDP carries.
    pub data: &'a [u8],
}

/// A packet whose Ethernet and IPv4 headers alone are known to be sound.
pub struct Packet<'a> {
    /// Its Ethernet header.
    pub ethernet: &'a mut Ethernet,
    /// Its IPv4 header.
    pub ip: &'a mut Ipv4,
    /// What IPv4 carries, without padding behind it.
    pub body: &'a mut [u8],
}

impl<'a> Datagram<'a> {
    /// The datagram with `len` bytes of data of a frame that [`Plain::check`] found sound.
    #[inline]
    pub fn plain(frame: &'a mut [u8], len: usize) -> Option<Datagram<'a>> {
        let (Plain { ethernet, ip, udp }, data) = Plain::split(frame, len)?;
        Some(Datagram { ethernet, ip, udp, data })
    }
}

/// Whether the frame is for the station with this hardware address, and not its own.
#[inline]
pub fn check_station(frame: &[u8], mac: Mac) -> Step<()> {
    let (ethernet, _) = Ethernet::ref_from_prefix(frame).map_err(|_| Reason::Truncated)?;
    if ethernet.source == mac {
        return Err(Reason::Looped.into());
    }
    if ethernet.destination == mac || ethernet.destination.is_group() {
        return Ok(());
    }
    Err(Reason::ForeignMac.into())
}

/// Header by header: what is wrong, or merely unusual?
pub fn admit_unusual(frame: &mut [u8]) -> Step<Admitted<'_>> {
    let (ethernet, rest) = Ethernet::mut_from_prefix(frame).map_err(|_| Reason::Truncated)?;
    if ethernet.kind != ethernet::TYPE_IPV4 {
        return Err(Verdict::Kernel);
    }
    let (ip, body) = Ipv4::split(rest).map_err(|malformed| match malformed {
        Malformed::Truncated => Reason::Truncated,
        Malformed::Contradiction => Reason::BadIpv4,
        Malformed::Checksum => Reason::BadChecksum,
    })?;
    let udp = ip.protocol == PROTOCOL_UDP && !ip.is_fragment() && Udp::is_sound(body);
    if !udp {
        return Ok(Admitted::Other(Packet { ethernet, ip, body }));
    }
    let (udp, data) = Udp::split(body).ok_or(Reason::BadUdp)?;
    Ok(Admitted::Datagram(Datagram { ethernet, ip, udp, data }))
}

/// Whether a single host can have this address (RFC 1122 §3.2.1.3).
#[inline]
pub fn is_host(address: Ipv4Addr) -> bool {
    // Not this network, loopback, multicast or reserved.
    matches!(address.octets()[0], 1..=126 | 128..=223)
}
