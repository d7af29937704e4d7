//! Packets by name. Each is as its sender sends it to the gate.

use crate::packet::Packet;
use crate::topology::{gate_mac, interface, mac};
use etherparse::{
    EtherType, Ethernet2Header, IcmpEchoHeader, Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type,
    IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wire::ethernet::Mac;

/// The client of most IPv4 tests.
pub const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)), 2070);

/// Any datagram.
pub fn datagram(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Packet {
    Packet {
        from: mac(from.ip()),
        to: gate_mac(interface(from.ip())),
        source: from,
        destination: to,
        ttl: 64,
        id: 0x1234,
        may_be_fragmented: false,
        options: vec![],
        summed: true,
        payload: payload.to_vec(),
        padding: vec![],
    }
}

/// A read request.
pub fn rrq(client: SocketAddr, vip: SocketAddr, file: &str) -> Packet {
    datagram(client, vip, format!("\0\x01{file}\0octet\0").as_bytes())
}

/// A read request that wants options.
pub fn rrq_with(
    client: SocketAddr,
    vip: SocketAddr,
    file: &str,
    options: &[(&str, u32)],
) -> Packet {
    datagram(client, vip, format!("\0\x01{file}\0octet\0{}", list(options)).as_bytes())
}

/// A write request.
pub fn wrq(client: SocketAddr, vip: SocketAddr, file: &str) -> Packet {
    datagram(client, vip, format!("\0\x02{file}\0octet\0").as_bytes())
}

/// A block of `len` bytes.
pub fn data(from: SocketAddr, to: SocketAddr, block: u16, len: usize) -> Packet {
    let [high, low] = block.to_be_bytes();
    datagram(from, to, &[&[0, 3, high, low][..], &vec![b'x'; len]].concat())
}

/// An acknowledgement.
pub fn ack(from: SocketAddr, to: SocketAddr, block: u16) -> Packet {
    let [high, low] = block.to_be_bytes();
    datagram(from, to, &[0, 4, high, low])
}

/// An ERROR.
pub fn error(from: SocketAddr, to: SocketAddr, code: u16) -> Packet {
    let [high, low] = code.to_be_bytes();
    datagram(from, to, &[&[0, 5, high, low][..], b"sorry\0"].concat())
}

/// The options that a server grants.
pub fn oack(from: SocketAddr, to: SocketAddr, options: &[(&str, u32)]) -> Packet {
    datagram(from, to, format!("\0\x06{}", list(options)).as_bytes())
}

fn list(options: &[(&str, u32)]) -> String {
    options.iter().map(|(name, value)| format!("{name}\0{value}\0")).collect()
}

/// An IP packet of any protocol.
///
/// # Panics
///
/// The payload is too long, or the address families differ.
pub fn ip(from: IpAddr, to: IpAddr, protocol: IpNumber, payload: &[u8]) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(_), IpAddr::V4(_)) => fragment(from, to, protocol, payload, 0, false),
        (IpAddr::V6(source), IpAddr::V6(to)) => ipv6(source, to, protocol, 64, payload),
        _ => panic!("{from} and {to}"),
    }
}

/// An IPv6 packet of any protocol with this hop limit.
///
/// # Panics
///
/// The payload is too long for one packet.
pub fn ipv6(
    from: Ipv6Addr,
    to: Ipv6Addr,
    protocol: IpNumber,
    hop_limit: u8,
    payload: &[u8],
) -> Vec<u8> {
    let ip = Ipv6Header {
        payload_length: payload.len().try_into().unwrap(),
        next_header: protocol,
        hop_limit,
        source: from.octets(),
        destination: to.octets(),
        ..Ipv6Header::default()
    };
    let packet = [&ip.to_bytes()[..], payload].concat();
    frame(mac(from), gate_mac(interface(from)), EtherType::IPV6, &packet)
}

/// A fragment of an IP packet; `offset` is in units of eight bytes.
///
/// # Panics
///
/// The payload or the offset is too large, or the address families differ.
pub fn fragment(
    from: IpAddr,
    to: IpAddr,
    protocol: IpNumber,
    payload: &[u8],
    offset: u16,
    more: bool,
) -> Vec<u8> {
    let offset = IpFragOffset::try_new(offset).unwrap();
    let (source, destination) = match (from, to) {
        (IpAddr::V4(source), IpAddr::V4(to)) => (source, to),
        (IpAddr::V6(source), IpAddr::V6(to)) => {
            let header = Ipv6FragmentHeader::new(protocol, offset, more, 0);
            let payload = [&header.to_bytes()[..], payload].concat();
            return ipv6(source, to, IpNumber::IPV6_FRAGMENTATION_HEADER, 64, &payload);
        }
        _ => panic!("{from} and {to}"),
    };
    let mut ip = Ipv4Header {
        time_to_live: 64,
        protocol,
        source: source.octets(),
        destination: destination.octets(),
        fragment_offset: offset,
        more_fragments: more,
        ..Ipv4Header::default()
    };
    ip.set_payload_len(payload.len()).unwrap();
    ip.header_checksum = ip.calc_header_checksum();
    let packet = [&ip.to_bytes()[..], payload].concat();
    frame(mac(from), gate_mac(interface(from)), EtherType::IPV4, &packet)
}

/// An ICMP message.
pub fn icmp(from: IpAddr, to: IpAddr, message: Icmpv4Type, data: &[u8]) -> Vec<u8> {
    let header = Icmpv4Header::with_checksum(message, data);
    ip(from, to, IpNumber::ICMP, &[&header.to_bytes()[..], data].concat())
}

/// An ICMPv6 message with this hop limit.
///
/// # Panics
///
/// The message is too long, or an address is not IPv6.
pub fn icmpv6(
    from: IpAddr,
    to: IpAddr,
    message: Icmpv6Type,
    hop_limit: u8,
    data: &[u8],
) -> Vec<u8> {
    let (IpAddr::V6(from), IpAddr::V6(to)) = (from, to) else { panic!("{from} and {to}") };
    let header = Icmpv6Header::with_checksum(message, from.octets(), to.octets(), data).unwrap();
    ipv6(from, to, IpNumber::IPV6_ICMP, hop_limit, &[&header.to_bytes()[..], data].concat())
}

/// An echo request.
pub fn ping(from: IpAddr, to: IpAddr, id: u16, seq: u16, data: &[u8]) -> Vec<u8> {
    let echo = IcmpEchoHeader { id, seq };
    match from {
        IpAddr::V4(_) => icmp(from, to, Icmpv4Type::EchoRequest(echo), data),
        IpAddr::V6(_) => icmpv6(from, to, Icmpv6Type::EchoRequest(echo), 64, data),
    }
}

/// The reply to an echo request, as the gate at `from` sends it to its neighbour at `to`.
pub fn pong(from: IpAddr, to: IpAddr, id: u16, seq: u16, data: &[u8]) -> Vec<u8> {
    let echo = IcmpEchoHeader { id, seq };
    let mut frame = match from {
        IpAddr::V4(_) => icmp(from, to, Icmpv4Type::EchoReply(echo), data),
        IpAddr::V6(_) => icmpv6(from, to, Icmpv6Type::EchoReply(echo), 64, data),
    };
    frame[..6].copy_from_slice(&mac(to).0);
    frame[6..12].copy_from_slice(&gate_mac(interface(to)).0);
    frame
}

/// A minimal ARP request for an address.
///
/// # Panics
///
/// An address is not IPv4.
pub fn arp(from: IpAddr, wanted: IpAddr) -> Vec<u8> {
    let (IpAddr::V4(from), IpAddr::V4(wanted)) = (from, wanted) else { panic!("{from}") };
    let sender = mac(from);
    let fixed = [0, 1, 8, 0, 6, 4, 0, 1];
    let question =
        [&fixed[..], &sender.0, &from.octets(), &[0; 6], &wanted.octets(), &[0; 18]].concat();
    frame(sender, Mac::BROADCAST, EtherType::ARP, &question)
}

/// A request for an address to all hosts on the link: [`arp`], or a neighbour solicitation.
pub fn who_has(asker: IpAddr, address: IpAddr) -> Vec<u8> {
    let IpAddr::V6(address) = address else { return arp(asker, address) };
    let kind = Icmpv6Type::Unknown { type_u8: 135, code_u8: 0, bytes5to8: [0; 4] };
    let mut group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
    group[13..].copy_from_slice(&address.octets()[13..]);
    let option = [&[1, 1], &mac(asker).0[..]].concat();
    let asked = [&address.octets()[..], &option].concat();
    let mut frame = icmpv6(asker, IpAddr::from(group), kind, 255, &asked);
    frame[..6].copy_from_slice(&[&[0x33, 0x33], &group[12..]].concat());
    frame
}

/// Any frame.
pub fn frame(from: Mac, to: Mac, ether_type: EtherType, payload: &[u8]) -> Vec<u8> {
    let header = Ethernet2Header { source: from.0, destination: to.0, ether_type };
    [&header.to_bytes()[..], payload].concat()
}
