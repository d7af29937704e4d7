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

/// The option that says a hardware address, of who asks or of the target (RFC 4861 §4.6.1).
#[derive(PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct IsAt {
    kind: u8,
    eights: u8,
    mac: Mac,
}

impl IsAt {
    fn source(mac: Mac) -> IsAt {
        IsAt { kind: 1, eights: 1, mac }
    }

    fn target(mac: Mac) -> IsAt {
        IsAt { kind: 2, eights: 1, mac }
    }
}

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// The advertisement is an answer.
const SOLICITED: u32 = 1 << 30;
/// Whoever knows another station takes this one.
const OVERRIDE: u32 = 1 << 29;

/// Somebody asks who has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<A> {
    /// The asker's own address.
    pub asker: A,
    /// The asker's hardware address.
    pub station: Mac,
    /// The address that is asked for.
    pub wanted: A,
}

/// The question of a frame of ARP's. There is none in a reply, nor in what contradicts itself.
pub fn asked_by_arp(frame: &[u8]) -> Option<Question<Ipv4Addr>> {
    let (ethernet, rest) = Ethernet::ref_from_prefix(frame).ok()?;
    let (arp, _) = Arp::ref_from_prefix(rest).ok()?;
    let station = ethernet.source;
    let is_sound = arp.kind == ArpKind::REQUEST && arp.sender == station && !station.is_group();
    let [asker, wanted] =
        [arp.sender_address, arp.target_address].map(|one| Ipv4Addr::from(one.get()));
    is_sound.then_some(Question { asker, station, wanted })
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

/// The question of an ICMPv6 message. There is none but in a neighbour solicitation, which may leave out where its sender
/// is only when it asks the target itself (RFC 4861 §4.3). With any other option it is more than that.
pub fn asked_by_solicitation(
    ethernet: &Ethernet,
    ip: &Ipv6,
    body: &[u8],
) -> Option<Question<Ipv6Addr>> {
    let (said, option) = Discovery::ref_from_prefix(body).ok()?;
    let station = ethernet.source;
    let question = Question { asker: ip.source(), station, wanted: said.target.into() };
    let is_complete = match option {
        [] => ip.destination() == question.wanted,
        option => option == IsAt::source(station).as_bytes(),
    };
    let is_sound = (said.kind, said.code, ip.hops()) == (SOLICITATION, 0, 255)
        && is_complete
        // Without extension headers: nobody has a reason for them (RFC 6980).
        && ip.total_len() == size_of::<Ipv6>() + body.len()
        && !station.is_group()
        && checksum::fold(checksum::sum(body, ip.icmp_sum(body.len() as u16))) == 0xffff;
    is_sound.then_some(question)
}

/// Turns a neighbour solicitation ([`asked_by_solicitation`]) into its answer: the address is at `mac`. That is said in an
/// option where the solicitation has one: who asks without knows it already.
pub fn answer_solicitation(ethernet: &mut Ethernet, ip: &mut Ipv6, body: &mut [u8], mac: Mac) {
    let Ok((said, option)) = Discovery::mut_from_prefix(body) else { return };
    said.kind = ADVERTISEMENT;
    said.flags = U32::new(SOLICITED | OVERRIDE);
    let target = Ipv6Addr::from(said.target);
    if let Ok((option, _)) = IsAt::mut_from_prefix(option) {
        *option = IsAt::target(mac);
    }
    let _ = ip.set_addresses(target, ip.source());
    icmp::make_checksum(ip, body);
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
    let mut body = [said.as_bytes(), IsAt::target(mac).as_bytes()].concat();
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
