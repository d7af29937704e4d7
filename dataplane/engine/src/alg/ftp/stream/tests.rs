//! What was seen on real wires, segment by segment.

use super::model::{World, rewritten};
use super::*;

const FIRST: u32 = u32::MAX - 9;
const PORT: &[u8] = b"PORT 10,0,0,9,4,1\r\n";

fn upto(end: usize) -> u32 {
    FIRST.wrapping_add(end as u32)
}

/// A client whose PORT becomes something longer.
struct Client(Stream);

impl Client {
    fn new() -> Client {
        Client(Stream::new(FIRST))
    }

    fn say(&mut self, at: usize, data: &[u8]) -> (Pushed, Vec<u8>) {
        self.segment(at, data, false)
    }

    fn segment(&mut self, at: usize, data: &[u8], is_last: bool) -> (Pushed, Vec<u8>) {
        let mut out = [0; 1000];
        let segment = Segment { sequence: upto(at), data, is_last };
        let rewrite = |line: &[u8]| match line {
            b"PORT 10,0,0,9,4,1" => {
                Rewrite::Replace(b"PORT 10,0,0,101,200,17".iter().copied().collect())
            }
            b"PORT" => Rewrite::Replace(b"P".iter().copied().collect()),
            b"AUTH TLS" => Rewrite::Opaque,
            _ => Rewrite::Keep,
        };
        let pushed = self.0.push(segment, Side::Client, rewrite, &mut out);
        let len = if let Pushed::Forward { len, .. } = pushed { len } else { 0 };
        (pushed, out[..len].to_vec())
    }
}

/// What goes on, from this place of the receiver's.
fn forward(at: usize, data: &[u8]) -> (Pushed, Vec<u8>) {
    (Pushed::Forward { sequence: upto(at), len: data.len(), is_last: false }, data.to_vec())
}

fn acknowledge(end: usize) -> (Pushed, Vec<u8>) {
    (Pushed::Acknowledge { upto: upto(end) }, vec![])
}

const ABSORB: (Pushed, Vec<u8>) = (Pushed::Absorb, vec![]);
const LONGER: &[u8] = b"PORT 10,0,0,101,200,17\r\n";

#[test]
fn a_command_in_one_segment() {
    let mut client = Client::new();
    assert_eq!(client.say(0, PORT), forward(0, LONGER));
    assert_eq!(client.0.unshift(upto(24)), upto(19));
    client.0.acknowledged(upto(24));
    assert_eq!(client.say(19, b"LIST\r\n"), forward(24, b"LIST\r\n"));
    assert_eq!(client.0.shift_sequence(upto(25)), upto(30));
    assert_eq!(client.0.shift_sequence(upto(24)), upto(29));
}

#[test]
fn a_command_in_two_segments_wherever_it_is_split() {
    for at in 1..PORT.len() {
        let mut client = Client::new();
        assert_eq!(client.say(0, &PORT[..at]), acknowledge(at));
        assert_eq!(client.0.shift_sequence(upto(at)), upto(0));
        assert_eq!(client.say(at, &PORT[at..]), forward(0, LONGER));
        assert_eq!(client.0.unshift(upto(0)), upto(at), "never back");
        // It was lost; the client sends what it takes for lost.
        assert_eq!(client.say(at, &PORT[at..]), forward(0, LONGER));
        assert_eq!(client.0.unshift(upto(24)), upto(19));
    }
}

/// Nagle's algorithm, at its worst.
#[test]
fn a_client_that_waits_for_each_byte() {
    let mut client = Client::new();
    for (at, byte) in PORT[..18].iter().enumerate() {
        assert_eq!(client.say(at, &[*byte]), acknowledge(at + 1));
    }
    assert_eq!(client.say(18, b"\n"), forward(0, LONGER));
}

#[test]
fn a_part_that_is_sent_again() {
    let mut client = Client::new();
    assert_eq!(
        client.say(0, &[PORT, b"NOOP\r\n"].concat()),
        forward(0, &[LONGER, b"NOOP\r\n"].concat())
    );
    assert_eq!(client.say(10, &PORT[10..]), forward(0, LONGER));
    assert_eq!(client.say(0, &PORT[..3]), forward(0, LONGER));
    assert_eq!(
        client.say(18, b"\nNOOP\r\nLIST\r\n"),
        forward(0, &[LONGER, b"NOOP\r\nLIST\r\n"].concat())
    );
    client.0.acknowledged(upto(30));
    // The client has not heard of that: the server is made to say it again.
    assert_eq!(client.say(0, PORT), forward(29, b""));
}

#[test]
fn two_commands_in_one_segment() {
    let mut client = Client::new();
    assert_eq!(client.say(0, &[PORT, PORT].concat()), forward(0, &[LONGER, LONGER].concat()));
    assert_eq!(client.0.unshift(upto(24)), upto(19));
    assert_eq!(client.0.unshift(upto(30)), upto(19), "half of the second is none of it");
    assert_eq!(client.0.unshift_block([upto(23), upto(47)]), [upto(19), upto(19)]);
    assert_eq!(client.0.unshift_block([upto(24), upto(48)]), [upto(19), upto(38)]);
    client.0.acknowledged(upto(23));
    assert_eq!(client.say(0, PORT), forward(0, LONGER), "the server has nearly all of it");
    client.0.acknowledged(upto(24));
    assert_eq!(client.say(19, PORT), forward(24, LONGER));
}

#[test]
fn more_commands_than_can_be_remembered_wait() {
    let mut client = Client::new();
    let all = PORT.repeat(6);
    assert_eq!(client.say(0, &all), forward(0, &LONGER.repeat(4)));
    assert_eq!(client.say(76, &all[76..]), ABSORB);
    client.0.acknowledged(upto(24));
    assert_eq!(client.say(76, &all[76..]), forward(96, LONGER));
    assert_eq!(client.say(19, &PORT[..1]), forward(24, LONGER));
}

#[test]
fn a_shorter_line() {
    let mut client = Client::new();
    assert_eq!(client.say(0, b"PORT\nNOOP\n"), forward(0, b"P\nNOOP\n"));
    let places = (0..=8).map(|at| client.0.unshift(upto(at)).wrapping_sub(FIRST));
    assert_eq!(places.collect::<Vec<_>>(), [0, 0, 5, 6, 7, 8, 9, 10, 10]);
}

/// Their sender waits for our word only when the receiver has all that came before.
#[test]
fn what_is_held_is_acknowledged_when_all_before_it_is() {
    let mut client = Client::new();
    assert_eq!(client.say(0, b"NOOP\r\nPO"), forward(0, b"NOOP\r\n"));
    assert_eq!(client.say(8, b"RT "), ABSORB);
    assert_eq!(client.0.unshift(upto(3)), upto(3));
    assert_eq!(client.0.unshift(upto(6)), upto(11), "with the server's word comes ours");
    client.0.acknowledged(upto(6));
    assert_eq!(client.say(8, b"RT "), acknowledge(11));
}

#[test]
fn what_comes_too_early_comes_again() {
    let mut client = Client::new();
    assert_eq!(client.say(5, &PORT[5..]), ABSORB);
    assert_eq!(client.say(0, PORT), forward(0, LONGER));
}

#[test]
fn the_end_lets_go_what_is_held() {
    let end = |at, data: &[u8]| {
        (Pushed::Forward { sequence: upto(at), len: data.len(), is_last: true }, data.to_vec())
    };
    let mut client = Client::new();
    assert_eq!(client.say(0, b"POR"), acknowledge(3));
    assert_eq!(client.segment(3, b"", true), end(0, b"POR"));
    assert_eq!(client.segment(3, b"", true), end(0, b"POR"), "it was lost");
    assert_eq!(client.segment(1, b"OR", true), end(0, b"POR"));
    assert_eq!(client.0.unshift(upto(4)), upto(4));
    assert_eq!(client.0.shift_sequence(upto(4)), upto(4));
    let mut client = Client::new();
    assert_eq!(client.segment(0, &[PORT, b"P"].concat(), true), end(0, &[LONGER, b"P"].concat()));
    assert_eq!(client.0.unshift(upto(26)), upto(21));
    let mut client = Client::new();
    assert_eq!(client.segment(0, b"", true), end(0, b""));
    assert_eq!(client.segment(1, b"", true), ABSORB);
}

/// What is encrypted may look like anything.
#[test]
fn nothing_is_read_in_another_language() {
    let mut client = Client::new();
    assert_eq!(client.say(0, b"AUTH TLS\r\n"), forward(0, b"AUTH TLS\r\n"));
    assert_eq!(client.say(10, PORT), forward(10, PORT));
    assert_eq!(client.say(29, b"POR"), forward(29, b"POR"));
    assert_eq!(client.say(40, b"early"), forward(40, b"early"));
    assert_eq!(client.say(32, b"the gap."), forward(32, b"the gap."));

    // The server consents while a line of the client is held.
    let mut client = Client::new();
    assert_eq!(client.say(0, PORT), forward(0, LONGER));
    client.0.acknowledged(upto(24));
    assert_eq!(client.say(19, b"POR"), acknowledge(22));
    client.0.leave_alone();
    assert_eq!(client.say(22, b"T 10,0,0,9,4,1\r\n"), forward(24, PORT));
    assert_eq!(client.say(22, b"T 10"), forward(24, b"PORT 10"));
    client.0.acknowledged(upto(43));
    assert_eq!(client.say(38, PORT), forward(43, PORT));
}

#[test]
fn what_can_be_no_command_does_not_wait() {
    let mut client = Client::new();
    assert_eq!(client.say(0, b"NO"), forward(0, b"NO"));
    assert_eq!(client.say(2, b"OP\r\nPORT"), forward(2, b"OP\r\n"));
    client.0.acknowledged(upto(6));
    assert_eq!(client.say(10, b"AL"), forward(6, b"PORTAL"));
    assert_eq!(client.say(10, b"AL"), forward(6, b"PORTAL"), "it was lost");
    assert_eq!(client.say(12, &[b"\n", PORT].concat()), forward(12, &[b"\n", LONGER].concat()));
}

/// The rule that keeps the reader small: a NUL, a CR inside, or too much of it.
#[test]
fn lines_that_are_never_read() {
    let long = [PORT.trim_ascii_end(), &vec![b' '; 4096]].concat();
    let full = [&b"PORT "[..], &vec![b'x'; 4090], b"\n"].concat();
    for (line, is_read) in [
        (&b"PORT 10,0,0,9,4,1\0\r\n"[..], false),
        (b"PORT 10,0,0,9\r,4,1\r\n", false),
        (b"PORT 10,0,0,9,4,1\r\r\n", false),
        (&[&long[..], b"\r\n"].concat(), false),
        (&full[1..], false),
        (&full, true),
        (&[b"PORT x", &full[6..]].concat(), true),
        (&[b"PORT xx", &full[6..]].concat(), false),
    ] {
        for at in [1, 5, 14, line.len() - 2, line.len() - 1] {
            let mut world = World::new(FIRST, Side::Client, 5000, [line, PORT].concat());
            world.send(0, at);
            world.push(0);
            world.finish(5000);
            let read = is_read && line.starts_with(b"PORT");
            assert_eq!(world.judged.len(), 1 + usize::from(read), "{}", line.escape_ascii());
            assert_eq!(world.receiver.text(), rewritten(&[line, PORT].concat(), usize::MAX).0);
        }
    }
}

#[test]
fn it_is_small_since_there_are_many() {
    assert!(size_of::<Stream>() <= 1400, "{}", size_of::<Stream>());
}
