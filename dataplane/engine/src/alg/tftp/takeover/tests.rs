//! Takeover against a model of a server that sends a file window by window over a lossy network.

use super::*;
use proptest::prelude::*;

const BLKSIZE: u16 = 512;

/// A server with a file of whole blocks and a short one.
struct Server {
    blocks: u32,
    windowsize: u16,
    wraps_to_zero: bool,
    acknowledged: u32,
}

impl Server {
    /// The block number of the nth block.
    fn number(&self, n: u32) -> u16 {
        let wraps = if self.wraps_to_zero { 0 } else { n.saturating_sub(1) / 65_535 };
        (n + wraps) as u16
    }

    /// The window that the server sends, and repeats until acknowledged.
    fn window(&self) -> Vec<(u32, u16, u16)> {
        let last = (self.acknowledged + u32::from(self.windowsize)).min(self.blocks + 1);
        let len = |n| if n <= self.blocks { BLKSIZE } else { 7 };
        (self.acknowledged + 1..=last).map(|n| (n, self.number(n), len(n))).collect()
    }

    fn hear(&mut self, ack: u16) {
        if let Some(&(n, ..)) = self.window().iter().find(|(_, number, _)| *number == ack) {
            self.acknowledged = n;
        }
    }
}

/// The consequence of the first message.
fn first(message: Message, goal: &Goal) -> Heard {
    let mut takeover = Takeover::START;
    takeover.hear(message, goal)
}

fn counted(n: u32, wraps_to_zero: bool) -> u32 {
    if wraps_to_zero { n } else { n + n.saturating_sub(1) / 65_535 }
}

fn goal(n: u32, windowsize: u16, wraps_to_zero: bool) -> Goal {
    let terms = Terms { windowsize, ..Terms::PLAIN };
    Goal { block: counted(n, wraps_to_zero), wraps_to_zero, terms }
}

/// Runs the server until a block is due at the client. Returns the consequence and the last block sent. `lost` decides
/// the fate of each packet.
fn run(server: &mut Server, goal: &Goal, mut lost: impl FnMut() -> bool) -> (Heard, u32) {
    let mut takeover = Takeover::START;
    if goal.terms != Terms::PLAIN {
        let options = format!("\0\x06windowsize\0{}\0", goal.terms.windowsize);
        let heard = takeover.hear(Message::parse(options.as_bytes()).expect("an OACK"), goal);
        if heard != Heard::Acknowledge {
            return (heard, 0);
        }
    }
    for _ in 0..4_000_000 {
        for (n, block, len) in server.window() {
            if lost() {
                continue;
            }
            match takeover.hear(Message::Data { block, len }, goal) {
                Heard::Nothing => {}
                Heard::Acknowledge if lost() => {}
                Heard::Acknowledge => {
                    server.hear(takeover.at as u16);
                    break;
                }
                heard => return (heard, n),
            }
        }
    }
    panic!("they don't come to an end");
}

#[test]
fn it_arrives_where_the_client_is_however_often_numbers_have_wrapped() {
    for wraps_to_zero in [false, true] {
        for at in [1, 2, 100, 65_534, 65_535, 65_536, 65_537, 131_069, 131_070, 131_071, 200_000] {
            for windowsize in [1, 4, 16] {
                let mut server =
                    Server { blocks: at + 5, windowsize, wraps_to_zero, acknowledged: 0 };
                let goal = goal(at, windowsize, wraps_to_zero);
                assert_eq!(run(&mut server, &goal, || false), (Heard::Arrived, at), "{goal:?}");
            }
        }
    }
}

#[test]
fn a_client_that_has_nothing_yet_hears_all_of_it() {
    let goal = goal(0, 4, true);
    let oack = Message::parse(b"\0\x06windowsize\x004\0").expect("an OACK");
    assert_eq!(first(oack, &goal), Heard::Arrived);
    let plain = Goal { terms: Terms::PLAIN, ..goal };
    assert_eq!(first(Message::Data { block: 1, len: 7 }, &plain), Heard::Next);
}

#[test]
fn other_terms_are_another_file() {
    let terms = |list: &[u8]| {
        let Ok(Message::Oack(options)) = Message::parse(list) else { panic!() };
        Terms::of(options)
    };
    let granted = terms(b"\0\x06tsize\x00300000\0blksize\x001428\0windowsize\x004\0");
    let goal = Goal { block: 10, wraps_to_zero: false, terms: granted };
    for (list, fits) in [
        (&b"\0\x06tsize\x00300000\0blksize\x001428\0windowsize\x004\0"[..], true),
        (b"\0\x06windowsize\x004\0blksize\x001428\0", false),
        (b"\0\x06tsize\x00300001\0blksize\x001428\0windowsize\x004\0", false),
        (b"\0\x06tsize\x00300000\0blksize\x001024\0windowsize\x004\0", false),
        (b"\0\x06tsize\x00300000\0blksize\x001428\0", false),
        (b"\0\x06", false),
    ] {
        let heard = first(Message::parse(list).expect("an OACK"), &goal);
        let expected = if fits { Heard::Acknowledge } else { Heard::Mismatch };
        assert_eq!(heard, expected, "{}", String::from_utf8_lossy(list));
    }
    let data = Message::Data { block: 1, len: 512 };
    assert_eq!(first(data, &goal), Heard::Mismatch, "it knows no options");
    let error = Message::Error { code: 1 };
    assert_eq!(first(error, &goal), Heard::Mismatch, "it has no such file");
}

#[test]
fn a_file_that_ends_before_the_client_s_block_is_another_one() {
    for (blocks, at) in [(0, 1), (5, 6), (5, 60), (65_536, 65_537)] {
        let mut server = Server { blocks, windowsize: 1, wraps_to_zero: true, acknowledged: 0 };
        let heard = run(&mut server, &goal(at, 1, true), || false);
        assert_eq!(heard, (Heard::Mismatch, blocks + 1), "{blocks} blocks, {at}");
    }
}

#[test]
fn numbers_that_wrap_otherwise_are_noticed() {
    for wraps_to_zero in [false, true] {
        for windowsize in [1, 4] {
            let mut server = Server { blocks: 70_000, windowsize, wraps_to_zero, acknowledged: 0 };
            let heard = run(&mut server, &goal(65_600, windowsize, !wraps_to_zero), || false);
            assert_eq!(heard, (Heard::Mismatch, 65_536));
        }
    }
}

/// The client may have the 65,536th block, whose ACK was lost: under another number it would be a further block.
#[test]
fn numbers_that_wrap_behind_the_client_s_block_are_not_mixed() {
    for (wraps_to_zero, first, heard) in [
        (true, 0, Heard::Next),
        (true, 1, Heard::Mismatch),
        (false, 1, Heard::Next),
        (false, 0, Heard::Next),
    ] {
        let goal = goal(65_535, 4, wraps_to_zero);
        let mut takeover = Takeover { at: 65_535, unacknowledged: 0, granted: 1, queued: 0 };
        let data = Message::Data { block: first, len: BLKSIZE };
        assert_eq!(takeover.hear(data, &goal), heard, "{wraps_to_zero} {first}");
    }
}

proptest! {
    /// Losses only cost time: the client goes on with its next block, or gets an ERROR at its own.
    #[test]
    fn losses_only_take_time(
        at in 1u32..300, more in 0u32..5, windowsize in 1u16..9, seed: u64, rate in 0u64..40,
    ) {
        let mut random = seed | 1;
        let lost = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % 100 < rate
        };
        let mut server = Server { blocks: at + more, windowsize, wraps_to_zero: true, acknowledged: 0 };
        let (heard, block) = run(&mut server, &goal(at, windowsize, true), lost);
        match heard {
            Heard::Arrived => prop_assert!(block == at),
            Heard::Next => prop_assert!(block == at + 1),
            Heard::Nothing | Heard::Acknowledge | Heard::Mismatch => prop_assert!(false, "{heard:?}"),
        }
    }

    /// No message of a server makes the gate skip a block.
    #[test]
    fn nothing_makes_it_skip_a_block(
        script in prop::collection::vec((0u16..6, prop_oneof![Just(512u16), 0u16..600]), 1..60),
    ) {
        let goal = goal(4, 1, true);
        let mut takeover = Takeover::START;
        for (block, len) in script {
            let before = takeover.at;
            let heard = takeover.hear(Message::Data { block, len }, &goal);
            prop_assert!(takeover.at == before || (takeover.at == before + 1 && len == BLKSIZE));
            match heard {
                Heard::Next => prop_assert!(takeover.at == 4 && block == 5),
                Heard::Arrived => prop_assert!(takeover.at == 4),
                Heard::Acknowledge => prop_assert!(takeover.at < 4),
                Heard::Nothing | Heard::Mismatch => {}
            }
        }
    }
}
