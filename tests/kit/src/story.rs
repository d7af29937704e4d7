//! Packets by name, so that a test reads as what happened. Each is as its sender sends it: towards
//! the gate, on the sender's side of it.

use crate::packet::Packet;
use crate::world::{gate_mac, interface, mac};
use etherparse::{
    EtherType, Ethernet2Header, IcmpEchoHeader, Icmpv4Header, Icmpv4Type, IpFragOffset, IpNumber,
    Ipv4Header,
};
use std::net::{Ipv4Addr, SocketAddrV4};
use wire::ethernet::Mac;

/// The client of most stories.
pub const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 9), 2070);

/// Any datagram.
pub fn datagram(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Packet {
    Packet {
        from: mac(*from.ip()),
        to: gate_mac(interface(*from.ip())),
        source: from,
        destination: to,
        ttl: 64,
        id: 0x1234,
        options: vec![],
        summed: true,
        payload: payload.to_vec(),
        padding: vec![],
    }
}

/// A read request.
pub fn rrq(client: SocketAddrV4, vip: SocketAddrV4, file: &str) -> Packet {
    datagram(client, vip, format!("\0\x01{file}\0octet\0").as_bytes())
}

/// A read request that wants options.
pub fn rrq_with(
    client: SocketAddrV4,
    vip: SocketAddrV4,
    file: &str,
    options: &[(&str, u32)],
) -> Packet {
    datagram(client, vip, format!("\0\x01{file}\0octet\0{}", list(options)).as_bytes())
}

/// A write request.
pub fn wrq(client: SocketAddrV4, vip: SocketAddrV4, file: &str) -> Packet {
    datagram(client, vip, format!("\0\x02{file}\0octet\0").as_bytes())
}

/// A block of `len` bytes.
pub fn data(from: SocketAddrV4, to: SocketAddrV4, block: u16, len: usize) -> Packet {
    let [high, low] = block.to_be_bytes();
    datagram(from, to, &[&[0, 3, high, low][..], &vec![b'x'; len]].concat())
}

/// An acknowledgement.
pub fn ack(from: SocketAddrV4, to: SocketAddrV4, block: u16) -> Packet {
    let [high, low] = block.to_be_bytes();
    datagram(from, to, &[0, 4, high, low])
}

/// An ERROR.
pub fn error(from: SocketAddrV4, to: SocketAddrV4, code: u16) -> Packet {
    let [high, low] = code.to_be_bytes();
    datagram(from, to, &[&[0, 5, high, low][..], b"sorry\0"].concat())
}

/// The options that a server grants.
pub fn oack(from: SocketAddrV4, to: SocketAddrV4, options: &[(&str, u32)]) -> Packet {
    datagram(from, to, format!("\0\x06{}", list(options)).as_bytes())
}

fn list(options: &[(&str, u32)]) -> String {
    options.iter().map(|(name, value)| format!("{name}\0{value}\0")).collect()
}

/// An IPv4 packet of any protocol.
///
/// # Panics
///
/// The payload is too long for one packet.
pub fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: IpNumber, payload: &[u8]) -> Vec<u8> {
    fragment(from, to, protocol, payload, 0, false)
}

/// A part of an IPv4 packet; `offset` counts eights of bytes.
///
/// # Panics
///
/// The payload is too long, or the offset is.
pub fn fragment(
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: IpNumber,
    payload: &[u8],
    offset: u16,
    more: bool,
) -> Vec<u8> {
    let mut ip = Ipv4Header {
        time_to_live: 64,
        protocol,
        source: from.octets(),
        destination: to.octets(),
        fragment_offset: IpFragOffset::try_new(offset).unwrap(),
        more_fragments: more,
        ..Ipv4Header::default()
    };
    ip.set_payload_len(payload.len()).unwrap();
    ip.header_checksum = ip.calc_header_checksum();
    let packet = [&ip.to_bytes()[..], payload].concat();
    frame(mac(from), gate_mac(interface(from)), EtherType::IPV4, &packet)
}

/// An ICMP message.
pub fn icmp(from: Ipv4Addr, to: Ipv4Addr, message: Icmpv4Type, data: &[u8]) -> Vec<u8> {
    let header = Icmpv4Header::with_checksum(message, data);
    ipv4(from, to, IpNumber::ICMP, &[&header.to_bytes()[..], data].concat())
}

/// An echo request.
pub fn ping(from: Ipv4Addr, to: Ipv4Addr, id: u16, seq: u16, data: &[u8]) -> Vec<u8> {
    icmp(from, to, Icmpv4Type::EchoRequest(IcmpEchoHeader { id, seq }), data)
}

/// A broadcast question for an address, as far as anybody here looks into it.
pub fn arp(from: Ipv4Addr, wanted: Ipv4Addr) -> Vec<u8> {
    let sender = mac(from);
    let fixed = [0, 1, 8, 0, 6, 4, 0, 1];
    let question =
        [&fixed[..], &sender.0, &from.octets(), &[0; 6], &wanted.octets(), &[0; 18]].concat();
    frame(sender, Mac::BROADCAST, EtherType::ARP, &question)
}

/// Any frame.
pub fn frame(from: Mac, to: Mac, ether_type: EtherType, payload: &[u8]) -> Vec<u8> {
    let header = Ethernet2Header { source: from.0, destination: to.0, ether_type };
    [&header.to_bytes()[..], payload].concat()
}
