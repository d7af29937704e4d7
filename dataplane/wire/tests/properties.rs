//! Properties of any frame; headers and checksums are judged by etherparse.

use etherparse::{IpNumber, Ipv4Header, UdpHeader};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use wire::checksum::{Delta, fold, sum};
use wire::common_frame::Plain;
use wire::ip::{Ip, Malformed, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tftp::Message;
use wire::udp::Udp;
use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, IntoBytes};

/// 16-bit words, with those frequent that make sums of zero.
fn word() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), Just(1), Just(0xfffe), Just(0xffff), any::<u16>()]
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0u8), Just(0xff), any::<u8>()];
    prop::collection::vec(byte, 0..max)
}

/// A datagram as its sender builds it.
#[derive(Debug, Clone)]
struct Sent {
    ends: [u32; 2],
    ports: [u16; 2],
    ttl: u8,
    options: Vec<u8>,
    data: Vec<u8>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let options = (0usize..=10).prop_flat_map(|n| prop::collection::vec(any::<u8>(), n * 4));
    let long = || (word(), word()).prop_map(|(high, low)| u32::from(high) << 16 | u32::from(low));
    let ends = [long(), long()];
    (ends, [word(), word()], any::<u8>(), options, bytes(100))
        .prop_map(|(ends, ports, ttl, options, data)| Sent { ends, ports, ttl, options, data })
}

impl Sent {
    fn header(&self) -> Ipv4Header {
        let mut header = Ipv4Header {
            time_to_live: self.ttl,
            protocol: IpNumber::UDP,
            source: self.ends[0].to_be_bytes(),
            destination: self.ends[1].to_be_bytes(),
            options: self.options[..].try_into().unwrap(),
            ..Ipv4Header::default()
        };
        header.set_payload_len(8 + self.data.len()).unwrap();
        header.header_checksum = header.calc_header_checksum();
        header
    }

    fn udp(&self) -> UdpHeader {
        let [source, destination] = self.ports;
        let mut udp =
            UdpHeader::without_ipv4_checksum(source, destination, self.data.len()).unwrap();
        udp.checksum = on_the_wire(udp.calc_checksum_ipv4(&self.header(), &self.data).unwrap());
        udp
    }

    fn bytes(&self) -> Vec<u8> {
        [&self.header().to_bytes()[..], &self.udp().to_bytes(), &self.data].concat()
    }
}

fn on_the_wire(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

proptest! {
    #[test]
    fn a_sum_does_not_care_where_it_is_split(bytes in bytes(300), at in any::<prop::sample::Index>()) {
        let at = at.index(bytes.len() + 1) & !1;
        let whole = fold(sum(&bytes, 0));
        prop_assert_eq!(fold(sum(&bytes[at..], sum(&bytes[..at], 0))), whole);
    }

    #[test]
    fn a_delta_mends_as_a_new_sum_would(
        words in prop::collection::vec(word(), 2..30),
        changes in prop::collection::vec((any::<prop::sample::Index>(), word()), 1..5),
    ) {
        // The first word stays unchanged and nonzero, as in every real header: with all words zero, +0 and -0 are
        // indistinguishable.
        let mut words = words;
        words[0] = 0x4500;
        let full = |words: &[u16]| !fold(sum(U16s(words).bytes().as_slice(), 0));
        let mut mended = U16::new(full(&words));
        let mut delta = Delta::default();
        for (at, new) in changes {
            let at = 1 + at.index(words.len() - 1);
            let change = Delta::word(U16::new(words[at]), U16::new(new));
            mended = change.mend(mended);
            delta = delta.and(change);
            words[at] = new;
        }
        prop_assert_eq!(mended.get(), full(&words));
    }

    #[test]
    fn deltas_commute_and_add_up(a in [word(), word()], b in [word(), word()], checksum in word()) {
        let [one, two] = [a, b].map(|[old, new]| Delta::word(U16::new(old), U16::new(new)));
        let start = U16::new(checksum);
        prop_assert_eq!(one.and(two).mend(start), two.and(one).mend(start));
        prop_assert_eq!(one.and(two).mend(start), two.mend(one.mend(start)));
        let long = Delta::long(U32::new(join(a[0], b[0])), U32::new(join(a[1], b[1])));
        prop_assert_eq!(long.mend(start), one.and(two).mend(start));
    }

    #[test]
    fn a_change_and_its_undoing_are_none(words in [word(), word()], checksum in 1u16..0xffff) {
        let [old, new] = words;
        let [old, new] = [old, new].map(U16::new);
        let there = Delta::word(old, new);
        let back = Delta::word(new, old);
        let start = U16::new(checksum);
        prop_assert_eq!(back.mend(there.mend(start)), start);
    }

    #[test]
    fn a_rewritten_datagram_has_right_checksums(
        before in sent(), ends in [any::<u32>(), any::<u32>()], ports in [word(), word()],
    ) {
        let mut frame = before.bytes();
        let Split { ip, body, .. } = Ipv4::split(&mut frame).unwrap();
        let (udp, data) = Udp::split(body).unwrap();
        prop_assert_eq!(&data[..], &before.data[..]);
        let [source, destination] = ends.map(Ipv4Addr::from);
        let after = match ip.forward(source, destination) {
            Some(addresses) => {
                udp.set_ports(ports[0], ports[1], addresses);
                Sent { ends, ports, ttl: before.ttl - 1, ..before.clone() }
            }
            None => before.clone(),
        };
        prop_assert_eq!(after.ttl == before.ttl, before.ttl <= 1);
        prop_assert_eq!(frame, after.bytes());
    }

    /// The check of a common frame agrees with the checks of its headers one by one.
    #[test]
    fn a_plain_frame_is_what_each_header_says(
        sent in sent(), padding in bytes(40), flip in any::<Option<prop::sample::Index>>(),
    ) {
        let ethernet = [&[2; 12][..], &[8, 0]].concat();
        let mut frame = [&ethernet, &sent.bytes()[..], &padding].concat();
        if let Some(at) = flip {
            // A bit anywhere in the headers.
            let at = at.index(42 * 8);
            frame[at / 8] ^= 1 << (at % 8);
        }
        let plain = Plain::check(&frame);
        let found = plain.and_then(|len| {
            let (Plain { udp, .. }, data) = Plain::split(&mut frame, len)?;
            Some(((udp.source(), udp.destination()), data.to_vec()))
        });
        let (ethernet, rest) = frame.split_at_mut(14);
        let by_header = Ipv4::split(rest).ok().and_then(|Split { ip, protocol, fragment, body }| {
            let whole = protocol == 17 && fragment.is_none() && ip.as_bytes()[0] == 0x45;
            let exact = body.get(4..6) == Some(&(body.len() as u16).to_be_bytes()[..]);
            let sound = Udp::is_sound::<Ipv4>(body);
            let (udp, data) = Udp::split(body)?;
            let parts = ((udp.source(), udp.destination()), data.to_vec());
            (whole && exact && sound && ethernet[12..] == [8, 0]).then_some(parts)
        });
        prop_assert_eq!(plain.is_some(), found.is_some());
        prop_assert_eq!(found, by_header);
    }

    #[test]
    fn no_checksum_stays_none(before in sent(), ports in [word(), word()]) {
        let mut frame = before.bytes();
        let Split { ip, body, .. } = Ipv4::split(&mut frame).unwrap();
        body[6..8].fill(0);
        let (udp, _) = Udp::split(body).unwrap();
        let addresses = ip.set_addresses(Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST);
        udp.set_ports(ports[0], ports[1], addresses);
        prop_assert_eq!(&body[6..8], &[0, 0]);
    }

    #[test]
    fn new_headers_are_those_of_the_other_implementation(made in sent()) {
        let data = &made.data;
        let [source, destination] = made.ends.map(Ipv4Addr::from);
        let ip = Ipv4::new(17, source, destination, 8 + data.len());
        let udp = Udp::new(made.ports[0], made.ports[1], &ip, data);
        let plain = Sent { options: vec![], ttl: 64, ..made.clone() };
        let mut header = plain.header();
        header.dont_fragment = true;
        header.header_checksum = header.calc_header_checksum();
        prop_assert_eq!(ip.as_bytes(), &header.to_bytes()[..]);
        prop_assert_eq!(udp.as_bytes(), &plain.udp().to_bytes()[..]);
    }

    #[test]
    fn what_is_split_off_lies_inside(packet in sent(), padding in bytes(40), cut in any::<prop::sample::Index>()) {
        let whole = packet.bytes();
        let mut frame = [&whole[..], &padding].concat();
        let Split { ip, body, .. } = Ipv4::split(&mut frame).unwrap();
        prop_assert_eq!((ip.total_len(), ip.hops()), (whole.len(), packet.ttl));
        prop_assert_eq!(body.len(), 8 + packet.data.len());
        let mut short = whole[..cut.index(whole.len())].to_vec();
        let len = short.len();
        let expected = if len < 20 { Malformed::Truncated } else { Malformed::Short { len: whole.len() } };
        prop_assert_eq!(Ipv4::split(&mut short).map(|_| ()), Err(expected));
    }

    #[test]
    fn any_flipped_bit_of_a_header_is_seen(packet in sent(), bit in any::<prop::sample::Index>()) {
        let mut frame = packet.bytes();
        let bit = bit.index((20 + packet.options.len()) * 8);
        frame[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Ipv4::split(&mut frame).is_err());
    }

    #[test]
    fn noise_never_panics(bytes in bytes(200)) {
        let mut frame = bytes.clone();
        if let Ok(Split { ip, body, .. }) = Ipv4::split(&mut frame) {
            let _ = Udp::split(body);
            let _ = wire::icmp::answer_echo(ip, body);
        }
        if let Ok(Split { ip, body, .. }) = Ipv6::split(&mut frame) {
            let _ = Udp::split(body);
            let _ = wire::icmp::answer_echo(ip, body);
        }
        let _ = Udp::split(&mut bytes.clone()).map(|(udp, data)| (udp.source(), data.len()));
        let _ = wire::ethernet::Ethernet::read_from_prefix(&bytes);
        match Message::parse(&bytes) {
            Ok(Message::Request(request)) => drop(request.options.blksize()),
            Ok(Message::Oack(options)) => drop(options.blksize()),
            Ok(Message::Data { .. } | Message::Ack { .. } | Message::Error { .. }) | Err(_) => {}
        }
    }

    #[test]
    fn a_request_reads_as_it_was_written(
        is_write: bool, file in prop::collection::vec(1u8.., 1..80), size in 8u16..,
        case in any::<[bool; 7]>(),
    ) {
        let name: String = "blksize".chars().zip(case)
            .map(|(letter, up)| if up { letter.to_ascii_uppercase() } else { letter })
            .collect();
        let options = format!("\0netASCII\0tsize\x000\0{name}\0{size}\0");
        let bytes = [&[0, 1 + u8::from(is_write)][..], &file, options.as_bytes()].concat();
        let Ok(Message::Request(read)) = Message::parse(&bytes) else { panic!() };
        prop_assert_eq!((read.is_write, read.file), (is_write, &file[..]));
        prop_assert_eq!(read.options.blksize(), Some(size));
    }
}

fn join(high: u16, low: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

struct U16s<'a>(&'a [u16]);

impl U16s<'_> {
    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_be_bytes()).collect()
    }
}
