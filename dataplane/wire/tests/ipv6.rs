//! Properties of any IPv6 packet; headers and checksums are judged by etherparse.

use etherparse::{
    IpFragOffset, IpNumber, Ipv6FlowLabel, Ipv6FragmentHeader, Ipv6Header, UdpHeader,
};
use proptest::prelude::*;
use std::net::Ipv6Addr;
use wire::icmp::answer_echo;
use wire::ip::{Ip, Malformed, Split};
use wire::ipv6::Ipv6;
use wire::udp::Udp;
use zerocopy::IntoBytes;

/// A datagram as its sender builds it.
#[derive(Debug, Clone)]
struct Sent {
    ends: [u128; 2],
    ports: [u16; 2],
    hops: u8,
    label: u32,
    data: Vec<u8>,
}

fn address() -> impl Strategy<Value = u128> {
    // Long runs of ones and zeroes produce carries.
    let word = || prop_oneof![Just(0u16), Just(0xffff), any::<u16>()];
    prop::array::uniform8(word())
        .prop_map(|words| words.iter().fold(0, |all, &word| all << 16 | u128::from(word)))
}

fn sent() -> impl Strategy<Value = Sent> {
    let data = prop::collection::vec(prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 0..100);
    ([address(), address()], any::<[u16; 2]>(), any::<u8>(), 0u32..1 << 20, data)
        .prop_map(|(ends, ports, hops, label, data)| Sent { ends, ports, hops, label, data })
}

impl Sent {
    fn header(&self, extensions: usize) -> Ipv6Header {
        Ipv6Header {
            flow_label: Ipv6FlowLabel::try_new(self.label).unwrap(),
            payload_length: (extensions + UdpHeader::LEN + self.data.len()) as u16,
            next_header: IpNumber::UDP,
            hop_limit: self.hops,
            source: self.ends[0].to_be_bytes(),
            destination: self.ends[1].to_be_bytes(),
            ..Ipv6Header::default()
        }
    }

    fn udp(&self) -> UdpHeader {
        let [source, destination] = self.ports;
        UdpHeader::with_ipv6_checksum(source, destination, &self.header(0), &self.data).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        self.with_extensions(&[])
    }

    /// The packet with these extension headers, each without the byte that names the next one.
    fn with_extensions(&self, extensions: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let len = extensions.iter().map(|(_, rest)| 1 + rest.len()).sum();
        let mut header = self.header(len);
        let kinds = extensions.iter().map(|&(kind, _)| kind).chain([IpNumber::UDP.0]);
        let mut kinds = kinds.collect::<Vec<_>>().into_iter();
        header.next_header = IpNumber(kinds.next().unwrap());
        let chain: Vec<u8> = extensions
            .iter()
            .zip(kinds)
            .flat_map(|((_, rest), next)| [&[next][..], rest].concat())
            .collect();
        [&header.to_bytes()[..], &chain, &self.udp().to_bytes(), &self.data].concat()
    }
}

/// An options header of 8 + 8 · `more` bytes, all padding.
fn options(more: u8) -> Vec<u8> {
    [&[more, 1, 4 + 8 * more][..], &vec![0; 4 + 8 * usize::from(more)]].concat()
}

fn fragment(offset: u16, more: bool) -> Vec<u8> {
    let offset = IpFragOffset::try_new(offset).unwrap();
    Ipv6FragmentHeader::new(IpNumber::UDP, offset, more, 7).to_bytes()[1..].to_vec()
}

fn seen(packet: &[u8]) -> Result<(u8, bool, Vec<u8>), Malformed> {
    let mut packet = packet.to_vec();
    Ipv6::split(&mut packet)
        .map(|split| (split.protocol, split.fragment.is_some(), split.body.to_vec()))
}

fn example() -> Sent {
    let ends = ["fd00::9", "fd00::64"].map(|end| end.parse::<Ipv6Addr>().unwrap().to_bits());
    Sent { ends, ports: [2070, 69], hops: 64, label: 0, data: b"\0\x01boot\0octet\0".to_vec() }
}

proptest! {
    #[test]
    fn a_rewritten_datagram_has_a_right_checksum(
        before in sent(), ends in [address(), address()], ports in any::<[u16; 2]>(),
        more in 0u8..3,
    ) {
        let extensions = [(60, options(more))];
        let mut packet = before.with_extensions(&extensions);
        let Split { ip, body, .. } = Ipv6::split(&mut packet).unwrap();
        let (udp, data) = Udp::split(body).unwrap();
        prop_assert_eq!(&data[..], &before.data[..]);
        let [source, destination] = ends.map(Ipv6Addr::from_bits);
        let after = match ip.forward(source, destination) {
            Some(addresses) => {
                udp.set_ports(ports[0], ports[1], addresses);
                Sent { ends, ports, hops: before.hops - 1, ..before.clone() }
            }
            None => before.clone(),
        };
        prop_assert_eq!(after.hops == before.hops, before.hops <= 1);
        prop_assert_eq!(packet, after.with_extensions(&extensions));
    }

    #[test]
    fn new_headers_are_those_of_the_other_implementation(made in sent()) {
        let made = Sent { hops: 64, label: 0, ..made };
        let [source, destination] = made.ends.map(Ipv6Addr::from_bits);
        let ip = Ipv6::new(17, source, destination, 8 + made.data.len());
        let udp = Udp::new(made.ports[0], made.ports[1], &ip, &made.data);
        prop_assert_eq!(ip.as_bytes(), &made.header(0).to_bytes()[..]);
        prop_assert_eq!(udp.as_bytes(), &made.udp().to_bytes()[..]);
    }

    #[test]
    fn what_is_split_off_lies_inside(
        packet in sent(), padding in prop::collection::vec(any::<u8>(), 0..40),
        cut in any::<prop::sample::Index>(), more in 0u8..3,
    ) {
        let whole = packet.with_extensions(&[(0, options(more)), (43, options(0))]);
        // Byte 1 of a routing header's data is the number of segments left.
        let mut whole = whole;
        whole[40 + 8 + 8 * usize::from(more) + 3] = 0;
        let mut frame = [&whole[..], &padding].concat();
        let Split { ip, body, .. } = Ipv6::split(&mut frame).unwrap();
        prop_assert_eq!((ip.total_len(), ip.hops()), (whole.len(), packet.hops));
        prop_assert_eq!(body.len(), 8 + packet.data.len());
        let mut short = whole[..cut.index(whole.len())].to_vec();
        let len = whole.len();
        let expected =
            if short.len() < 40 { Malformed::Truncated } else { Malformed::Short { len } };
        prop_assert_eq!(Ipv6::split(&mut short).map(|_| ()).err(), Some(expected));
    }

    #[test]
    fn any_chain_of_headers_ends(first in any::<u8>(), rest in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut header = example().header(0);
        header.next_header = IpNumber(first);
        header.payload_length = rest.len() as u16;
        let mut packet = [&header.to_bytes()[..], &rest].concat();
        if let Ok(Split { ip, body, .. }) = Ipv6::split(&mut packet) {
            let _ = Udp::split(body);
            let _ = answer_echo(ip, body);
        }
    }
}

#[test]
fn what_can_be_looked_behind() {
    let sent = example();
    let udp = [&sent.udp().to_bytes()[..], &sent.data].concat();
    let mut arrived = options(0);
    arrived[2] = 0;
    for chain in [
        vec![],
        vec![(0, options(1))],
        vec![(60, options(0)), (43, arrived), (60, options(2))],
        vec![(44, fragment(0, false))],
        vec![(60, options(0)); 8],
    ] {
        assert_eq!(seen(&sent.with_extensions(&chain)), Ok((17, false, udp.clone())), "{chain:?}");
    }
}

#[test]
fn what_can_not_be_looked_behind_is_the_payload() {
    let sent = example();
    let protocol = |chain: &[(u8, Vec<u8>)]| seen(&sent.with_extensions(chain)).map(|seen| seen.0);
    assert_eq!(protocol(&[(51, options(1))]), Ok(51), "authentication");
    assert_eq!(protocol(&[(43, options(0))]), Ok(43), "segments left");
    assert_eq!(protocol(&[(60, options(0)), (0, options(0))]), Ok(0), "hop-by-hop, not first");
    assert_eq!(protocol(&vec![(60, options(0)); 9]), Ok(60), "too many");
}

#[test]
fn fragments_of_a_datagram() {
    let sent = example();
    for (offset, more) in [(0, true), (5, true), (5, false)] {
        let chain = [(0, options(0)), (44, fragment(offset, more)), (60, options(0))];
        let (protocol, is_fragment, body) = seen(&sent.with_extensions(&chain)).unwrap();
        // Only the first fragment has the headers behind, and not necessarily all of them.
        assert_eq!((protocol, is_fragment), (60, true));
        assert_eq!(body.len(), 8 + 8 + sent.data.len());
    }
}

#[test]
fn a_datagram_without_a_checksum_is_not_sound() {
    let mut packet = example().bytes();
    packet[46..48].fill(0);
    let Split { body, .. } = Ipv6::split(&mut packet).unwrap();
    assert!(!Udp::is_sound::<Ipv6>(body));
}

#[test]
fn another_version_is_no_ipv6() {
    let mut packet = example().bytes();
    packet[0] = 0x45;
    assert_eq!(seen(&packet), Err(Malformed::Contradiction));
}

#[test]
fn an_echo_is_answered_with_a_checksum_over_the_addresses() {
    use etherparse::{IcmpEchoHeader, Icmpv6Header, Icmpv6Type};
    let [source, destination] = example().ends.map(|end| end.to_be_bytes());
    let message = |kind: fn(IcmpEchoHeader) -> Icmpv6Type, source, destination| {
        let kind = kind(IcmpEchoHeader { id: 7, seq: 1 });
        let header = Icmpv6Header::with_checksum(kind, source, destination, b"ping").unwrap();
        [&header.to_bytes()[..], b"ping"].concat()
    };
    let [from, to] = [source, destination].map(Ipv6Addr::from);
    let mut bytes = message(Icmpv6Type::EchoRequest, source, destination);
    assert!(answer_echo(&Ipv6::new(58, from, to, bytes.len()), &mut bytes));
    assert_eq!(bytes, message(Icmpv6Type::EchoReply, destination, source));
    // With other addresses the checksum is wrong.
    let mut bytes = message(Icmpv6Type::EchoRequest, source, source);
    assert!(!answer_echo(&Ipv6::new(58, from, to, bytes.len()), &mut bytes));
}
