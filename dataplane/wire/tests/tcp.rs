//! Properties of any TCP segment; headers and checksums are judged by etherparse.

use etherparse::TcpHeader;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use wire::checksum::Delta;
use wire::ip::Ip;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tcp::{Flags, SegmentFields, SeqNumber, Tcp};
use zerocopy::IntoBytes;

/// A segment as its sender builds it.
#[derive(Debug, Clone)]
struct Sent {
    ends: [u128; 2],
    is_v6: bool,
    header: TcpHeader,
    data: Vec<u8>,
}

/// 16-bit words, with those frequent that make sums of zero.
fn word() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), Just(1), Just(0xfffe), Just(0xffff), any::<u16>()]
}

fn long() -> impl Strategy<Value = u32> {
    (word(), word()).prop_map(|(high, low)| u32::from(high) << 16 | u32::from(low))
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 0..100)
}

fn sent() -> impl Strategy<Value = Sent> {
    let options = prop_oneof![noise(), blocks()];
    let rest = (any::<u8>(), word(), word(), options);
    (
        [any::<u128>(), any::<u128>()],
        any::<bool>(),
        [word(), word()],
        [long(), long()],
        rest,
        data(),
    )
        .prop_map(|(ends, is_v6, ports, numbers, (flags, window, urgent, options), data)| {
            let mut header = TcpHeader::new(ports[0], ports[1], numbers[0], window);
            header.acknowledgment_number = numbers[1];
            header.urgent_pointer = urgent;
            header.set_options_raw(&options).unwrap();
            set_flags(&mut header, flags);
            Sent { ends, is_v6, header, data }
        })
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    (0usize..=10).prop_flat_map(|words| prop::collection::vec(any::<u8>(), words * 4))
}

/// SACK blocks anywhere in the option list.
fn blocks() -> impl Strategy<Value = Vec<u8>> {
    (0usize..=6, prop::collection::vec([long(), long()], 1..=4)).prop_map(|(before, blocks)| {
        let len = 2 + 8 * blocks.len();
        let edges = blocks.into_iter().flatten().flat_map(u32::to_be_bytes);
        let head = vec![1; before].into_iter().chain([5, len as u8]);
        let mut options: Vec<u8> = head.chain(edges).collect();
        options.resize(options.len().next_multiple_of(4).min(40), 0);
        options
    })
}

fn set_flags(header: &mut TcpHeader, flags: u8) {
    let has = |bit: u8| flags >> bit & 1 == 1;
    (header.fin, header.syn, header.rst, header.psh) = (has(0), has(1), has(2), has(3));
    (header.ack, header.urg, header.ece, header.cwr) = (has(4), has(5), has(6), has(7));
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        let mut header = self.header.clone();
        let [source, destination] = self.ends;
        header.checksum = if self.is_v6 {
            let ends = (source.to_be_bytes(), destination.to_be_bytes());
            header.calc_checksum_ipv6_raw(ends.0, ends.1, &self.data).unwrap()
        } else {
            let ends = ((source as u32).to_be_bytes(), (destination as u32).to_be_bytes());
            header.calc_checksum_ipv4_raw(ends.0, ends.1, &self.data).unwrap()
        };
        [&header.to_bytes()[..], &self.data].concat()
    }

    fn says(&self) -> SegmentFields {
        let header = &self.header;
        let flags = [Flags::FIN, Flags::SYN, Flags::RST, Flags::PSH, Flags::ACK]
            .into_iter()
            .zip([header.fin, header.syn, header.rst, header.psh, header.ack])
            .filter(|(_, set)| *set)
            .fold(Flags::default(), |all, (flag, _)| all | flag);
        SegmentFields {
            source: header.source_port,
            destination: header.destination_port,
            sequence: SeqNumber(header.sequence_number),
            acknowledgement: SeqNumber(header.acknowledgment_number),
            flags,
            window: header.window_size,
        }
    }

    /// The checksum change when the IP addresses are rewritten.
    fn readdress(&self, ends: [u128; 2]) -> Delta {
        let len = self.header.header_len() + self.data.len();
        if self.is_v6 {
            let [from, to, source, destination] =
                [self.ends[0], self.ends[1], ends[0], ends[1]].map(Ipv6Addr::from);
            Ipv6::new(6, from, to, len).set_addresses(source, destination)
        } else {
            let [from, to, source, destination] = [self.ends[0], self.ends[1], ends[0], ends[1]]
                .map(|end| Ipv4Addr::from(end as u32));
            Ipv4::new(6, from, to, len).set_addresses(source, destination)
        }
    }
}

proptest! {
    #[test]
    fn a_header_reads_as_the_other_implementation_wrote_it(sent in sent(), flags: u8) {
        let mut before = sent.clone();
        set_flags(&mut before.header, flags);
        let mut bytes = before.bytes();
        let (tcp, options, data) = Tcp::split(&mut bytes).unwrap();
        prop_assert_eq!((&options[..], &data[..]), (before.header.options.as_slice(), &sent.data[..]));
        prop_assert_eq!(tcp.flags().bits(), flags);
        prop_assert_eq!(tcp.window(), sent.header.window_size);
        prop_assert_eq!(tcp.header_len(), before.header.header_len());
        prop_assert_eq!(
            (tcp.source(), tcp.destination(), tcp.sequence(), tcp.acknowledgement()),
            (
                sent.header.source_port,
                sent.header.destination_port,
                SeqNumber(sent.header.sequence_number),
                SeqNumber(sent.header.acknowledgment_number),
            )
        );
    }

    #[test]
    fn a_rewritten_segment_has_the_right_checksum(
        before in sent(), ends: [u128; 2], ports in [word(), word()], numbers in [long(), long()], flags: u8,
    ) {
        let mut bytes = before.bytes();
        let mut after = Sent { ends, ..before.clone() };
        after.header.source_port = ports[0];
        after.header.destination_port = ports[1];
        after.header.sequence_number = numbers[0];
        after.header.acknowledgment_number = numbers[1];
        set_flags(&mut after.header, flags);
        let mut wanted = after.bytes();

        let (tcp, ..) = Tcp::split(&mut bytes).unwrap();
        tcp.set_ports(ports[0], ports[1], before.readdress(ends));
        tcp.set_sequence(SeqNumber(numbers[0]));
        tcp.set_acknowledgement(SeqNumber(numbers[1]));
        tcp.set_flags(Tcp::split(&mut wanted).unwrap().0.flags());
        prop_assert_eq!(bytes, wanted);
    }

    #[test]
    fn mapped_blocks_have_the_right_checksum(sent in sent(), by: u32) {
        let mut bytes = sent.bytes();
        let (tcp, options, _) = Tcp::split(&mut bytes).unwrap();
        tcp.map_blocks(options, |edges| edges.map(|edge| edge.after(by)));
        let mut after = sent.clone();
        after.header.set_options_raw(options).unwrap();
        prop_assert_eq!(&bytes, &after.bytes());
        let (tcp, options, _) = Tcp::split(&mut bytes).unwrap();
        tcp.map_blocks(options, |edges| edges.map(|edge| edge.before(by)));
        prop_assert_eq!(bytes, sent.bytes());
    }

    #[test]
    fn a_new_header_is_that_of_the_other_implementation(made in sent()) {
        let mut plain = Sent { is_v6: false, ..made };
        plain.header.urgent_pointer = 0;
        (plain.header.urg, plain.header.ece, plain.header.cwr) = (false, false, false);
        let options = plain.header.options.as_slice();
        let [source, destination] = plain.ends.map(|end| Ipv4Addr::from(end as u32));
        let ip = Ipv4::new(6, source, destination, plain.header.header_len() + plain.data.len());
        let tcp = Tcp::new(&plain.says(), &ip, options, &plain.data);
        prop_assert!(tcp.is_right(&ip, options, &plain.data));
        prop_assert_eq!([tcp.as_bytes(), options, &plain.data].concat(), plain.bytes());
    }

    #[test]
    fn what_is_split_off_lies_inside(mut bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let len = bytes.len();
        let offset = bytes.get(12).map(|byte| usize::from(byte >> 4) * 4);
        let split = Tcp::split(&mut bytes).map(|(tcp, options, data)| {
            tcp.map_blocks(options, |edges| edges);
            let _ = wire::tcp::answer_timestamps(options);
            (20 + options.len(), 20 + options.len() + data.len())
        });
        prop_assert_eq!(split, offset.filter(|at| (20..=len).contains(at)).map(|at| (at, len)));
    }
}
