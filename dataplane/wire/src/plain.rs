//! What nearly every frame is: Ethernet II, IPv4 without options and in one piece, UDP. Then all
//! headers lie at fixed places, and one look at them all tells whether they are sound.

use crate::ethernet::Ethernet;
use crate::ip::{Ip, PROTOCOL_TCP, PROTOCOL_UDP};
use crate::ipv4::{self, Ipv4};
use crate::tcp::{self, Tcp};
use crate::udp::{self, Udp};
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The three headers.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Plain {
    /// Of the link.
    pub ethernet: Ethernet,
    /// Its length fits the frame, and its checksum is right.
    pub ip: Ipv4,
    /// Its length fits.
    pub udp: Udp,
}

/// The same with TCP.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct PlainTcp {
    /// Of the link.
    pub ethernet: Ethernet,
    /// Its length fits the frame, and its checksum is right.
    pub ip: Ipv4,
    /// Its length fits.
    pub tcp: Tcp,
}

impl PlainTcp {
    /// Bytes of data behind the headers and options, if the frame is such and sound. `None` says nothing but that
    /// it must be looked at header by header.
    #[inline]
    pub fn check(frame: &[u8]) -> Option<u32> {
        let (PlainTcp { ethernet, ip, tcp }, rest) = PlainTcp::ref_from_prefix(frame).ok()?;
        let behind = ip.total_len().wrapping_sub(ipv4::HEADER + tcp::HEADER);
        let options = tcp.header_len().wrapping_sub(tcp::HEADER);
        let plain = (ethernet.kind == U16::new(Ipv4::ETHER_TYPE))
            & ip.carries(PROTOCOL_TCP)
            & ip.is_plain()
            & (options <= behind)
            & (behind <= rest.len());
        plain.then_some(behind.wrapping_sub(options) as u32)
    }

    /// The headers of a frame that was found such, and what lies behind.
    #[inline]
    pub fn split(frame: &mut [u8]) -> Option<(&mut PlainTcp, &mut [u8])> {
        PlainTcp::mut_from_prefix(frame).ok()
    }
}

impl Plain {
    /// Bytes of data behind the headers, if the frame is such and sound. `None` says nothing but that
    /// it must be looked at header by header.
    #[inline]
    pub fn check(frame: &[u8]) -> Option<usize> {
        let (Plain { ethernet, ip, udp }, rest) = Plain::ref_from_prefix(frame).ok()?;
        // The one thing that often is another, and then all else need not be looked at.
        if !ip.carries(PROTOCOL_UDP) {
            return None;
        }
        let data = ip.total_len().wrapping_sub(ipv4::HEADER + udp::HEADER);
        // Without a branch for each: together they are nearly always true.
        let plain = (ethernet.kind == U16::new(Ipv4::ETHER_TYPE))
            & ip.is_plain()
            & (udp.total_len() == data.wrapping_add(udp::HEADER))
            & (data <= rest.len());
        plain.then_some(data)
    }

    /// The headers and so much data of a frame that was found such.
    #[inline]
    pub fn split(frame: &mut [u8], data: usize) -> Option<(&mut Plain, &mut [u8])> {
        let (plain, rest) = Plain::mut_from_prefix(frame).ok()?;
        Some((plain, rest.get_mut(..data)?))
    }
}
