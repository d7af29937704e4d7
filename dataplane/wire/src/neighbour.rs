//! Who has which address on a link: ARP (RFC 826) and neighbour discovery (RFC 4861), as far as it takes to announce that
//! an address is ours.

use crate::checksum;
use crate::ethernet::{Ethernet, Mac};
use crate::ip::Ip;
use crate::ipv6::Ipv6;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use zerocopy::network_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes, Unaligned};

/// Ethernet's type field for ARP.
pub const ARP: u16 = 0x0806;

/// The multicast group of all nodes of a link, and its hardware address (RFC 2464 §7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);

/// ARP of IPv4 over Ethernet.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Arp {
    hardware: U16,
    protocol: U16,
    lens: [u8; 2],
    operation: U16,
    sender: Mac,
    sender_address: U32,
    target: Mac,
    target_address: U32,
}

/// A neighbour advertisement, with the option that says its target's hardware address (RFC 4861 §4.4, §4.6.1).
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Advertisement {
    kind: u8,
    code: u8,
    checksum: U16,
    flags: U32,
    target: [u8; 16],
    /// The option's kind, and its length in eights of bytes.
    option: [u8; 2],
    mac: Mac,
}

/// The frame that says unasked that `address` is at `mac`: gratuitous ARP (RFC 5227 §3), or an advertisement to all nodes
/// (RFC 4861 §7.2.6).
pub fn announcement(address: IpAddr, mac: Mac) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => gratuitous_arp(address, mac),
        IpAddr::V6(address) => unsolicited(address, mac),
    }
}

fn gratuitous_arp(address: Ipv4Addr, mac: Mac) -> Vec<u8> {
    const ETHERNET: u16 = 1;
    const IPV4: u16 = 0x0800;
    const REQUEST: u16 = 1;
    let address = U32::new(address.to_bits());
    let arp = Arp {
        hardware: U16::new(ETHERNET),
        protocol: U16::new(IPV4),
        lens: [6, 4],
        operation: U16::new(REQUEST),
        sender: mac,
        sender_address: address,
        target: Mac::default(),
        target_address: address,
    };
    let ethernet = Ethernet { destination: Mac::BROADCAST, source: mac, kind: U16::new(ARP) };
    [ethernet.as_bytes(), arp.as_bytes()].concat()
}

fn unsolicited(address: Ipv6Addr, mac: Mac) -> Vec<u8> {
    const ADVERTISEMENT: u8 = 136;
    /// Whoever knows another station takes this one.
    const OVERRIDE: u32 = 1 << 29;
    const TARGET_IS_AT: [u8; 2] = [2, 1];
    let mut said = Advertisement {
        kind: ADVERTISEMENT,
        code: 0,
        checksum: U16::ZERO,
        flags: U32::new(OVERRIDE),
        target: address.octets(),
        option: TARGET_IS_AT,
        mac,
    };
    let len = size_of::<Advertisement>();
    let mut ip = Ipv6::new(Ipv6::ICMP, address, ALL_NODES, len);
    // Of a neighbour: nobody forwards it.
    ip.set_hops(255);
    let sum = checksum::sum(said.as_bytes(), ip.icmp_sum(len as u16));
    said.checksum = U16::new(!checksum::fold(sum));
    let kind = U16::new(Ipv6::ETHER_TYPE);
    let ethernet = Ethernet { destination: ALL_NODES_MAC, source: mac, kind };
    [ethernet.as_bytes(), ip.as_bytes(), said.as_bytes()].concat()
}

#[cfg(test)]
mod tests;
