//! Control messages about packets that could not go on.

use crate::packet::Packet;
use crate::story::{icmp, icmpv6};
use etherparse::{Icmpv4Slice, Icmpv4Type, Icmpv6Slice, Icmpv6Type, Ipv4Header, Ipv6Header};
use std::net::IpAddr;

/// A port that nobody listens on, over IPv4 and over IPv6.
pub const REFUSED: [[u8; 2]; 2] = [[3, 3], [1, 4]];
/// No hop left, likewise.
pub const EXPIRED: [[u8; 2]; 2] = [[11, 0], [3, 0]];
/// Larger than a link, likewise.
pub const TOO_BIG: [[u8; 2]; 2] = [[3, 4], [2, 0]];

/// One message, read.
#[derive(Debug)]
pub struct Notice {
    /// Who sent it.
    pub from: IpAddr,
    /// Who it is for.
    pub to: IpAddr,
    /// Kind and code.
    pub what: [u8; 2],
    /// The last four bytes of its header.
    pub mtu: u32,
    /// What it quotes.
    pub quote: Vec<u8>,
}

impl Notice {
    /// Reads a frame.
    ///
    /// # Panics
    ///
    /// It is no control message, or one of its checksums is wrong.
    pub fn read(frame: &[u8]) -> Notice {
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
        Notice {
            from,
            to,
            what: [message[0], message[1]],
            mtu: u32::from_be_bytes(message[4..8].try_into().unwrap()),
            quote: message[8..].to_vec(),
        }
    }
}

/// A message of this kind, from a station to the sender of this packet, which it quotes so many bytes of.
///
/// # Panics
///
/// The station is of another version of IP.
pub fn about(packet: &Packet, from: IpAddr, what: [u8; 2], mtu: u32, bytes: usize) -> Vec<u8> {
    let quote = &packet.bytes()[14..];
    control(from, packet.source.ip(), what, mtu, &quote[..bytes.min(quote.len())])
}

/// A message of this kind between two stations, which quotes this packet.
///
/// # Panics
///
/// They are of different versions of IP.
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
