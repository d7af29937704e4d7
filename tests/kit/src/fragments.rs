//! Fragmented datagrams: cut as a sender cuts them, and reassembled as a receiver does.

use crate::engine_harness::EngineHarness;
use crate::packet::Packet;
use engine::types::verdict::Verdict;
use etherparse::{
    EtherType, Ethernet2Header, IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The fragments of a datagram, each with at most `size` bytes of payload, a multiple of eight. Over IPv6 the
/// identification is the flow label, too.
///
/// # Panics
///
/// `size` is not a multiple of eight.
pub fn cut(packet: &Packet, size: usize) -> Vec<Vec<u8>> {
    assert!(size.is_multiple_of(8) && packet.options.is_empty() && packet.padding.is_empty());
    let whole = packet.bytes();
    let header = if packet.is_v6() { 54 } else { 34 };
    let payload = &whole[header..];
    let part = |(n, bytes): (usize, &[u8])| {
        let more = (n + 1) * size < payload.len();
        self::part(packet, n * size, more, bytes)
    };
    payload.chunks(size).enumerate().map(part).collect()
}

/// One fragment: these bytes of the packet's payload, at this offset.
///
/// # Panics
///
/// The offset is not a multiple of eight, or too large.
pub fn part(packet: &Packet, offset: usize, more: bool, bytes: &[u8]) -> Vec<u8> {
    let offset = IpFragOffset::try_new((offset / 8) as u16).unwrap();
    let ip = match (packet.source.ip(), packet.destination.ip()) {
        (IpAddr::V4(_), IpAddr::V4(_)) => {
            let mut ip = Ipv4Header {
                dont_fragment: false,
                fragment_offset: offset,
                more_fragments: more,
                ..packet.ipv4_header()
            };
            ip.set_payload_len(bytes.len()).unwrap();
            ip.header_checksum = ip.calc_header_checksum();
            ip.to_bytes().to_vec()
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let header = Ipv6FragmentHeader::new(IpNumber::UDP, offset, more, packet.id.into());
            let ip = Ipv6Header {
                payload_length: (8 + bytes.len()) as u16,
                next_header: IpNumber::IPV6_FRAGMENTATION_HEADER,
                hop_limit: packet.ttl,
                source: source.octets(),
                destination: destination.octets(),
                ..Ipv6Header::default()
            };
            [&ip.to_bytes()[..], &header.to_bytes()].concat()
        }
        _ => panic!("of two versions"),
    };
    let ether_type = if packet.is_v6() { EtherType::IPV6 } else { EtherType::IPV4 };
    let ethernet = Ethernet2Header { source: packet.from.0, destination: packet.to.0, ether_type };
    [&ethernet.to_bytes()[..], &ip, bytes].concat()
}

/// The datagram as a host behind the gate reassembles it.
///
/// # Panics
///
/// A fragment is not forwarded, the datagram is incomplete, or a checksum is wrong.
#[track_caller]
pub fn joined(gate: &mut EngineHarness, frames: Vec<Vec<u8>>) -> Packet {
    let mut joiner = Joiner::default();
    let mut whole = None;
    for frame in frames {
        let outcome = gate.take(frame);
        assert!(matches!(outcome.verdict, Verdict::Transmit(_)), "{:?}", outcome.verdict);
        whole = whole.or(joiner.take(outcome.bytes));
    }
    Packet::read(&whole.expect("a whole datagram"))
}

/// A receiver: takes frames, and returns whole datagrams.
#[derive(Default)]
pub struct Joiner(BTreeMap<Name, Parts>);

/// Source, destination, identification.
type Name = (IpAddr, IpAddr, u32);

#[derive(Default)]
struct Parts {
    /// Header of the whole datagram, from the first fragment that came.
    head: Vec<u8>,
    bytes: BTreeMap<usize, Vec<u8>>,
    len: Option<usize>,
}

impl Joiner {
    /// Takes a frame. Returns it, or the datagram that it completes.
    ///
    /// # Panics
    ///
    /// Fragments contradict each other, or an IP header is wrong.
    pub fn take(&mut self, frame: Vec<u8>) -> Option<Vec<u8>> {
        let (ethernet, rest) = Ethernet2Header::from_slice(&frame).unwrap();
        let (name, offset, more, head, body) = match ethernet.ether_type {
            EtherType::IPV4 => v4(rest),
            EtherType::IPV6 => v6(rest),
            other => panic!("{other:?}"),
        };
        if (offset, more) == (0, false) {
            return Some(frame);
        }
        let parts = self.0.entry(name).or_default();
        let head = [&frame[..14], &head].concat();
        assert!(parts.head.is_empty() || parts.head == head, "parts have the same header");
        parts.head = head;
        parts.bytes.insert(offset, body);
        if !more {
            parts.len = parts.bytes.get(&offset).map(|last| offset + last.len());
        }
        let come: usize = parts.bytes.values().map(Vec::len).sum();
        (parts.len == Some(come)).then(|| self.0.remove(&name).expect("it is there").join())
    }

    /// Number of incomplete datagrams.
    pub fn waiting(&self) -> usize {
        self.0.len()
    }
}

impl Parts {
    fn join(self) -> Vec<u8> {
        let body: Vec<u8> = self.bytes.into_values().flatten().collect();
        let mut head = self.head;
        let len = body.len() as u16;
        if head[12..14] == [8, 0] {
            let (mut ip, _) = Ipv4Header::from_slice(&head[14..]).unwrap();
            ip.set_payload_len(body.len()).unwrap();
            ip.header_checksum = ip.calc_header_checksum();
            head.splice(14.., ip.to_bytes());
        } else {
            head[18..20].copy_from_slice(&len.to_be_bytes());
        }
        [head, body].concat()
    }
}

type Taken = (Name, usize, bool, Vec<u8>, Vec<u8>);

fn v4(packet: &[u8]) -> Taken {
    let (mut ip, body) = Ipv4Header::from_slice(packet).unwrap();
    assert_eq!(ip.header_checksum, ip.calc_header_checksum(), "IPv4 checksum");
    let body = body[..usize::from(ip.payload_len().unwrap())].to_vec();
    let name = (ip.source.into(), ip.destination.into(), ip.identification.into());
    let (offset, more) = (usize::from(ip.fragment_offset.value()) * 8, ip.more_fragments);
    ip.fragment_offset = IpFragOffset::ZERO;
    ip.more_fragments = false;
    ip.set_payload_len(0).unwrap();
    ip.header_checksum = 0;
    (name, offset, more, ip.to_bytes().to_vec(), body)
}

fn v6(packet: &[u8]) -> Taken {
    let (mut ip, body) = Ipv6Header::from_slice(packet).unwrap();
    let body = &body[..usize::from(ip.payload_length)];
    let ends = (ip.source.into(), ip.destination.into());
    if ip.next_header != IpNumber::IPV6_FRAGMENTATION_HEADER {
        return ((ends.0, ends.1, 0), 0, false, vec![], vec![]);
    }
    let (fragment, body) = Ipv6FragmentHeader::from_slice(body).unwrap();
    ip.next_header = fragment.next_header;
    ip.payload_length = 0;
    let name = (ends.0, ends.1, fragment.identification);
    let offset = usize::from(fragment.fragment_offset.value()) * 8;
    (name, offset, fragment.more_fragments, ip.to_bytes().to_vec(), body.to_vec())
}
