//! Who has which address on a link: ARP (RFC 826) and neighbour discovery (RFC 4861), as far as it takes to say that an
//! address is ours, asked or unasked.

use crate::checksum;
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
    const REPLY: ArpKind = ArpKind::new(2);

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

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// The advertisement is an answer.
const SOLICITED: u32 = 1 << 30;
/// Whoever knows another station takes this one.
const OVERRIDE: u32 = 1 << 29;

/// The address that a frame of ARP's asks for, if it is a request: not one that announces its sender's own (RFC 5227
/// §3).
pub fn asked_by_arp(frame: &[u8]) -> Option<Ipv4Addr> {
    let (ethernet, rest) = Ethernet::ref_from_prefix(frame).ok()?;
    let (arp, _) = Arp::ref_from_prefix(rest).ok()?;
    let is_sound = arp.kind == ArpKind::REQUEST
        && arp.sender == ethernet.source
        && arp.sender_address != arp.target_address;
    is_sound.then(|| Ipv4Addr::from_bits(arp.target_address.get()))
}

/// Turns an ARP request ([`asked_by_arp`]) into its reply: the address is at `mac`.
pub fn answer_arp(frame: &mut [u8], mac: Mac) {
    let Ok((ethernet, rest)) = Ethernet::mut_from_prefix(frame) else { return };
    let Ok((arp, _)) = Arp::mut_from_prefix(rest) else { return };
    *arp = Arp {
        kind: ArpKind::REPLY,
        sender: mac,
        sender_address: arp.target_address,
        target: arp.sender,
        target_address: arp.sender_address,
    };
    (ethernet.destination, ethernet.source) = (ethernet.source, mac);
}

/// The address that an ICMPv6 message asks for, if it is a neighbour solicitation of a station that has an address: others
/// ask whether theirs is taken (RFC 4862 §5.4.3).
pub fn asked_by_solicitation(ip: &Ipv6, body: &[u8]) -> Option<Ipv6Addr> {
    let (asked, _) = Discovery::ref_from_prefix(body).ok()?;
    let len = u16::try_from(body.len()).ok()?;
    let target = Ipv6Addr::from(asked.target);
    let is_sound = (asked.kind, asked.code, ip.hops()) == (SOLICITATION, 0, 255)
        && !ip.source().is_unspecified()
        && ip.source() != target
        && checksum::fold(checksum::sum(body, ip.icmp_sum(len))) == 0xffff;
    is_sound.then_some(target)
}

/// Turns a neighbour solicitation ([`asked_by_solicitation`]) into its answer: the address is at `mac`. That is said in an
/// option where the solicitation has one: only who knows it already asks without (RFC 4861 §4.4).
pub fn answer_solicitation(ethernet: &mut Ethernet, ip: &mut Ipv6, body: &mut [u8], mac: Mac) {
    let before = body.len();
    let Ok((said, rest)) = Discovery::mut_from_prefix(body) else { return };
    said.kind = ADVERTISEMENT;
    said.checksum = U16::ZERO;
    said.flags = U32::new(SOLICITED | OVERRIDE);
    let target = Ipv6Addr::from(said.target);
    let mut len = size_of::<Discovery>();
    if let Ok((option, _)) = TargetIsAt::mut_from_prefix(rest) {
        *option = TargetIsAt::new(mac);
        len += size_of::<TargetIsAt>();
    }
    ip.resize(before, len);
    let _ = ip.set_addresses(target, ip.source());
    icmp::make_checksum(ip, &mut body[..len]);
    (ethernet.destination, ethernet.source) = (ethernet.source, mac);
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
