//! Neighbour resolution: ARP (RFC 826) and neighbour discovery (RFC 4861), as far as the gate needs them to answer
//! requests for its own addresses and to announce these.

use crate::ethernet::{Ethernet, Mac};
use crate::ip::Ip;
use crate::ipv6::Ipv6;
use crate::{checksum, icmp};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// EtherType of ARP.
pub const ARP: u16 = 0x0806;

/// The all-nodes multicast group and its hardware address (RFC 2464 §7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);
/// The solicited-node multicast groups' common bits.
const SOLICITED_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0);

/// ARP for IPv4 over Ethernet.
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

/// A neighbour solicitation or advertisement without options (RFC 4861 §4.3, §4.4).
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Discovery {
    kind: u8,
    code: u8,
    checksum: U16,
    flags: U32,
    target: [u8; 16],
}

/// The link-layer address option, of the source or the target (RFC 4861 §4.6.1).
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
/// Flag: the advertisement answers a solicitation.
const SOLICITED: u32 = 1 << 30;
/// Flag: the advertisement overrides a cached hardware address.
const OVERRIDE: u32 = 1 << 29;

/// A host asks for the hardware address of an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<A> {
    /// IP address of the asker.
    pub asker: A,
    /// Hardware address of the asker.
    pub mac: Mac,
    /// IP address asked for.
    pub wanted: A,
}

/// The question of an ARP frame. `None`: a reply, or contradicting fields.
pub fn asked_by_arp(frame: &[u8]) -> Option<Question<Ipv4Addr>> {
    let (ethernet, rest) = Ethernet::ref_from_prefix(frame).ok()?;
    let (arp, _) = Arp::ref_from_prefix(rest).ok()?;
    let mac = ethernet.source;
    let is_sound = arp.kind == ArpKind::REQUEST && arp.sender == mac && !mac.is_group();
    let [asker, wanted] =
        [arp.sender_address, arp.target_address].map(|one| Ipv4Addr::from(one.get()));
    is_sound.then_some(Question { asker, mac, wanted })
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

/// The question of an ICMPv6 message. `None`: no neighbour solicitation, an unknown option, or a missing source
/// link-layer address in a multicast solicitation (RFC 4861 §4.3).
pub fn asked_by_solicitation(
    ethernet: &Ethernet,
    ip: &Ipv6,
    body: &[u8],
) -> Option<Question<Ipv6Addr>> {
    let (discovery, option) = Discovery::ref_from_prefix(body).ok()?;
    let mac = ethernet.source;
    let question = Question { asker: ip.source(), mac, wanted: discovery.target.into() };
    let is_complete = match option {
        [] => ip.destination() == question.wanted,
        option => option == IsAt::source(mac).as_bytes(),
    };
    let is_sound = (discovery.kind, discovery.code, ip.hops()) == (SOLICITATION, 0, 255)
        && is_complete
        // Extension headers have no use here (RFC 6980).
        && ip.total_len() == size_of::<Ipv6>() + body.len()
        && !mac.is_group()
        && checksum::fold(checksum::sum(body, ip.icmp_sum(body.len() as u16))) == 0xffff;
    is_sound.then_some(question)
}

/// Turns a neighbour solicitation ([`asked_by_solicitation`]) into its advertisement: the address is at `mac`. The
/// advertisement has a link-layer address option if the solicitation has one: without it, the asker knows the address
/// already.
pub fn answer_solicitation(ethernet: &mut Ethernet, ip: &mut Ipv6, body: &mut [u8], mac: Mac) {
    let Ok((discovery, option)) = Discovery::mut_from_prefix(body) else { return };
    discovery.kind = ADVERTISEMENT;
    discovery.flags = U32::new(SOLICITED | OVERRIDE);
    let target = Ipv6Addr::from(discovery.target);
    if let Ok((option, _)) = IsAt::mut_from_prefix(option) {
        *option = IsAt::target(mac);
    }
    let _ = ip.set_addresses(target, ip.source());
    icmp::make_checksum(ip, body);
    (ethernet.destination, ethernet.source) = (ethernet.source, mac);
}

/// An unsolicited announcement that `address` is at `mac`: gratuitous ARP (RFC 5227 §3), or an advertisement to all
/// nodes (RFC 4861 §7.2.6).
pub fn announcement(address: IpAddr, mac: Mac) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => gratuitous_arp(address, mac),
        IpAddr::V6(address) => unsolicited(address, mac),
    }
}

/// A probe from `mac`: a question that each host which has `address` answers, without telling anybody that the address
/// is at `mac` (RFC 5227 §2.1.1, RFC 4862 §5.4.2).
pub fn probe(address: IpAddr, mac: Mac) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp_request(Ipv4Addr::UNSPECIFIED, address, mac),
        IpAddr::V6(address) => duplicate_address_detection(address, mac),
    }
}

/// Whether an ICMPv6 message is a neighbour advertisement.
pub fn is_advertisement(body: &[u8]) -> bool {
    body.first() == Some(&ADVERTISEMENT)
}

/// A host's claim to have an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The IP address.
    pub address: IpAddr,
    /// The hardware address of the host.
    pub mac: Mac,
}

/// The claim in a frame: the sender of an ARP request or reply, or the target of a neighbour advertisement. `None`: the
/// frame is something else, or malformed.
pub fn claim(frame: &[u8]) -> Option<Claim> {
    let (ethernet, rest) = Ethernet::ref_from_prefix(frame).ok()?;
    match ethernet.kind.get() {
        ARP => claim_by_arp(rest),
        Ipv6::ETHER_TYPE => claim_by_advertisement(ethernet, rest),
        _ => None,
    }
}

fn claim_by_arp(rest: &[u8]) -> Option<Claim> {
    let (arp, _) = Arp::ref_from_prefix(rest).ok()?;
    let is_sound = [ArpKind::REQUEST, ArpKind::REPLY].contains(&arp.kind) && !arp.sender.is_group();
    let address = Ipv4Addr::from(arp.sender_address.get());
    is_sound.then_some(Claim { address: address.into(), mac: arp.sender })
}

fn claim_by_advertisement(ethernet: &Ethernet, rest: &[u8]) -> Option<Claim> {
    let (ip, body) = Ipv6::ref_from_prefix(rest).ok()?;
    let body = body.get(..ip.total_len().checked_sub(size_of::<Ipv6>())?)?;
    let (discovery, options) = Discovery::ref_from_prefix(body).ok()?;
    // Without the option it is at the address that it came from.
    let option = IsAt::ref_from_prefix(options).ok().filter(|(option, _)| option.kind == 2);
    let mac = option.map_or(ethernet.source, |(option, _)| option.mac);
    let is_sound = ip.is_icmp()
        && (discovery.kind, discovery.code, ip.hops()) == (ADVERTISEMENT, 0, 255)
        && !mac.is_group()
        && checksum::fold(checksum::sum(body, ip.icmp_sum(body.len() as u16))) == 0xffff;
    let address = Ipv6Addr::from(discovery.target);
    is_sound.then_some(Claim { address: address.into(), mac })
}

fn gratuitous_arp(address: Ipv4Addr, mac: Mac) -> Vec<u8> {
    arp_request(address, address, mac)
}

fn arp_request(sender: Ipv4Addr, target: Ipv4Addr, mac: Mac) -> Vec<u8> {
    let arp = Arp {
        kind: ArpKind::REQUEST,
        sender: mac,
        sender_address: U32::new(sender.to_bits()),
        target: Mac::default(),
        target_address: U32::new(target.to_bits()),
    };
    let ethernet = Ethernet { destination: Mac::BROADCAST, source: mac, kind: U16::new(ARP) };
    [ethernet.as_bytes(), arp.as_bytes()].concat()
}

fn unsolicited(address: Ipv6Addr, mac: Mac) -> Vec<u8> {
    let discovery = Discovery {
        kind: ADVERTISEMENT,
        code: 0,
        checksum: U16::ZERO,
        flags: U32::new(OVERRIDE),
        target: address.octets(),
    };
    let body = [discovery.as_bytes(), IsAt::target(mac).as_bytes()].concat();
    to_group((address, ALL_NODES), (mac, ALL_NODES_MAC), body)
}

fn duplicate_address_detection(address: Ipv6Addr, mac: Mac) -> Vec<u8> {
    let [.., a, b, c] = address.octets();
    // The solicited-node group (RFC 4291 §2.7.1).
    let group = SOLICITED_NODES.to_bits() | u128::from(u32::from_be_bytes([0, a, b, c]));
    let discovery = Discovery {
        kind: SOLICITATION,
        code: 0,
        checksum: U16::ZERO,
        flags: U32::ZERO,
        target: address.octets(),
    };
    let body = discovery.as_bytes().to_vec();
    to_group((Ipv6Addr::UNSPECIFIED, group.into()), (mac, Mac([0x33, 0x33, 0xff, a, b, c])), body)
}

/// A frame with a message of neighbour discovery.
fn to_group(
    (from, group): (Ipv6Addr, Ipv6Addr),
    (source, destination): (Mac, Mac),
    mut body: Vec<u8>,
) -> Vec<u8> {
    let mut ip = Ipv6::new(Ipv6::ICMP, from, group, body.len());
    // RFC 4861 §7.1: receivers accept no other hop limit.
    ip.set_hops(255);
    icmp::make_checksum(&ip, &mut body);
    let ethernet = Ethernet { destination, source, kind: U16::new(Ipv6::ETHER_TYPE) };
    [ethernet.as_bytes(), ip.as_bytes(), &body].concat()
}

#[cfg(test)]
mod tests;
