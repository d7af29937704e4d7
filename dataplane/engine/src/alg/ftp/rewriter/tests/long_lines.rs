//! Lines in borrowed buffers, which leave in several segments if they are not rewritten.

use super::model::{World, rewritten};
use crate::alg::ftp::rewriter::*;

const FIRST: SeqNumber = SeqNumber(u32::MAX - 999);
const ROOM: usize = 1000;

/// A PORT of `len` bytes with its end. Its last letter selects the rewriting.
fn port(len: usize, last: u8) -> Vec<u8> {
    let blanks = vec![b' '; len - 8];
    [b"PORT ", &blanks[..], &[last], b"\r\n"].concat()
}

fn replaced(len: usize) -> Vec<u8> {
    port(len, b'r')
}

fn kept(len: usize) -> Vec<u8> {
    port(len, b'k')
}

const OTHER: &[u8] = b"PORT 0,0,0,0,0,0";
const OTHER_LINE: &[u8] = b"PORT 0,0,0,0,0,0\r\n";

/// A client, and the buffers that it may borrow.
struct Client {
    stream: Stream,
    spare: Vec<Buffer>,
    judged: usize,
}

impl Client {
    fn new() -> Client {
        Client { stream: Stream::new(FIRST), spare: vec![Buffer::new([0; LONGEST])], judged: 0 }
    }

    fn say(&mut self, at: usize, data: &[u8]) -> (Pushed, Vec<u8>) {
        self.segment(at, data, false)
    }

    fn segment(&mut self, at: usize, data: &[u8], is_last: bool) -> (Pushed, Vec<u8>) {
        let mut out = [0; ROOM];
        let segment = Segment { sequence: upto(at), data, is_last };
        let rewrite = |line: &[u8]| {
            self.judged += 1;
            match line.last() {
                Some(b'r') => Rewrite::Replace(OTHER.iter().copied().collect()),
                _ => Rewrite::Keep,
            }
        };
        self.stream.borrow(&mut self.spare);
        let pushed = self.stream.push(segment, Speaker::Client, rewrite, &mut out);
        self.stream.give_back(&mut self.spare);
        let len = if let Pushed::Forward { len, .. } = pushed { len } else { 0 };
        (pushed, out[..len].to_vec())
    }

    /// The server acknowledges up to `end`. Returns the acknowledgement that the client gets.
    fn heard(&mut self, end: usize) -> usize {
        self.stream.acknowledged(upto(end));
        self.stream.give_back(&mut self.spare);
        self.stream.unshift(upto(end)).since(FIRST) as usize
    }
}

fn upto(end: usize) -> SeqNumber {
    FIRST.after(end as u32)
}

fn forward(at: usize, data: &[u8]) -> (Pushed, Vec<u8>) {
    (Pushed::Forward { sequence: upto(at), len: data.len(), is_last: false }, data.to_vec())
}

fn acknowledge(end: usize) -> (Pushed, Vec<u8>) {
    (Pushed::Acknowledge { upto: upto(end) }, vec![])
}

const ABSORB: (Pushed, Vec<u8>) = (Pushed::Absorb, vec![]);

#[test]
fn one_that_is_replaced() {
    for len in [241, 900, 4095, 4096] {
        let line = replaced(len);
        let mut client = Client::new();
        assert_eq!(client.say(0, &line), forward(0, OTHER_LINE), "{len} bytes in one segment");
        assert_eq!(client.heard(18), len);
        assert_eq!(client.say(len, b"LIST\r\n"), forward(18, b"LIST\r\n"));
        for at in [1, 100, 239, 240, len - 2, len - 1] {
            let mut client = Client::new();
            assert_eq!(client.say(0, &line[..at]), acknowledge(at));
            assert_eq!(client.say(at, &line[at..]), forward(0, OTHER_LINE), "{len} bytes, {at}");
            assert_eq!(client.spare.len(), 1);
            assert_eq!(client.say(at, &line[at..]), forward(0, OTHER_LINE), "again");
            assert_eq!(client.heard(18), len);
        }
    }
}

#[test]
fn one_that_goes_on_as_it_was() {
    let line = kept(3500);
    let mut client = Client::new();
    for at in (0..3000).step_by(600) {
        assert_eq!(client.say(at, &line[at..at + 600]), acknowledge(at + 600));
    }
    let rest = [&line[3000..], b"NOOP\r\n"].concat();
    assert_eq!(client.say(3000, &rest), forward(0, &line[..1000]));
    assert_eq!(client.stream.unshift(upto(0)), upto(3000), "never back");
    assert_eq!(client.stream.shift_sequence(upto(3000)), upto(1000));
    // The sender retransmits the rest; the server may have missed it.
    assert_eq!(client.say(3000, &rest), forward(0, &line[..1000]));
    assert_eq!(client.heard(700), 3000);
    assert_eq!(client.say(3000, &rest[..100]), forward(700, &line[700..1700]));
    assert_eq!(client.heard(1700), 3000);
    assert_eq!(client.say(3000, &rest), forward(1700, &line[1700..2700]));
    assert_eq!(client.heard(2700), 3000);
    let end = [&line[2700..], b"NOOP\r\n"].concat();
    assert_eq!(client.say(3000, &rest), forward(2700, &end));
    assert_eq!(client.spare.len(), 0, "it may be needed again");
    assert_eq!(client.heard(3200), 3200);
    assert_eq!(client.say(3000, &rest), forward(3200, &end[500..]));
    assert_eq!(client.heard(3500), 3500);
    assert_eq!((client.spare.len(), client.judged), (1, 1));
    assert_eq!(client.say(3500, b"NOOP\r\n"), forward(3500, b"NOOP\r\n"));
}

/// A part of a line behind a gap is not acknowledged, so its sender retransmits it.
#[test]
fn its_sender_is_not_told_of_parts_behind_a_gap() {
    let line = kept(2000);
    let mut client = Client::new();
    client.say(0, &line[..1500]);
    client.say(1500, &line[1500..]);
    assert_eq!(client.heard(1000), 1500);
    client.say(1500, &line[1500..]);
    assert_eq!(client.stream.unshift_block([upto(1500), upto(2000)]), [upto(2000); 2]);
    assert_eq!(client.heard(2000), 2000);
    assert_eq!(client.stream.unshift_block([upto(1500), upto(2000)]), [upto(1500), upto(2000)]);
}

#[test]
fn one_that_can_be_remembered_without_goes_on_at_once() {
    let line = kept(TEXT);
    let mut client = Client::new();
    client.spare.clear();
    assert_eq!(client.say(0, &line), forward(0, &line));
    let line = kept(TEXT + 1);
    assert_eq!(client.say(TEXT, &line), ABSORB);
    client.spare = Client::new().spare;
    assert_eq!(client.say(TEXT, &line), forward(TEXT, &line));
    assert_eq!(client.judged, 2);
}

#[test]
fn one_that_turns_out_to_be_too_long() {
    let line = [&replaced(2000)[..1990], &[b' '; 3000], &replaced(100)].concat();
    let text = [&line[..], &replaced(300)].concat();
    for at in [100, 500, 1500, 1990] {
        let mut world = World::new(FIRST, Speaker::Client, ROOM, text.clone());
        for part in (0..at).step_by(100) {
            world.send(part, 100);
            world.push(0);
        }
        world.finish(700);
        assert_eq!(world.judged.len(), 1, "{at}");
        assert_eq!(world.receiver.text(), rewritten(&text, Speaker::Client, usize::MAX).0);
        assert_eq!(world.spare.len(), 1);
    }
}

#[test]
fn the_end_lets_it_go() {
    let line = &kept(1800)[..1700];
    let last = |at: usize, data: &[u8]| {
        (Pushed::Forward { sequence: upto(at), len: data.len(), is_last: true }, data.to_vec())
    };
    let mut client = Client::new();
    client.say(0, line);
    assert_eq!(client.segment(1700, b"", true), forward(0, &line[..1000]));
    assert_eq!(client.stream.shift_sequence(upto(1701)), upto(1000));
    client.heard(1001);
    assert_eq!(client.segment(1700, b"", true), forward(0, &line[..1000]), "it did not hear that");
    // Nothing follows a line whose end has not gone on.
    assert_eq!(client.say(1700, OTHER_LINE), forward(1000, &line[1000..]));
    assert_eq!(client.say(1700, OTHER_LINE), ABSORB);
    assert_eq!(client.heard(1000), 1700);
    assert_eq!(client.segment(1700, b"", true), last(1000, &line[1000..]));
    assert_eq!(client.segment(1700, b"", true), last(1000, &line[1000..]), "it was lost");
    assert_eq!(client.heard(1701), 1701);
    assert_eq!(client.spare.len(), 1);
}

#[test]
fn the_other_language_begins_while_it_is_held() {
    let line = replaced(2000);
    let mut client = Client::new();
    client.say(0, &line[..1500]);
    client.stream.leave_alone();
    assert_eq!(client.say(1500, &line[1500..]), forward(0, &line[..1000]));
    assert_eq!(client.heard(1000), 1500);
    assert_eq!(client.say(1500, &line[1500..]), forward(1000, &line[1000..]));
    assert_eq!((client.heard(2000), client.judged), (2000, 0));
}

/// Data that cannot be held waits, and never goes on unread.
#[test]
fn two_that_share_one_buffer() {
    let (line, other) = (kept(2000), replaced(2000));
    let mut first = Client::new();
    let mut second = Client::new();
    second.spare.clear();
    assert_eq!(first.say(0, &line[..500]), acknowledge(500));
    assert_eq!(second.say(0, &other[..200]), acknowledge(200));
    assert_eq!(first.spare.len(), 0);
    for _ in 0..3 {
        assert_eq!(second.say(200, &other[200..1200]), acknowledge(200));
    }
    assert_eq!(second.say(200, &other[200..239]), acknowledge(239), "so much has its own place");
    assert_eq!(first.say(500, &line[500..]), forward(0, &line[..1000]));
    assert_eq!(first.heard(1000), 1000);
    assert_eq!(first.say(500, &line[500..]), forward(1000, &line[1000..]));
    assert_eq!(first.spare.len(), 0);
    assert_eq!(first.heard(2000), 2000);
    second.spare = std::mem::take(&mut first.spare);
    assert_eq!(second.say(239, &other[239..1200]), acknowledge(1200));
    assert_eq!(second.say(1200, &other[1200..]), forward(0, OTHER_LINE));
    assert_eq!((second.spare.len(), second.judged), (1, 1));
}

/// While one line leaves, the next one waits.
#[test]
fn one_behind_the_other() {
    let (line, other) = (kept(1500), replaced(1500));
    let mut client = Client::new();
    client.say(0, &line[..1400]);
    assert_eq!(client.say(1400, &line[1400..]), forward(0, &line[..1000]));
    assert_eq!(client.say(1500, &other[..700]), forward(1000, &line[1000..]));
    assert_eq!(client.say(1500, &other[..700]), ABSORB);
    assert_eq!(client.say(1500, &other[..100]), ABSORB, "held, but its sender is not told before");
    assert_eq!(client.heard(1500), 1600);
    assert_eq!(client.say(1600, &other[100..]), forward(1500, OTHER_LINE));
}

#[test]
fn a_stream_that_is_over_gives_its_buffer_back() {
    let mut client = Client::new();
    client.say(0, &kept(1000)[..700]);
    assert_eq!(client.spare.len(), 0);
    client.stream.discard();
    client.stream.give_back(&mut client.spare);
    assert_eq!(client.spare.len(), 1);
}
