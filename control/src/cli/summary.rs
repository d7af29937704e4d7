//! A frame in one line: addresses, protocol, and what a TFTP message says.

use crate::ip_ends::addresses;
use etherparse::{
    EtherType, IpNumber, LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice, UdpSlice,
};
use std::net::{IpAddr, SocketAddr};
use wire::tftp::Message;

/// Describes a frame of which the front is known.
pub fn summary(frame: &[u8]) -> String {
    match LaxSlicedPacket::from_ethernet(frame) {
        Ok(packet) => ethernet(&packet),
        Err(_) => "no Ethernet frame".to_owned(),
    }
}

fn ethernet(packet: &LaxSlicedPacket) -> String {
    let Some(net) = &packet.net else {
        let payload = packet.ether_payload();
        let ether_type = payload.map_or(EtherType(0), |payload| payload.ether_type);
        return format!("EtherType {:#06x}", ether_type.0);
    };
    match (net, addresses(net)) {
        (LaxNetSlice::Arp(arp), _) => {
            format!("ARP {}", if arp.operation().0 == 1 { "request" } else { "reply" })
        }
        (_, Some([from, to])) => ip(packet, net, from, to),
        (_, None) => "no IP".to_owned(),
    }
}

fn ip(packet: &LaxSlicedPacket, net: &LaxNetSlice, from: IpAddr, to: IpAddr) -> String {
    let ends = |ports: (u16, u16)| {
        format!("{} > {}", SocketAddr::new(from, ports.0), SocketAddr::new(to, ports.1))
    };
    match &packet.transport {
        Some(TransportSlice::Udp(udp)) => {
            format!("{} UDP{}", ends((udp.source_port(), udp.destination_port())), message(udp))
        }
        Some(TransportSlice::Tcp(tcp)) => {
            format!("{} TCP{}", ends((tcp.source_port(), tcp.destination_port())), flags(tcp))
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            let about = about(icmp.type_u8() == 3 || icmp.type_u8() == 11, icmp.payload());
            format!("{from} > {to} ICMP {}/{}{about}", icmp.type_u8(), icmp.code_u8())
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            let about = about(icmp.type_u8() < 128, icmp.payload());
            format!("{from} > {to} ICMPv6 {}/{}{about}", icmp.type_u8(), icmp.code_u8())
        }
        Some(TransportSlice::Igmp(_)) | None => {
            let payload = net.ip_payload_ref();
            let protocol = payload.map_or(IpNumber(0), |payload| payload.ip_number);
            let is_part = payload.is_some_and(|payload| payload.fragmented);
            let protocol = protocol.keyword_str().map_or(protocol.0.to_string(), str::to_owned);
            format!("{from} > {to} {protocol}{}", if is_part { ", a fragment" } else { "" })
        }
    }
}

/// The packet that an ICMP error is about.
fn about(is_error: bool, quote: &[u8]) -> String {
    let quoted = LaxSlicedPacket::from_ip(quote).ok().filter(|_| is_error);
    quoted.map_or(String::new(), |quoted| format!(" about ({})", ethernet(&quoted)))
}

/// The message of a datagram, if it may be TFTP's. A client chooses the file's name: it must not steer the terminal.
fn message(udp: &UdpSlice) -> String {
    match Message::parse(udp.payload()) {
        Ok(Message::Request(request)) => {
            let kind = if request.is_write { "WRQ" } else { "RRQ" };
            format!(", {kind} {:?}", String::from_utf8_lossy(request.file))
        }
        Ok(Message::Data { block, .. }) => format!(", DATA {block}"),
        Ok(Message::Ack { block }) => format!(", ACK {block}"),
        Ok(Message::Error { code }) => format!(", ERROR {code}"),
        Ok(Message::Oack(_)) => ", OACK".to_owned(),
        Err(_) => format!(" of {} bytes", udp.length()),
    }
}

fn flags(tcp: &TcpSlice) -> String {
    let all = [
        (tcp.syn(), "SYN"),
        (tcp.fin(), "FIN"),
        (tcp.rst(), "RST"),
        (tcp.psh(), "PSH"),
        (tcp.ack(), "ACK"),
    ];
    all.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| format!(" {name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    fn datagram(data: &[u8]) -> Vec<u8> {
        let ends = ([10, 0, 0, 7], [10, 0, 0, 100]);
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(ends.0, ends.1, 64);
        let mut frame = vec![];
        builder.udp(2070, 69).write(&mut frame, data).expect("a frame");
        frame
    }

    #[test]
    fn packets_in_a_line() {
        let request = datagram(b"\0\x01pxe\x1b[2J\0octet\0");
        let ends = "10.0.0.7:2070 > 10.0.0.100:69";
        assert_eq!(summary(&request), format!("{ends} UDP, RRQ \"pxe\\u{{1b}}[2J\""));
        let block = datagram(&[&[0, 3, 1, 0][..], &[9; 512]].concat());
        assert_eq!(summary(&block[..100]), format!("{ends} UDP, DATA 256"));
        assert_eq!(summary(&datagram(b"other")), format!("{ends} UDP of 13 bytes"));
        let mut error = vec![];
        let builder =
            PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 100], [10, 0, 0, 7], 64);
        builder
            .icmpv4_raw(3, 3, [0; 4])
            .write(&mut error, &datagram(b"other")[14..])
            .expect("a frame");
        let about = format!("about ({ends} UDP of 13 bytes)");
        assert_eq!(summary(&error), format!("10.0.0.100 > 10.0.0.7 ICMP 3/3 {about}"));
        let mut part = request.clone();
        part[21] = 7;
        assert_eq!(summary(&part), "10.0.0.7 > 10.0.0.100 UDP, a fragment");
        assert_eq!(summary(&[&[2; 12][..], &[0x88, 0xcc, 1]].concat()), "EtherType 0x88cc");
        for len in 0..error.len() {
            assert!(!summary(&error[..len]).is_empty());
        }
    }
}
