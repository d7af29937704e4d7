//! ICMP errors.

use crate::packet::Packet;
use crate::packets::{icmp, icmpv6};
use etherparse::{Icmpv4Slice, Icmpv4Type, Icmpv6Slice, Icmpv6Type, Ipv4Header, Ipv6Header};
use std::net::IpAddr;

/// Port unreachable, over IPv4 and IPv6.
pub const REFUSED: [[u8; 2]; 2] = [[3, 3], [1, 4]];
/// Hop limit exceeded, over IPv4 and IPv6.
pub const EXPIRED: [[u8; 2]; 2] = [[11, 0], [3, 0]];
/// Packet too big, over IPv4 and IPv6.
pub const TOO_BIG: [[u8; 2]; 2] = [[3, 4], [2, 0]];

/// An ICMP error.
#[derive(Debug)]
pub struct IcmpError {
    /// Source.
    pub from: IpAddr,
    /// Destination.
    pub to: IpAddr,
    /// Type and code.
    pub what: [u8; 2],
    /// Last four bytes of the header.
    pub mtu: u32,
    /// The quoted bytes.
    pub quote: Vec<u8>,
}

impl IcmpError {
    /// Parses a frame.
    ///
    /// # Panics
    ///
    /// The frame is no ICMP error, or a checksum is wrong.
    pub fn read(frame: &[u8]) -> IcmpError {
        let (from, to, message) = match frame[12..14] {
            [8, 0] => {
                let (ip, body) = Ipv4Header::from_slice(&frame[14..]).unwrap();
                assert_eq!(ip.header_checksum, ip.calc_header_checksum(), "IPv4 checksum");
                assert_eq!(body.len(), usize::from(ip.payload_len().unwrap()));
                let message = Icmpv4Slice::from_slice(body).unwrap();
                let right = message.icmp_type().calc_checksum(message.payload());
                assert_eq!(message.checksum(), right, "ICMP checksum");
                (ip.source.into(), ip.destination.into(), body)
            }
            _ => {
                let (ip, body) = Ipv6Header::from_slice(&frame[14..]).unwrap();
                let message = Icmpv6Slice::from_slice(body).unwrap();
                assert!(message.is_checksum_valid(ip.source, ip.destination), "ICMPv6 checksum");
                (ip.source.into(), ip.destination.into(), body)
            }
        };
        IcmpError {
            from,
            to,
            what: [message[0], message[1]],
            mtu: u32::from_be_bytes(message[4..8].try_into().unwrap()),
            quote: message[8..].to_vec(),
        }
    }
}

/// An error of this type and code, from a host to the packet's sender, which quotes `bytes` bytes.
///
/// # Panics
///
/// The host has another address family.
pub fn about(packet: &Packet, from: IpAddr, what: [u8; 2], mtu: u32, bytes: usize) -> Vec<u8> {
    let quote = &packet.bytes()[14..];
    control(from, packet.source.ip(), what, mtu, &quote[..bytes.min(quote.len())])
}

/// An error of this type and code between two hosts, which quotes this packet.
///
/// # Panics
///
/// The hosts have different address families.
pub fn control(from: IpAddr, to: IpAddr, what: [u8; 2], mtu: u32, quote: &[u8]) -> Vec<u8> {
    let [kind, code] = what;
    let bytes5to8 = mtu.to_be_bytes();
    match from {
        IpAddr::V4(_) => {
            let message = Icmpv4Type::Unknown { type_u8: kind, code_u8: code, bytes5to8 };
            icmp(from, to, message, quote)
        }
        IpAddr::V6(_) => {
            let message = Icmpv6Type::Unknown { type_u8: kind, code_u8: code, bytes5to8 };
            icmpv6(from, to, message, 64, quote)
        }
    }
}
