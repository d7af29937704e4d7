//! Any message, with any limits on its options.
#![no_main]

use arbitrary::Arbitrary;
use engine::snapshot::access::Access;
use engine::snapshot::option_limits::{BlockLimits, OptionLimits};
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr};
use wire::tftp::{Message, Options};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    max_blksize: Option<u16>,
    max_windowsize: Option<u16>,
    strip_multicast: bool,
    largest_block: Option<u16>,
    message: &'a [u8],
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));

fuzz_target!(|input: Input| {
    let strip = if input.strip_multicast { vec!["multicast".to_owned()] } else { vec![] };
    let limits = OptionLimits {
        max_blksize: input.max_blksize,
        max_windowsize: input.max_windowsize,
        strip,
    };
    let blocks = BlockLimits { largest: input.largest_block, ..BlockLimits::default() };
    let mut edited = input.message.to_vec();
    let len = limits.apply(&mut edited, blocks);
    assert!(len <= edited.len(), "a message only becomes shorter");
    edited.truncate(len);
    let max_blksize = input.max_blksize.into_iter().chain(input.largest_block).min();
    let both = OptionLimits { max_blksize, ..limits.clone() };
    compare(Message::parse(input.message).ok(), Message::parse(&edited).ok(), &both);

    let mut again = edited.clone();
    let len = limits.apply(&mut again, blocks);
    assert_eq!(&again[..len], &edited[..], "there is nothing left to do");
});

/// Only options differ, and they respect the limits.
fn compare(before: Option<Message>, after: Option<Message>, limits: &OptionLimits) {
    match (before, after) {
        (Some(Message::Request(before)), Some(Message::Request(after))) => {
            assert_eq!((before.is_write, before.file), (after.is_write, after.file));
            within(after.options, limits);
            let access = Access { deny_files: vec!["secret/**".to_owned()], ..Access::default() };
            assert_eq!(access.check(CLIENT, &before), access.check(CLIENT, &after));
        }
        (Some(Message::Oack(_)), Some(Message::Oack(after))) => within(after, limits),
        (before, after) => assert_eq!(before, after),
    }
}

fn within(options: Options, limits: &OptionLimits) {
    if let (Some(size), Some(most)) = (options.blksize(), limits.max_blksize) {
        assert!(size <= most.max(8));
    }
    assert!(limits.strip.is_empty() || options.value(b"multicast").is_none());
}
