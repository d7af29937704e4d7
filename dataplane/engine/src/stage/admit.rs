//! Is it a sound IPv4 packet for us? What is not IPv4 is the kernel's.

use crate::reason::Reason;
use crate::tables::Interface;
use crate::verdict::{Step, Verdict};
use std::net::Ipv4Addr;
use wire::ethernet::{self, Ethernet};
use wire::ipv4::{Ipv4, Malformed};
use wire::udp::Udp;
use zerocopy::FromBytes;

/// A frame whose Ethernet and IPv4 headers have been checked.
pub struct Packet<'a> {
    /// Its Ethernet header.
    pub ethernet: &'a mut Ethernet,
    /// Its IPv4 header.
    pub ip: &'a mut Ipv4,
    /// What IPv4 carries, without padding behind it.
    pub body: &'a mut [u8],
}

/// A packet whose UDP header has been checked too.
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

/// Checks a frame that came in by `interface`.
#[inline]
pub fn admit<'a>(frame: &'a mut [u8], interface: &Interface) -> Step<Packet<'a>> {
    let (ethernet, rest) = Ethernet::mut_from_prefix(frame).map_err(|_| Reason::Truncated)?;
    if ethernet.source == interface.mac {
        return Err(Reason::Looped.into());
    }
    if ethernet.destination != interface.mac && !ethernet.destination.is_group() {
        return Err(Reason::ForeignMac.into());
    }
    if ethernet.kind != ethernet::TYPE_IPV4 {
        return Err(Verdict::Kernel);
    }
    let (ip, body) = Ipv4::split(rest).map_err(|malformed| match malformed {
        Malformed::Truncated => Reason::Truncated,
        Malformed::Contradiction => Reason::BadIpv4,
        Malformed::Checksum => Reason::BadChecksum,
    })?;
    Ok(Packet { ethernet, ip, body })
}

impl<'a> Packet<'a> {
    /// The packet as a UDP datagram. Port 0 is nobody's.
    #[inline(always)]
    pub fn datagram(self) -> Step<Datagram<'a>> {
        let Packet { ethernet, ip, body } = self;
        let (udp, data) = Udp::split(body).ok_or(Reason::BadUdp)?;
        if udp.source() == 0 || udp.destination() == 0 {
            return Err(Reason::BadUdp.into());
        }
        Ok(Datagram { ethernet, ip, udp, data })
    }
}

/// Whether a single host can have this address (RFC 1122 §3.2.1.3).
#[inline]
pub fn is_host(address: Ipv4Addr) -> bool {
    let reserved = address.octets()[0] == 0 || address.octets()[0] >= 240;
    !(reserved || address.is_loopback() || address.is_multicast())
}
