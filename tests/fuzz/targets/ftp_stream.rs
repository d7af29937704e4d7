//! Segments of a stream, sent, retransmitted in other sizes, lost and acknowledged: no position carries two different
//! bytes, nothing unsent is acknowledged, and finally everything arrives. Each line is reported once.
#![no_main]

use arbitrary::Arbitrary;
use engine::alg::ftp::rewriter::{
    Buffer, LEAST_ROOM, LONGEST, Pushed, Reader, Rewrite, Segment, Speaker, Stream,
};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use wire::tcp::SeqNumber;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    first: u32,
    is_server: bool,
    room: u8,
    steps: Vec<Step<'a>>,
    pieces: Vec<Piece<'a>>,
}

#[derive(Debug, Arbitrary)]
struct Piece<'a> {
    start: u8,
    noise: &'a [u8],
    /// Number of blanks behind the text.
    more: u16,
    end: u8,
}

/// Texts that a fuzzer would not find by chance.
const STARTS: [&[u8]; 10] = [
    b"",
    b"PORT ",
    b"EPRT ",
    b"PASV",
    b"227 ",
    b"229 ",
    b"PORTAL ",
    &[b' '; 230],
    &[b' '; 4090],
    b"\x16\x03\x01",
];
const ENDS: [&[u8]; 7] =
    [b"", b"\r\n", b"\n", b"\r", b"\0\r\n", b"\r\nPORT 1\r\n227 0\r\n", b"\xff\xfb"];

/// Bytes of the longest conversation.
const MOST: usize = 5 * LONGEST;

#[derive(Debug, Arbitrary)]
enum Step<'a> {
    /// Sends from a position relative to the next byte.
    Send {
        from: i8,
        len: u16,
        arrives: bool,
    },
    /// Acknowledges part of the received bytes.
    Acknowledge {
        less: u8,
    },
    /// A spoofed segment.
    Forged {
        sequence: u32,
        data: &'a [u8],
        is_last: bool,
    },
    Nonsense {
        acknowledgement: u32,
        block: [u32; 2],
    },
    /// Other streams borrow or return buffers for long lines.
    Share {
        is_here: bool,
    },
}

/// Sender, receiver and rewriter. Positions count from the start of the stream.
struct World {
    stream: Stream,
    spare: Vec<Buffer>,
    elsewhere: Vec<Buffer>,
    side: Speaker,
    first: SeqNumber,
    room: usize,
    text: Vec<u8>,
    told: Told,
    /// Bytes that the sender knows to be acknowledged, and bytes sent.
    known: usize,
    sent: usize,
    arrived: BTreeMap<usize, u8>,
    /// Bytes received without gap.
    there: usize,
    end: Option<usize>,
}

fuzz_target!(|input: Input| {
    let side = if input.is_server { Speaker::Server } else { Speaker::Client };
    let text = input.pieces.iter().flat_map(Piece::text).take(MOST).collect();
    let first = SeqNumber(input.first);
    let mut world = World {
        stream: Stream::new(first),
        spare: vec![Buffer::new([0; LONGEST])],
        elsewhere: vec![],
        side,
        first,
        room: LEAST_ROOM + usize::from(input.room),
        text,
        told: Told::default(),
        known: 0,
        sent: 0,
        arrived: BTreeMap::new(),
        there: 0,
        end: None,
    };
    for step in &input.steps {
        match *step {
            Step::Send { from, len, arrives } => {
                let from = world.sent.saturating_add_signed(from.into());
                world.send(from, len.into(), arrives);
            }
            Step::Acknowledge { less } => world.acknowledge(less.into()),
            Step::Forged { sequence, data, is_last } => {
                // On a copy: a spoofing sender can only damage its own stream.
                let mut stream = world.stream.clone();
                stream.borrow(&mut world.spare.clone());
                let mut out = vec![0; world.room];
                let segment = Segment { sequence: SeqNumber(sequence), data, is_last };
                stream.push(segment, side, rewrite, &mut out);
                stream.push(segment, side, |_: &[u8]| Rewrite::Opaque, &mut out);
                stream.leave_alone();
                stream.push(segment, side, rewrite, &mut out);
            }
            Step::Nonsense { acknowledgement, block } => {
                let acknowledgement = SeqNumber(acknowledgement);
                let mut stream = world.stream.clone();
                stream.acknowledged(acknowledgement);
                let upto = stream.unshift(acknowledgement);
                let beyond = upto.ahead_of(first) - world.sent as i32;
                assert!(beyond <= 0, "{beyond} more than was sent");
                stream.unshift_block(block.map(SeqNumber));
                stream.shift_sequence(acknowledgement);
            }
            Step::Share { is_here: true } => world.spare.append(&mut world.elsewhere),
            Step::Share { is_here: false } => world.elsewhere.append(&mut world.spare),
        }
    }
    world.finish();
});

impl Piece<'_> {
    fn text(&self) -> Vec<u8> {
        let start = STARTS[usize::from(self.start) % STARTS.len()];
        let end = ENDS[usize::from(self.end) % ENDS.len()];
        let more = vec![b' '; usize::from(self.more) % LONGEST];
        [start, self.noise, &more, end].concat()
    }
}

/// Number of reported lines.
#[derive(Default)]
struct Told(usize);

impl Reader for &mut Told {
    fn judge(&mut self, line: &[u8]) -> Rewrite {
        self.0 += 1;
        rewrite(line)
    }

    fn passed(&mut self, start: &[u8]) {
        assert!(start.len() <= 8 && !start.ends_with(b"\n"));
        self.0 += 1;
    }
}

fn rewrite(line: &[u8]) -> Rewrite {
    match line {
        [b'P', .., last] if last % 2 == 0 => Rewrite::Replace([b'P'; 254].into()),
        [b'2', .., last] if last % 2 == 0 => Rewrite::Replace(std::iter::once(b'2').collect()),
        _ => Rewrite::Keep,
    }
}

impl World {
    /// The FIN is a position of its own, behind the text.
    fn send(&mut self, from: usize, len: usize, arrives: bool) {
        let end = self.text.len() + 1;
        let (from, to) = (from.min(self.text.len()), (from + len).min(end));
        let is_last = to == end;
        self.sent = self.sent.max(to);
        let data = self.text.get(from..to - usize::from(is_last)).unwrap_or_default();
        let sequence = self.first.after(from as u32);
        let mut out = vec![0; self.room];
        let segment = Segment { sequence, data, is_last };
        self.stream.borrow(&mut self.spare);
        let pushed = self.stream.push(segment, self.side, &mut self.told, &mut out);
        self.stream.give_back(&mut self.spare);
        match pushed {
            Pushed::Forward { sequence, len, is_last } if arrives && (len > 0 || is_last) => {
                self.arrive(sequence.since(self.first) as usize, &out[..len], is_last);
            }
            Pushed::Forward { .. } | Pushed::Absorb => {}
            Pushed::Acknowledge { upto } => self.hear(upto),
        }
    }

    fn arrive(&mut self, at: usize, data: &[u8], is_last: bool) {
        for (at, &byte) in (at..).zip(data) {
            let before = self.arrived.insert(at, byte);
            assert!(before.is_none_or(|before| before == byte), "another byte at {at}");
        }
        while self.arrived.contains_key(&self.there) {
            self.there += 1;
        }
        if is_last {
            let end = at + data.len();
            assert!(self.end.is_none_or(|before| before == end), "another end");
            self.end = Some(end);
        }
    }

    fn acknowledge(&mut self, less: usize) {
        let is_end = self.end == Some(self.there);
        let there = (self.there + usize::from(is_end)).saturating_sub(less);
        let acknowledgement = self.first.after(there as u32);
        self.stream.acknowledged(acknowledgement);
        self.stream.give_back(&mut self.spare);
        self.hear(self.stream.unshift(acknowledgement));
    }

    fn hear(&mut self, upto: SeqNumber) {
        let upto = upto.since(self.first) as usize;
        assert!(upto <= self.sent, "{upto} is acknowledged, {} was sent", self.sent);
        self.known = self.known.max(upto);
    }

    /// Every line was reported, except for those that are too long.
    fn all_told(&self) {
        let before = |at: usize| at > 0 && self.text[at - 1] == b'\r';
        let is_end =
            |at: &usize| self.text[*at] == b'\n' && (self.side == Speaker::Client || before(*at));
        let mut start = 0;
        let mut all = 0;
        for end in (0..self.text.len()).filter(is_end) {
            all += usize::from(end + 1 - start <= LONGEST);
            start = end + 1;
        }
        // Bytes before a line may be Telnet commands, line ends among them.
        let is_plain = self.text.iter().all(|&byte| byte < 240);
        assert!(!is_plain || self.is_foreign() || self.told.0 == all, "{} of {all}", self.told.0);
    }

    /// Whether the stream is not FTP.
    fn is_foreign(&self) -> bool {
        self.text.first().is_some_and(|&first| !wire::ftp::is_text(first))
    }

    fn finish(&mut self) {
        self.spare.append(&mut self.elsewhere);
        // The server answers in the same protocol: until then a line end may be held.
        if self.is_foreign() {
            self.stream.leave_alone();
        }
        let end = self.text.len() + 1;
        for _ in 0..4 * end + 10 {
            if self.known == end {
                self.all_told();
                return;
            }
            self.send(self.known, self.room, true);
            self.acknowledge(0);
        }
        panic!("{} of {end} have come", self.known);
    }
}
