//! TCP headers, flags and options; checksums are compared with a word-by-word sum.

use super::*;
use crate::ipv4::Ipv4;
use crate::ipv6::Ipv6;
use std::net::{Ipv4Addr, Ipv6Addr};

const SAYS: SegmentFields = SegmentFields {
    source: 40_000,
    destination: 21,
    sequence: SeqNumber(0xffff_fff0),
    acknowledgement: SeqNumber(7),
    flags: Flags::ACK,
    window: 1000,
};

/// The word-by-word sum of pseudo header and segment (RFC 9293 §3.1); 0xffff if the checksum is right.
fn full_sum(addresses: &[u8], segment: &[u8]) -> u32 {
    let pseudo = [0, 6, (segment.len() >> 8) as u8, segment.len() as u8];
    let mut bytes = [addresses, &pseudo, segment].concat();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    words.fold(0, |sum, word| {
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    })
}

fn v4(len: usize) -> Ipv4 {
    let [client, server] = [[10, 0, 0, 9], [10, 0, 0, 30]].map(Ipv4Addr::from);
    Ipv4::new(PROTOCOL_TCP, client, server, len)
}

fn segment(options: &[u8], data: &[u8]) -> Vec<u8> {
    let ip = v4(HEADER + options.len() + data.len());
    [Tcp::new(&SAYS, &ip, options, data).as_bytes(), options, data].concat()
}

#[track_caller]
fn assert_right(segment: &[u8]) {
    assert_eq!(full_sum(v4(segment.len()).addresses(), segment), 0xffff, "{segment:02x?}");
    let mut copy = segment.to_vec();
    let (tcp, options, data) = Tcp::split(&mut copy).unwrap();
    assert!(tcp.is_right(&v4(segment.len()), options, data));
}

#[test]
fn a_new_header_lies_as_it_should() {
    let bytes = segment(&[1, 1, 1, 0], b"odd");
    assert_eq!(bytes[..16], *b"\x9c\x40\0\x15\xff\xff\xff\xf0\0\0\0\x07\x60\x10\x03\xe8");
    assert_eq!(bytes[18..20], [0, 0]);
    assert_right(&bytes);
    let v6 = Ipv6::new(PROTOCOL_TCP, Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED, HEADER + 3);
    let bytes = [Tcp::new(&SAYS, &v6, &[], b"odd").as_bytes(), b"odd"].concat();
    assert_eq!(full_sum(v6.addresses(), &bytes), 0xffff);
}

#[test]
fn a_header_is_read_as_it_was_written() {
    let mut bytes = segment(&[1; 40], b"data");
    let (tcp, options, data) = Tcp::split(&mut bytes).unwrap();
    assert_eq!((tcp.source(), tcp.destination()), (SAYS.source, SAYS.destination));
    assert_eq!((tcp.sequence(), tcp.acknowledgement()), (SAYS.sequence, SAYS.acknowledgement));
    assert_eq!((tcp.flags(), tcp.window(), tcp.header_len()), (SAYS.flags, SAYS.window, 60));
    assert_eq!((&options[..], &data[..]), (&[1; 40][..], &b"data"[..]));
    bytes[20] ^= 1;
    let ip = v4(bytes.len());
    let (tcp, options, data) = Tcp::split(&mut bytes).unwrap();
    assert!(!tcp.is_right(&ip, options, data));
}

#[test]
fn a_header_that_does_not_fit_is_none() {
    let whole = segment(&[1; 8], b"");
    for len in 0..whole.len() {
        assert!(Tcp::split(&mut whole[..len].to_vec()).is_none(), "{len}");
    }
    for offset in 0..5 {
        let mut bytes = whole.clone();
        bytes[12] = offset << 4;
        assert!(Tcp::split(&mut bytes).is_none(), "{offset}");
    }
}

#[test]
fn flags_are_told_apart() {
    let both = Flags::SYN | Flags::ACK;
    assert!(both.has(Flags::SYN) && both.has(Flags::ACK) && both.has(both));
    assert!(!both.has(Flags::FIN) && !Flags::SYN.has(both));
    assert_eq!(both.without(Flags::SYN | Flags::FIN), Flags::ACK);
    let all = [Flags::FIN, Flags::SYN, Flags::RST, Flags::PSH].into_iter().chain([
        Flags::ACK,
        Flags::URG,
        Flags::ECE,
        Flags::CWR,
    ]);
    assert_eq!(all.map(Flags::bits).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 64, 128]);
}

/// The checksum is right after each setter.
#[test]
fn setters_mend_the_checksum() {
    for data in [&b""[..], b"x", b"PORT 10,0,0,9,4,1\r\n"] {
        let mut bytes = segment(&[], data);
        let (tcp, ..) = Tcp::split(&mut bytes).unwrap();
        tcp.set_sequence(SeqNumber(5));
        tcp.set_acknowledgement(SeqNumber(u32::MAX));
        tcp.set_flags(Flags::RST);
        tcp.set_ports(1, 2, Delta::default());
        assert_eq!((tcp.sequence(), tcp.acknowledgement()), (SeqNumber(5), SeqNumber(u32::MAX)));
        assert_eq!((tcp.flags(), tcp.source(), tcp.destination()), (Flags::RST, 1, 2));
        assert_right(&bytes);
    }
}

/// SACK blocks are mapped at odd offsets, too.
#[test]
fn blocks_are_mapped_wherever_they_lie() {
    let block = [[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0x10], [0, 0, 1, 0, 0, 0, 2, 0]].concat();
    for before in 0..20 {
        let mut options = [&vec![1; before][..], &[5, 18], &block].concat();
        options.resize(options.len().next_multiple_of(4), 0);
        let mut bytes = segment(&options, b"data");
        let mut seen = vec![];
        let (tcp, options, _) = Tcp::split(&mut bytes).unwrap();
        tcp.map_blocks(options, |[left, right]| {
            seen.push([left, right]);
            [left.after(3), right.after(0x0102_0304)]
        });
        assert_eq!(seen, [[u32::MAX, 0x10], [0x100, 0x200]].map(|block| block.map(SeqNumber)));
        let after = [[0, 0, 0, 2, 1, 2, 3, 0x14], [0, 0, 1, 3, 1, 2, 5, 4]].concat();
        assert_eq!(options[before + 2..before + 18], after);
        assert_right(&bytes);
    }
}

#[test]
fn a_broken_list_ends_where_it_breaks() {
    for options in [
        &[5, 10, 0, 0][..],
        &[5, 0, 0, 0],
        &[5, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0],
        &[1, 1, 1, 5],
        &[8, 99, 0, 0],
        &[5, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let mut bytes = segment(options, b"");
        let before = bytes.clone();
        let (tcp, options, _) = Tcp::split(&mut bytes).unwrap();
        tcp.map_blocks(options, |edges| panic!("{edges:?}"));
        assert_eq!(bytes, before);
        assert_eq!(answer_timestamps(&bytes[HEADER..]), None);
    }
}

#[test]
fn an_answer_echoes_the_time() {
    let options = [1, 3, 3, 7, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0];
    let answer = [1, 1, 8, 10, 5, 6, 7, 8, 1, 2, 3, 4];
    assert_eq!(answer_timestamps(&options), Some(answer));
    assert_eq!(answer_timestamps(&[1, 1, 1, 0]), None);
}

#[test]
fn options_that_are_blank_say_nothing() {
    for options in [&[][..], &[8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0], &[19; 40], &[0; 4]] {
        let mut bytes = segment(options, b"odd");
        let (tcp, options, _) = Tcp::split(&mut bytes).unwrap();
        tcp.blank(options);
        assert!(options.iter().all(|&byte| byte == 1));
        assert_right(&bytes);
    }
}
