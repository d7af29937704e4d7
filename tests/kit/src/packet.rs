//! A UDP datagram in an Ethernet frame, field by field, and its bytes.

use etherparse::{
    EtherType, Ethernet2Header, IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, Ipv6FlowLabel,
    Ipv6Header, UdpHeader,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wire::ethernet::Mac;

/// A datagram. Two are equal if every byte of their frames is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
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
    /// The IP identification; over IPv6 the flow label.
    pub id: u16,
    /// Whether routers may fragment the packet; IPv4 only.
    pub may_be_fragmented: bool,
    /// IP options: a multiple of four bytes; over IPv6 an extension header's padding.
    pub options: Vec<u8>,
    /// Whether there is a UDP checksum.
    pub summed: bool,
    /// UDP payload.
    pub payload: Vec<u8>,
    /// Bytes behind the IP packet in the frame.
    pub padding: Vec<u8>,
}

impl Packet {
    /// The frame, with all checksums computed in full.
    ///
    /// # Panics
    ///
    /// The fields fit no packet.
    pub fn bytes(&self) -> Vec<u8> {
        let ether_type = if self.is_v6() { EtherType::IPV6 } else { EtherType::IPV4 };
        let ethernet =
            Ethernet2Header { source: self.from.0, destination: self.to.0, ether_type }.to_bytes();
        let ip = if self.is_v6() { self.ipv6_bytes() } else { self.ipv4_bytes() };
        let udp = self.udp_header().to_bytes();
        [&ethernet[..], &ip, &udp, &self.payload, &self.padding].concat()
    }

    /// Parses a frame that was sent.
    ///
    /// # Panics
    ///
    /// The frame is no datagram, or a checksum is wrong.
    pub fn read(frame: &[u8]) -> Packet {
        let (ethernet, rest) = Ethernet2Header::from_slice(frame).unwrap();
        let (packet, udp, payload) = match ethernet.ether_type {
            EtherType::IPV4 => Packet::read_ipv4(rest),
            EtherType::IPV6 => Packet::read_ipv6(rest),
            other => panic!("{other:?}"),
        };
        let packet = Packet {
            from: Mac(ethernet.source),
            to: Mac(ethernet.destination),
            source: SocketAddr::new(packet.source.ip(), udp.source_port),
            destination: SocketAddr::new(packet.destination.ip(), udp.destination_port),
            summed: udp.checksum != 0,
            payload,
            ..packet
        };
        // The other form of zero tells "computed" from "none".
        assert_eq!(udp, packet.udp_header(), "UDP checksum");
        packet
    }

    /// Parses everything except for UDP.
    fn read_ipv4(bytes: &[u8]) -> (Packet, UdpHeader, Vec<u8>) {
        let (ip, body) = Ipv4Header::from_slice(bytes).unwrap();
        assert_eq!(ip.header_checksum, ip.calc_header_checksum(), "IPv4 checksum");
        assert_eq!((ip.protocol, ip.is_fragmenting_payload()), (IpNumber::UDP, false));
        let ends = [ip.source, ip.destination].map(|end| SocketAddr::from((end, 0)));
        let (body, padding) = body.split_at(usize::from(ip.payload_len().unwrap()));
        let packet = Packet {
            ttl: ip.time_to_live,
            id: ip.identification,
            may_be_fragmented: !ip.dont_fragment,
            options: ip.options.as_slice().to_vec(),
            ..Packet::between(ends, padding)
        };
        let (udp, payload) = udp(body);
        (packet, udp, payload)
    }

    fn read_ipv6(bytes: &[u8]) -> (Packet, UdpHeader, Vec<u8>) {
        let (ip, body) = Ipv6Header::from_slice(bytes).unwrap();
        let ends = [ip.source, ip.destination].map(|end| SocketAddr::from((end, 0)));
        let (body, padding) = body.split_at(usize::from(ip.payload_length));
        let (options, body) = match ip.next_header {
            IpNumber::UDP => (vec![], body),
            IpNumber::IPV6_DESTINATION_OPTIONS => {
                let (options, body) = body.split_at(8 + 8 * usize::from(body[1]));
                assert_eq!((options[0], options[2]), (IpNumber::UDP.0, PAD_N));
                (options[4..4 + usize::from(options[3])].to_vec(), body)
            }
            other => panic!("{other:?}"),
        };
        let id = u16::try_from(ip.flow_label.value()).unwrap();
        let packet = Packet { ttl: ip.hop_limit, id, options, ..Packet::between(ends, padding) };
        let (udp, payload) = udp(body);
        (packet, udp, payload)
    }

    fn between([source, destination]: [SocketAddr; 2], padding: &[u8]) -> Packet {
        Packet {
            from: Mac::default(),
            to: Mac::default(),
            source,
            destination,
            ttl: 0,
            id: 0,
            may_be_fragmented: false,
            options: vec![],
            summed: false,
            payload: vec![],
            padding: padding.to_vec(),
        }
    }

    /// Whether the packet is IPv6.
    pub fn is_v6(&self) -> bool {
        self.source.is_ipv6()
    }

    /// The packet padded to Ethernet's shortest frame.
    pub fn padded(mut self) -> Packet {
        let len = self.bytes().len();
        self.padding = vec![0xee; 60usize.saturating_sub(len)];
        self
    }

    /// The packet without UDP checksum, where UDP permits that.
    pub fn unsummed(self) -> Packet {
        Packet { summed: self.is_v6(), ..self }
    }

    /// The packet translated to the other address family, between these endpoints (RFC 7915 §4.1, §5.1). `id` is the
    /// translator's identification.
    pub fn crossed(&self, source: SocketAddr, destination: SocketAddr, id: u16) -> Packet {
        let fragile = self.is_v6() && 28 + self.payload.len() <= 1260;
        Packet {
            source,
            destination,
            id: if fragile { id } else { 0 },
            may_be_fragmented: fragile,
            options: vec![],
            padding: vec![],
            summed: self.summed || destination.is_ipv6(),
            ..self.clone()
        }
    }

    /// The packet with a payload for which the UDP checksum is zero, so that the header has 0xffff.
    ///
    /// # Panics
    ///
    /// The payload's length is odd or zero.
    pub fn summing_to_zero(mut self) -> Packet {
        assert!(self.payload.len() >= 2 && self.payload.len().is_multiple_of(2));
        let end = self.payload.len() - 2;
        self.payload[end..].copy_from_slice(&[0, 0]);
        let without = self.udp_header().checksum;
        self.payload[end..].copy_from_slice(&without.to_be_bytes());
        assert_eq!(self.udp_header().checksum, 0xffff);
        self
    }

    fn ipv4_bytes(&self) -> Vec<u8> {
        let mut ip = self.ipv4_header();
        ip.set_payload_len(UdpHeader::LEN + self.payload.len()).unwrap();
        ip.header_checksum = ip.calc_header_checksum();
        ip.to_bytes().to_vec()
    }

    /// The IPv4 header, before length and checksum are filled in.
    pub fn ipv4_header(&self) -> Ipv4Header {
        Ipv4Header {
            identification: self.id,
            dont_fragment: !self.may_be_fragmented,
            fragment_offset: IpFragOffset::ZERO,
            time_to_live: self.ttl,
            protocol: IpNumber::UDP,
            source: v4(self.source).octets(),
            destination: v4(self.destination).octets(),
            options: Ipv4Options::try_from(&self.options[..]).unwrap(),
            ..Ipv4Header::default()
        }
    }

    fn ipv6_bytes(&self) -> Vec<u8> {
        let mut ip = self.ipv6_header();
        let mut extension = vec![];
        if !self.options.is_empty() {
            ip.next_header = IpNumber::IPV6_DESTINATION_OPTIONS;
            let len = (4 + self.options.len()).next_multiple_of(8);
            let head = [IpNumber::UDP.0, (len / 8 - 1) as u8, PAD_N, self.options.len() as u8];
            extension = [&head, &self.options[..]].concat();
            extension.resize(len, 0);
        }
        ip.payload_length = (extension.len() + UdpHeader::LEN + self.payload.len()) as u16;
        [&ip.to_bytes()[..], &extension].concat()
    }

    fn ipv6_header(&self) -> Ipv6Header {
        Ipv6Header {
            flow_label: Ipv6FlowLabel::try_new(self.id.into()).unwrap(),
            next_header: IpNumber::UDP,
            hop_limit: self.ttl,
            source: v6(self.source).octets(),
            destination: v6(self.destination).octets(),
            ..Ipv6Header::default()
        }
    }

    fn udp_header(&self) -> UdpHeader {
        let (source, destination) = (self.source.port(), self.destination.port());
        let len = self.payload.len();
        let mut udp = UdpHeader::without_ipv4_checksum(source, destination, len).unwrap();
        if self.summed {
            let sum = if self.is_v6() {
                udp.calc_checksum_ipv6(&self.ipv6_header(), &self.payload)
            } else {
                udp.calc_checksum_ipv4(&self.ipv4_header(), &self.payload)
            };
            udp.checksum = match sum.unwrap() {
                0 => 0xffff,
                sum => sum,
            };
        }
        udp
    }
}

/// The padding option of an extension header (RFC 8200 §4.2).
const PAD_N: u8 = 1;

fn udp(body: &[u8]) -> (UdpHeader, Vec<u8>) {
    let (udp, payload) = UdpHeader::from_slice(body).unwrap();
    assert_eq!(usize::from(udp.length), body.len(), "UDP length");
    (udp, payload.to_vec())
}

fn v4(end: SocketAddr) -> Ipv4Addr {
    let IpAddr::V4(address) = end.ip() else { panic!("{end} is not IPv4's") };
    address
}

fn v6(end: SocketAddr) -> Ipv6Addr {
    let IpAddr::V6(address) = end.ip() else { panic!("{end} is not IPv6's") };
    address
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
