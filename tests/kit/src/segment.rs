//! A TCP segment in an Ethernet frame, field by field, and its bytes.

use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv6Header, TcpHeader};
use std::net::{IpAddr, SocketAddr};
use wire::ethernet::Mac;

/// A segment. Two are equal if every byte of their frames is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Source hardware address.
    pub from: Mac,
    /// Destination hardware address.
    pub to: Mac,
    /// Source endpoint.
    pub source: SocketAddr,
    /// Destination endpoint.
    pub destination: SocketAddr,
    /// Hop limit (TTL).
    pub ttl: u8,
    /// Flags: `S`, `A`, `F`, `R`, `P` and `U`, in this order. The urgent byte is the last one.
    pub flags: String,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Options: a multiple of four bytes.
    pub options: Vec<u8>,
    /// Data.
    pub payload: Vec<u8>,
}

impl Segment {
    /// The frame, with all checksums computed in full.
    ///
    /// # Panics
    ///
    /// The fields fit no packet.
    pub fn bytes(&self) -> Vec<u8> {
        let is_v6 = self.source.is_ipv6();
        let ether_type = if is_v6 { EtherType::IPV6 } else { EtherType::IPV4 };
        let ethernet =
            Ethernet2Header { source: self.from.0, destination: self.to.0, ether_type }.to_bytes();
        let (ip, tcp) = self.headers();
        [&ethernet[..], &ip, &tcp, &self.payload].concat()
    }

    fn headers(&self) -> (Vec<u8>, Vec<u8>) {
        let mut tcp =
            TcpHeader::new(self.source.port(), self.destination.port(), self.sequence, 0x1234);
        tcp.acknowledgment_number = self.acknowledgement;
        tcp.set_options_raw(&self.options).unwrap();
        let has = |flag| self.flags.contains(flag);
        (tcp.syn, tcp.ack, tcp.fin) = (has('S'), has('A'), has('F'));
        (tcp.rst, tcp.psh, tcp.urg) = (has('R'), has('P'), has('U'));
        tcp.urgent_pointer = if tcp.urg { self.payload.len() as u16 } else { 0 };
        let len = tcp.header_len() + self.payload.len();
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let ends = (source.octets(), destination.octets());
                let mut ip =
                    Ipv4Header::new(len as u16, self.ttl, IpNumber::TCP, ends.0, ends.1).unwrap();
                ip.dont_fragment = true;
                ip.header_checksum = ip.calc_header_checksum();
                tcp.checksum = tcp.calc_checksum_ipv4(&ip, &self.payload).unwrap();
                (ip.to_bytes().to_vec(), tcp.to_bytes().to_vec())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let ip = Ipv6Header {
                    payload_length: len as u16,
                    next_header: IpNumber::TCP,
                    hop_limit: self.ttl,
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv6Header::default()
                };
                tcp.checksum = tcp.calc_checksum_ipv6(&ip, &self.payload).unwrap();
                (ip.to_bytes().to_vec(), tcp.to_bytes().to_vec())
            }
            ends => panic!("{ends:?}"),
        }
    }

    /// Parses a frame that was sent.
    ///
    /// # Panics
    ///
    /// The frame is no segment, or a checksum is wrong.
    pub fn read(frame: &[u8]) -> Segment {
        let (ethernet, rest) = Ethernet2Header::from_slice(frame).unwrap();
        let (source, destination, ttl, body) = match ethernet.ether_type {
            EtherType::IPV4 => {
                let (ip, body) = Ipv4Header::from_slice(rest).unwrap();
                assert_eq!(ip.header_checksum, ip.calc_header_checksum(), "IPv4 checksum");
                assert_eq!(ip.protocol, IpNumber::TCP);
                let body = &body[..usize::from(ip.payload_len().unwrap())];
                (IpAddr::from(ip.source), IpAddr::from(ip.destination), ip.time_to_live, body)
            }
            EtherType::IPV6 => {
                let (ip, body) = Ipv6Header::from_slice(rest).unwrap();
                assert_eq!(ip.next_header, IpNumber::TCP);
                let body = &body[..usize::from(ip.payload_length)];
                (IpAddr::from(ip.source), IpAddr::from(ip.destination), ip.hop_limit, body)
            }
            other => panic!("{other:?}"),
        };
        let (tcp, payload) = TcpHeader::from_slice(body).unwrap();
        let flags = [
            (tcp.syn, 'S'),
            (tcp.ack, 'A'),
            (tcp.fin, 'F'),
            (tcp.rst, 'R'),
            (tcp.psh, 'P'),
            (tcp.urg, 'U'),
        ];
        let segment = Segment {
            from: Mac(ethernet.source),
            to: Mac(ethernet.destination),
            source: SocketAddr::new(source, tcp.source_port),
            destination: SocketAddr::new(destination, tcp.destination_port),
            ttl,
            flags: flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag).collect(),
            sequence: tcp.sequence_number,
            acknowledgement: tcp.acknowledgment_number,
            options: tcp.options.as_slice().to_vec(),
            payload: payload.to_vec(),
        };
        assert_eq!(tcp.checksum, sum(&tcp, &segment), "TCP checksum");
        segment
    }

    /// The data as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }
}

fn sum(tcp: &TcpHeader, segment: &Segment) -> u16 {
    let payload = &segment.payload;
    let sum = match (segment.source.ip(), segment.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            tcp.calc_checksum_ipv4_raw(source.octets(), destination.octets(), payload)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            tcp.calc_checksum_ipv6_raw(source.octets(), destination.octets(), payload)
        }
        ends => panic!("{ends:?}"),
    };
    sum.unwrap()
}

impl From<Segment> for Vec<u8> {
    fn from(segment: Segment) -> Vec<u8> {
        segment.bytes()
    }
}

impl From<&Segment> for Vec<u8> {
    fn from(segment: &Segment) -> Vec<u8> {
        segment.bytes()
    }
}
