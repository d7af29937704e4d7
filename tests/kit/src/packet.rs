//! A UDP datagram in an Ethernet frame, field by field, and its bytes.

use etherparse::{
    EtherType, Ethernet2Header, IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, UdpHeader,
};
use std::net::SocketAddrV4;
use wire::ethernet::Mac;

/// A datagram. Two of them are equal when every byte of their frames is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The station that sends the frame.
    pub from: Mac,
    /// The station that the frame is for.
    pub to: Mac,
    /// The sender's endpoint.
    pub source: SocketAddrV4,
    /// The receiver's endpoint.
    pub destination: SocketAddrV4,
    /// Hops it may still go.
    pub ttl: u8,
    /// The IP identification.
    pub id: u16,
    /// IP options: a multiple of four bytes.
    pub options: Vec<u8>,
    /// Whether the sender made a UDP checksum.
    pub summed: bool,
    /// What UDP carries.
    pub payload: Vec<u8>,
    /// What lies behind the IP packet in the frame.
    pub padding: Vec<u8>,
}

impl Packet {
    /// The frame, all checksums made in full.
    ///
    /// # Panics
    ///
    /// The fields fit no packet.
    pub fn bytes(&self) -> Vec<u8> {
        let ethernet = Ethernet2Header {
            source: self.from.0,
            destination: self.to.0,
            ether_type: EtherType::IPV4,
        };
        let udp = self.udp_header();
        let mut ip = self.ip_header();
        ip.set_payload_len(UdpHeader::LEN + self.payload.len()).unwrap();
        ip.header_checksum = ip.calc_header_checksum();
        let (ethernet, ip, udp) = (ethernet.to_bytes(), ip.to_bytes(), udp.to_bytes());
        [&ethernet[..], &ip, &udp, &self.payload, &self.padding].concat()
    }

    /// Reads a frame that was sent.
    ///
    /// # Panics
    ///
    /// It is no datagram, or one of its checksums is wrong.
    pub fn read(frame: &[u8]) -> Packet {
        let (ethernet, rest) = Ethernet2Header::from_slice(frame).unwrap();
        assert_eq!(ethernet.ether_type, EtherType::IPV4);
        let (ip, body) = Ipv4Header::from_slice(rest).unwrap();
        assert_eq!(ip.header_checksum, ip.calc_header_checksum(), "IPv4 checksum");
        assert_eq!((ip.protocol, ip.is_fragmenting_payload()), (IpNumber::UDP, false));
        let (body, padding) = body.split_at(usize::from(ip.payload_len().unwrap()));
        let (udp, payload) = UdpHeader::from_slice(body).unwrap();
        assert_eq!(usize::from(udp.length), body.len(), "UDP length");
        if udp.checksum != 0 {
            let right = udp.calc_checksum_ipv4(&ip, payload).unwrap();
            // The other form of zero is how "I made one" is told from "I made none".
            assert_eq!(udp.checksum, if right == 0 { 0xffff } else { right }, "UDP checksum");
        }
        Packet {
            from: Mac(ethernet.source),
            to: Mac(ethernet.destination),
            source: SocketAddrV4::new(ip.source.into(), udp.source_port),
            destination: SocketAddrV4::new(ip.destination.into(), udp.destination_port),
            ttl: ip.time_to_live,
            id: ip.identification,
            options: ip.options.as_slice().to_vec(),
            summed: udp.checksum != 0,
            payload: payload.to_vec(),
            padding: padding.to_vec(),
        }
    }

    /// The same, padded to Ethernet's least frame.
    pub fn padded(mut self) -> Packet {
        let len = self.bytes().len();
        self.padding = vec![0xee; 60usize.saturating_sub(len)];
        self
    }

    /// The same, with a payload that makes the UDP checksum come out as zero, so that 0xffff stands
    /// in the header.
    ///
    /// # Panics
    ///
    /// The payload has an odd length, or none.
    pub fn summing_to_zero(mut self) -> Packet {
        assert!(self.payload.len() >= 2 && self.payload.len().is_multiple_of(2));
        let end = self.payload.len() - 2;
        self.payload[end..].copy_from_slice(&[0, 0]);
        let without = self.udp_header().checksum;
        self.payload[end..].copy_from_slice(&without.to_be_bytes());
        assert_eq!(self.udp_header().checksum, 0xffff);
        self
    }

    /// The IPv4 header, its length and checksum not yet made.
    pub fn ip_header(&self) -> Ipv4Header {
        Ipv4Header {
            identification: self.id,
            dont_fragment: true,
            fragment_offset: IpFragOffset::ZERO,
            time_to_live: self.ttl,
            protocol: IpNumber::UDP,
            source: self.source.ip().octets(),
            destination: self.destination.ip().octets(),
            options: Ipv4Options::try_from(&self.options[..]).unwrap(),
            ..Ipv4Header::default()
        }
    }

    fn udp_header(&self) -> UdpHeader {
        let (source, destination) = (self.source.port(), self.destination.port());
        let len = self.payload.len();
        let mut udp = UdpHeader::without_ipv4_checksum(source, destination, len).unwrap();
        if self.summed {
            udp.checksum = match udp.calc_checksum_ipv4(&self.ip_header(), &self.payload).unwrap() {
                0 => 0xffff,
                sum => sum,
            };
        }
        udp
    }
}

impl From<Packet> for Vec<u8> {
    fn from(packet: Packet) -> Vec<u8> {
        packet.bytes()
    }
}

impl From<&Packet> for Vec<u8> {
    fn from(packet: &Packet) -> Vec<u8> {
        packet.bytes()
    }
}
