//! Who has which address on a link: ARP (RFC 826) and neighbour discovery (RFC 4861), as far as it takes to announce that
//! an address is ours.

use crate::ethernet::{Ethernet, Mac};
use crate::icmp;
use crate::ip::Ip;
use crate::ipv6::Ipv6;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Ethernet's type field for ARP.
pub const ARP: u16 = 0x0806;

/// The multicast group of all nodes of a link, and its hardware address (RFC 2464 §7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);

/// ARP of IPv4 over Ethernet.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Arp {
    kind: ArpKind,
    sender: Mac,
    sender_address: U32,
    target: Mac,
    target_address: U32,
}

#[derive(PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ArpKind {
    hardware: U16,
    protocol: U16,
    lens: [u8; 2],
    operation: U16,
}

impl ArpKind {
    const REQUEST: ArpKind = ArpKind::new(1);

    const fn new(operation: u16) -> ArpKind {
        ArpKind {
            hardware: U16::new(1),
            protocol: U16::new(0x0800),
            lens: [6, 4],
            operation: U16::new(operation),
        }
    }
}

/// A neighbour solicitation or advertisement, without options (RFC 4861 §4.3, §4.4).
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Discovery {
    kind: u8,
    code: u8,
    checksum: U16,
    flags: U32,
    target: [u8; 16],
}

/// The option that says a target's hardware address (RFC 4861 §4.6.1).
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct TargetIsAt {
    kind: u8,
    eights: u8,
    mac: Mac,
}

impl TargetIsAt {
    fn new(mac: Mac) -> TargetIsAt {
        TargetIsAt { kind: 2, eights: 1, mac }
    }
}

const ADVERTISEMENT: u8 = 136;
/// Whoever knows another station takes this one.
const OVERRIDE: u32 = 1 << 29;

/// The frame that says unasked that `address` is at `mac`: gratuitous ARP (RFC 5227 §3), or an advertisement to all nodes
/// (RFC 4861 §7.2.6).
pub fn announcement(address: IpAddr, mac: Mac) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => gratuitous_arp(address, mac),
        IpAddr::V6(address) => unsolicited(address, mac),
    }
}

fn gratuitous_arp(address: Ipv4Addr, mac: Mac) -> Vec<u8> {
    let address = U32::new(address.to_bits());
    let arp = Arp {
        kind: ArpKind::REQUEST,
        sender: mac,
        sender_address: address,
        target: Mac::default(),
        target_address: address,
    };
    let ethernet = Ethernet { destination: Mac::BROADCAST, source: mac, kind: U16::new(ARP) };
    [ethernet.as_bytes(), arp.as_bytes()].concat()
}

fn unsolicited(address: Ipv6Addr, mac: Mac) -> Vec<u8> {
    let said = Discovery {
        kind: ADVERTISEMENT,
        code: 0,
        checksum: U16::ZERO,
        flags: U32::new(OVERRIDE),
        target: address.octets(),
    };
    let mut body = [said.as_bytes(), TargetIsAt::new(mac).as_bytes()].concat();
    let mut ip = Ipv6::new(Ipv6::ICMP, address, ALL_NODES, body.len());
    // Of a neighbour: nobody forwards it.
    ip.set_hops(255);
    icmp::make_checksum(&ip, &mut body);
    let kind = U16::new(Ipv6::ETHER_TYPE);
    let ethernet = Ethernet { destination: ALL_NODES_MAC, source: mac, kind };
    [ethernet.as_bytes(), ip.as_bytes(), &body].concat()
}

#[cfg(test)]
mod tests;
