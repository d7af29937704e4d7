//! The common frame: Ethernet II, IPv4 without options and not a fragment, then UDP or TCP. All headers are at fixed
//! offsets, so that one check covers them all.

use crate::ethernet::Ethernet;
use crate::ip::{Ip, PROTOCOL_TCP, PROTOCOL_UDP};
use crate::ipv4::{self, Ipv4};
use crate::tcp::{self, Tcp};
use crate::udp::{self, Udp};
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Headers of a common UDP frame.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Plain {
    /// Ethernet header.
    pub ethernet: Ethernet,
    /// IPv4 header. Its length fits the frame, and its checksum is right.
    pub ip: Ipv4,
    /// UDP header. Its length fits the packet.
    pub udp: Udp,
}

/// Headers of a common TCP frame.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct PlainTcp {
    /// Ethernet header.
    pub ethernet: Ethernet,
    /// IPv4 header. Its length fits the frame, and its checksum is right.
    pub ip: Ipv4,
    /// TCP header. Its length fits the packet.
    pub tcp: Tcp,
}

impl PlainTcp {
    /// Bytes of data behind headers and options, if the frame is a sound common TCP frame. `None` means only that the
    /// frame must be parsed header by header.
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

    /// Splits a checked frame into the headers and the rest: options and data.
    #[inline]
    pub fn split(frame: &mut [u8]) -> Option<(&mut PlainTcp, &mut [u8])> {
        PlainTcp::mut_from_prefix(frame).ok()
    }
}

impl Plain {
    /// Bytes of data behind the headers, if the frame is a sound common UDP frame. `None` means only that the frame
    /// must be parsed header by header.
    #[inline]
    pub fn check(frame: &[u8]) -> Option<usize> {
        let (Plain { ethernet, ip, udp }, rest) = Plain::ref_from_prefix(frame).ok()?;
        // The protocol differs most often; then the rest need not be checked.
        if !ip.carries(PROTOCOL_UDP) {
            return None;
        }
        let data = ip.total_len().wrapping_sub(ipv4::HEADER + udp::HEADER);
        // One branch instead of one per condition: together they are nearly always true.
        let plain = (ethernet.kind == U16::new(Ipv4::ETHER_TYPE))
            & ip.is_plain()
            & (udp.total_len() == data.wrapping_add(udp::HEADER))
            & (data <= rest.len());
        plain.then_some(data)
    }

    /// Splits a checked frame into the headers and `data` bytes of payload.
    #[inline]
    pub fn split(frame: &mut [u8], data: usize) -> Option<(&mut Plain, &mut [u8])> {
        let (plain, rest) = Plain::mut_from_prefix(frame).ok()?;
        Some((plain, rest.get_mut(..data)?))
    }
}
