//! Each line arrives as it would have alone, whatever the network does to the stream.

use super::model::{World, rewritten};
use crate::alg::ftp::rewriter::*;
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    /// Retransmits the unacknowledged data, from its start.
    Repeat(usize),
    /// Retransmits from anywhere.
    RepeatFrom(Index, usize),
    Push(Index),
    /// Delivers a segment, in two pieces if it is longer.
    Deliver(Index, usize),
    Acknowledge(Index),
    /// Loses a segment to the rewriter, one to the receiver, an ACK.
    Lose([Option<Index>; 3]),
    /// A round without losses.
    Settle,
    /// Other streams borrow the buffers, or return them.
    Share(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let len = || prop_oneof![4 => 1usize..30, 1 => 1usize..1000];
    prop_oneof![
        4 => len().prop_map(Step::Send),
        1 => len().prop_map(Step::Repeat),
        2 => (any::<Index>(), len()).prop_map(|(at, len)| Step::RepeatFrom(at, len)),
        4 => any::<Index>().prop_map(Step::Push),
        3 => (any::<Index>(), len()).prop_map(|(nth, most)| Step::Deliver(nth, most)),
        2 => any::<Index>().prop_map(Step::Acknowledge),
        1 => any::<[Option<Index>; 3]>().prop_map(Step::Lose),
        2 => Just(Step::Settle),
        1 => any::<bool>().prop_map(Step::Share),
    ]
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let numbers = prop::array::uniform6(any::<u8>())
        .prop_map(|n| format!("{},{},{},{},{},{}", n[0], n[1], n[2], n[3], n[4], n[5]));
    let content = prop_oneof![
        3 => numbers.clone().prop_map(|numbers| format!("PORT {numbers}")),
        1 => any::<u16>().prop_map(|port| format!("EPRT |1|10.0.0.9|{port}|")),
        3 => numbers.prop_map(|numbers| format!("227 Entering Passive Mode ({numbers}).")),
        1 => any::<u16>().prop_map(|port| format!("229 Extended (|||{port}|)")),
        2 => prop::sample::select(vec!["", "P", "22", "NOOP", "PASV", "226 Done.", "PORTAL", "\u{0}"])
            .prop_map(str::to_owned),
        4 => long(),
        1 => "(PORT |227 )[ -~]{0,10}[\r\u{0}][ -~]{0,10}",
    ];
    (content, prop_oneof![8 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r\r\n")])
        .prop_map(|(content, end)| [content, end.to_owned()].concat().into_bytes())
}

/// Lengths around the limits: of a stream's own memory, of one segment, of the longest line; some with a byte that
/// invalidates a line.
fn long() -> impl Strategy<Value = String> {
    let len = prop_oneof![2 => 200usize..300, 1 => 1000usize..1500, 1 => 4000usize..4200];
    let start =
        prop::sample::select(vec!["PORT ", "EPRT", "227 ", "234 ", "AUTH ", "LIST ", " ", "\t"]);
    let odd =
        prop_oneof![6 => Just("x"), 1 => Just("\u{0}"), 1 => Just("\r"), 1 => Just("\rPORT 1,2")];
    (start, "[x ]", len, any::<Index>(), odd).prop_map(|(start, filler, len, at, odd)| {
        let at = at.index(len);
        [
            start,
            &filler.repeat(at),
            odd,
            &filler.repeat(len.saturating_sub(at + start.len() + odd.len())),
        ]
        .concat()
    })
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let short = prop::sample::select(vec!["", "PORT 1,2", "22", "QUIT", "227 \r"]);
    let rest = prop_oneof![4 => short.prop_map(str::to_owned), 1 => long()];
    (prop::collection::vec(line(), 0..12), rest)
        .prop_map(|(lines, rest)| [lines.concat(), rest.as_bytes().to_vec()].concat())
}

fn first() -> impl Strategy<Value = SeqNumber> {
    let near_the_wrap = (0u32..600).prop_map(|before| before.wrapping_neg());
    prop_oneof![any::<u32>(), near_the_wrap].prop_map(SeqNumber)
}

fn take<T>(from: &[T], index: &Index) -> Option<usize> {
    (!from.is_empty()).then(|| index.index(from.len()))
}

fn play(world: &mut World, step: &Step) {
    match step {
        Step::Send(len) => world.send(world.next, *len),
        Step::Repeat(len) => world.send(world.unacknowledged, *len),
        Step::RepeatFrom(at, len) => {
            let sent = world.next - world.unacknowledged;
            let at = world.unacknowledged + at.index(sent + 1);
            world.send(at, *len);
        }
        Step::Push(nth) => {
            let _ = take(&world.sent, nth).map(|nth| world.push(nth));
        }
        Step::Deliver(nth, most) => {
            let _ = take(&world.forwarded, nth).map(|nth| world.deliver(nth, *most));
        }
        Step::Acknowledge(nth) => {
            let _ = take(&world.acknowledgements, nth).map(|nth| world.acknowledge(nth));
        }
        Step::Lose([sent, forwarded, acknowledgement]) => {
            let lost = sent.as_ref().and_then(|nth| take(&world.sent, nth));
            lost.map(|nth| world.sent.remove(nth));
            let lost = forwarded.as_ref().and_then(|nth| take(&world.forwarded, nth));
            lost.map(|nth| world.forwarded.remove(nth));
            let lost = acknowledgement.as_ref().and_then(|nth| take(&world.acknowledgements, nth));
            lost.map(|nth| world.acknowledgements.remove(nth));
        }
        Step::Share(false) => world.elsewhere.append(&mut world.spare),
        Step::Share(true) => world.spare.append(&mut world.elsewhere),
        Step::Settle => {
            while !world.sent.is_empty() {
                world.push(0);
            }
            while !world.forwarded.is_empty() {
                world.deliver(0, usize::MAX);
            }
            while !world.acknowledgements.is_empty() {
                world.acknowledge(0);
            }
        }
    }
}

/// Lines that the judge would have rewritten.
fn judged(world: &World) -> Vec<Vec<u8>> {
    let matters = |line: &&Vec<u8>| matches!(super::model::judge(line), Rewrite::Replace(_));
    world.judged.iter().filter(matters).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_stream_arrives_with_each_line_rewritten(
        first in first(), text in text(), steps in prop::collection::vec(step(), 0..80),
        room in 256usize..1500, len in 1usize..1500, is_server: bool,
    ) {
        let speaker = if is_server { Speaker::Server } else { Speaker::Client };
        let text = for_side(&text, speaker);
        let (wanted, lines) = rewritten(&text, speaker, usize::MAX);
        let mut world = World::new(first, speaker, room, text);
        for step in &steps {
            play(&mut world, step);
        }
        world.finish(len);
        prop_assert_eq!(world.receiver.text().escape_ascii().to_string(), wanted.escape_ascii().to_string());
        prop_assert_eq!(judged(&world), lines);
    }

    /// A stream left alone in the middle goes on unchanged.
    #[test]
    fn a_stream_that_is_left_alone_loses_nothing(
        first in first(), before in text(), after: Vec<u8>, steps in prop::collection::vec(step(), 0..40),
        more in prop::collection::vec(step(), 0..40), len in 1usize..1500,
    ) {
        // The treatment of a NUL, or a byte behind IAC, depends on the moment.
        let text = for_side(&[&before[..], &after].concat(), Speaker::Client);
        let text: Vec<u8> = text.into_iter().filter(|byte| !matches!(byte, 0 | 0xff)).collect();
        let mut world = World::new(first, Speaker::Client, 1000, text.clone());
        for step in &steps {
            play(&mut world, step);
        }
        let (known, lines) = (world.judged.len(), judged(&world).len());
        world.stream.leave_alone();
        for step in &more {
            play(&mut world, step);
        }
        world.finish(len);
        let (wanted, _) = rewritten(&text, Speaker::Client, lines);
        prop_assert_eq!(world.receiver.text(), wanted);
        prop_assert_eq!(world.judged.len(), known);
    }
}

/// Lines of the other side are not read on this one.
fn for_side(text: &[u8], speaker: Speaker) -> Vec<u8> {
    let others: &[&[u8]] = match speaker {
        Speaker::Client => &[b"227 ", b"229 "],
        Speaker::Server => &[b"PORT ", b"EPRT "],
    };
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    lines
        .filter(|line| !others.iter().any(|other| line.starts_with(other)))
        .flatten()
        .copied()
        .collect()
}
