//! Sequences of segments seen on real networks.

mod conversation;
mod long_lines;
mod model;

use super::*;
use model::{World, rewritten};

const FIRST: SeqNumber = SeqNumber(u32::MAX - 9);
const PORT: &[u8] = b"PORT 10,0,0,9,4,1\r\n";

fn upto(end: usize) -> SeqNumber {
    FIRST.after(end as u32)
}

/// A client whose PORT becomes longer.
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
        let pushed = self.0.push(segment, Speaker::Client, rewrite, &mut out);
        let len = if let Pushed::Forward { len, .. } = pushed { len } else { 0 };
        (pushed, out[..len].to_vec())
    }
}

/// The result of data that goes on at this position of the receiver.
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
        // The segment was lost; the client retransmits.
        assert_eq!(client.say(at, &PORT[at..]), forward(0, LONGER));
        assert_eq!(client.0.unshift(upto(24)), upto(19));
    }
}

/// Nagle's algorithm at its worst.
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
    // The client has missed the ACK: the server is made to repeat it.
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
    let places = (0..=8).map(|at| client.0.unshift(upto(at)).since(FIRST));
    assert_eq!(places.collect::<Vec<_>>(), [0, 0, 5, 6, 7, 8, 9, 10, 10]);
}

/// The sender waits for an early ACK only when the receiver has everything before.
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

/// Encrypted data may look like anything.
#[test]
fn nothing_is_read_in_another_language() {
    let mut client = Client::new();
    assert_eq!(client.say(0, b"AUTH TLS\r\n"), forward(0, b"AUTH TLS\r\n"));
    assert_eq!(client.say(10, PORT), forward(10, PORT));
    assert_eq!(client.say(29, b"POR"), forward(29, b"POR"));
    assert_eq!(client.say(40, b"early"), forward(40, b"early"));
    assert_eq!(client.say(32, b"the gap."), forward(32, b"the gap."));

    // The server accepts AUTH while a line of the client is held.
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

/// Servers read a client's line with NUL or CR inside in different ways, so the line is read.
#[test]
fn lines_that_are_too_long_are_never_read() {
    let long = [PORT.trim_ascii_end(), &vec![b' '; 4096]].concat();
    let full = [&b"PORT "[..], &vec![b'x'; 4090], b"\n"].concat();
    for (line, is_read) in [
        (&b"PORT 10,0,0,9,4,1\0\r\n"[..], true),
        (b"PORT 10,0,0,9\r,4,1\r\n", true),
        (b"PORT 10,0,0,9,4,1\r\r\n", true),
        (b"PO\0RT 10,0,0,9,4,1\n", true),
        (b"P\xff\xfb\x01ORT 10,0,0,9,4,1\n", true),
        (b"PORT\x0b10,0,0,9,4,1\r\n", true),
        (b"227 (10,0,0,30,9,4)\r\n", true),
        (&[&long[..], b"\r\n"].concat(), false),
        (&full[1..], false),
        (&full, true),
        (&[b"PORT x", &full[6..]].concat(), true),
        (&[b"PORT xx", &full[6..]].concat(), false),
    ] {
        for at in [1, 5, 14, line.len() - 2, line.len() - 1] {
            let mut world = World::new(FIRST, Speaker::Client, 5000, [line, PORT].concat());
            world.send(0, at);
            world.push(0);
            world.finish(5000);
            assert_eq!(world.judged.len(), 1 + usize::from(is_read), "{}", line.escape_ascii());
            let wanted = rewritten(&[line, PORT].concat(), Speaker::Client, usize::MAX).0;
            assert_eq!(world.receiver.text(), wanted);
        }
    }
}

/// An echoed command must not become a line of the server.
#[test]
fn a_line_of_a_server_ends_with_both() {
    for (text, lines) in [
        (&b"550 a\n227 (10,0,0,30,9,4)\r\n"[..], &[][..]),
        (b"550 a\r227 (10,0,0,30,9,4)\r\n", &[]),
        (b"550 a\r\r\n227 ok\r\n", &[&b"227 ok"[..]]),
        (b"227 a\nb\r\n229 b\rc\r\n227 c\0\r\n227 d\r\n", &[b"227 d"]),
        (b"\n227 a\r\n", &[]),
        (b"\r\n227 a\r\n", &[b"227 a"]),
        (b"\xff\xfe\x0a227 a\r\n", &[b"227 a"]),
        (b"\xff227 a\r\n\xf0227 b\r\n", &[]),
    ] {
        for len in 1..text.len() {
            let mut world = World::new(FIRST, Speaker::Server, 1000, text.to_vec());
            world.finish(len);
            let judged: Vec<_> = world.judged.iter().filter(|line| !line.is_empty()).collect();
            assert_eq!(judged, lines, "{}", text.escape_ascii());
        }
    }
}

/// A reader that judges nothing and records all.
#[derive(Default)]
struct Passed(Vec<Vec<u8>>);

impl Reader for &mut Passed {
    fn judge(&mut self, line: &[u8]) -> Rewrite {
        self.0.push([b"judged ", line].concat());
        Rewrite::Keep
    }

    fn passed(&mut self, start: &[u8]) {
        self.0.push(start.to_vec());
    }
}

#[test]
fn all_lines_are_told_of_once() {
    let long = [&b"LIST "[..], &vec![b'x'; 4100], b"\r\n"].concat();
    for (speaker, text, told) in [
        (
            Speaker::Server,
            &b"220-Hi\r\n220 x\r\n2\r\n\r\n"[..],
            &["220-Hi", "220 x", "judged 2", "judged "][..],
        ),
        (Speaker::Server, b"226\r\n227 ok\r\n2260 Done\r\n", &["226", "judged 227 ok", "2260 Don"]),
        (
            Speaker::Client,
            b"\xff\xf4\xff\xf2ABOR\r\nNOOP\nPASV\n",
            &["ABOR", "NOOP", "judged PASV"],
        ),
        (Speaker::Client, b"P\r\nRETR a b\0c\r\n\r\n", &["judged P", "RETR a b", "judged "]),
        (Speaker::Client, &[&long, &b"NOOP\r\n"[..]].concat(), &["NOOP"]),
    ] {
        for len in [1, 2, 3, 5, 100] {
            let mut stream = Stream::new(FIRST);
            let mut passed = Passed::default();
            for at in (0..text.len()).step_by(len) {
                let data = &text[at..(at + len).min(text.len())];
                let segment = Segment { sequence: upto(at), data, is_last: false };
                let mut out = [0; 1000];
                stream.push(segment, speaker, &mut passed, &mut out);
                let end = stream.front_received();
                stream.acknowledged(end);
                // A retransmission is not reported again.
                stream.push(segment, speaker, &mut passed, &mut out);
                stream.acknowledged(end);
            }
            let told: Vec<_> = told.iter().map(|line| line.as_bytes().to_vec()).collect();
            let is_same = |(one, other): (&Vec<u8>, &Vec<u8>)| one == other;
            let same = passed.0.iter().zip(&told).all(is_same) && passed.0.len() == told.len();
            assert!(same, "{}: {:?}", text.escape_ascii(), passed.0);
        }
    }
}

/// The server may not have received the original.
#[test]
fn what_a_client_says_again_is_what_it_has_said() {
    for said in
        [&b"NOOP xxxxxxxxxxxx\r\n"[..], b"PASV\r\n", b"STAT\r\nNOOP\r\n", b"\xff\xf4\xff\xf2"]
    {
        for at in [0, 1, said.len() - 2] {
            let mut client = Client::new();
            assert_eq!(client.say(0, said), forward(0, said));
            let other = PORT.repeat(2);
            assert_eq!(client.say(at, &other[..said.len() - at]), forward(0, said));
            client.0.acknowledged(upto(2));
            assert_eq!(client.say(0, &other[..said.len()]), forward(0, said));
            assert_eq!(client.0.unshift(upto(2)), upto(2));
        }
    }
}

#[test]
fn what_is_not_read_waits_until_it_can_be_remembered() {
    let mut client = Client::new();
    let line = [&b"RETR "[..], &vec![b'x'; 5 * TEXT]].concat();
    assert_eq!(client.say(0, &line[..900]), forward(0, &line[..900]));
    assert_eq!(client.say(900, &line[900..]), forward(900, &line[900..4 * TEXT]));
    assert_eq!(client.say(4 * TEXT, &line[4 * TEXT..]), ABSORB);
    client.0.acknowledged(upto(TEXT));
    let next = forward(4 * TEXT, &line[4 * TEXT..5 * TEXT]);
    assert_eq!(client.say(4 * TEXT, &line[4 * TEXT..]), next);
}

/// BSD's ftpd drops the byte; other servers do not.
#[test]
fn a_byte_behind_an_iac_goes_nowhere() {
    let mut client = Client::new();
    assert_eq!(client.say(0, b"\xff"), forward(0, b"\xff"));
    assert_eq!(client.say(1, &[b"x", PORT].concat()), forward(1, &[b"\xf1", LONGER].concat()));
    assert_eq!(client.say(0, b"\xffP"), forward(0, b"\xff\xf1"), "it was lost");
}

/// Servers take NUL for an end, for white space, or for a line break in a name.
#[test]
fn a_nul_goes_nowhere() {
    let mut client = Client::new();
    assert_eq!(client.say(0, b"MKD a\r\x00227\r\n"), forward(0, b"MKD a\r_227\r\n"));
    assert_eq!(client.say(6, b"\x00227"), forward(0, b"MKD a\r_227\r\n"), "it was lost");
    client.0.acknowledged(upto(12));
    assert_eq!(client.say(12, b"P\0"), acknowledge(14));
    assert_eq!(client.say(14, b"\0UT\n"), forward(12, b"P__UT\n"));
    assert_eq!(client.say(14, b"\0UT\n"), forward(12, b"P__UT\n"), "it was lost");
}

#[test]
fn it_is_small_since_there_are_many() {
    assert!(size_of::<Stream>() <= 1400, "{}", size_of::<Stream>());
}
