//! A sender, a receiver and a lossy network: a model of TCP's numbers that shares no code with the rewriter. Positions
//! count from the start of the stream.

use crate::alg::ftp::rewriter::*;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Bytes of the longest line that is read (issue 6: "a control line over 4 KiB").
const LONGEST_LINE: usize = 4 << 10;

/// Data range of a segment, and whether it has the FIN.
type Sent = (usize, usize, bool);

/// Both ends of a stream, and the rewriter between them.
pub struct World {
    pub stream: Stream,
    /// Buffers for long lines.
    pub spare: Vec<Buffer>,
    pub elsewhere: Vec<Buffer>,
    speaker: Speaker,
    first: SeqNumber,
    room: usize,
    text: Vec<u8>,
    /// The sender's next position, and the first unacknowledged one. The FIN is the last position.
    pub next: usize,
    pub unacknowledged: usize,
    /// Segments between sender and rewriter.
    pub sent: Vec<Sent>,
    /// Segments between rewriter and receiver.
    pub forwarded: Vec<(usize, Vec<u8>, bool)>,
    /// Acknowledgements on their way back.
    pub acknowledgements: Vec<usize>,
    pub receiver: Receiver,
    /// Lines that were judged.
    pub judged: Vec<Vec<u8>>,
}

/// The receiver's data.
#[derive(Default)]
pub struct Receiver {
    bytes: BTreeMap<usize, u8>,
    /// Bytes received without gap.
    there: usize,
    end: Option<usize>,
}

impl Receiver {
    /// No position ever carries two different bytes.
    fn take(&mut self, at: usize, data: &[u8], is_last: bool) {
        for (at, &byte) in (at..).zip(data) {
            let before = self.bytes.insert(at, byte);
            assert!(before.is_none_or(|before| before == byte), "other data at {at}");
        }
        while self.bytes.contains_key(&self.there) {
            self.there += 1;
        }
        if is_last {
            let end = at + data.len();
            assert!(self.end.is_none_or(|before| before == end), "another end at {end}");
            self.end = Some(end);
        }
        let beyond = self.end.and_then(|end| self.bytes.range(end..).next());
        assert_eq!(beyond, None, "data behind the end");
    }

    fn acknowledgement(&self) -> usize {
        self.there + usize::from(self.end == Some(self.there))
    }

    /// The block received behind a gap.
    fn block(&self) -> Option<[usize; 2]> {
        let gap = self.acknowledgement();
        let left = *self.bytes.range(gap..).next()?.0;
        let len = (left..).take_while(|at| self.bytes.contains_key(at)).count();
        Some([left, left + len])
    }

    pub fn text(&self) -> Vec<u8> {
        self.bytes.values().copied().collect()
    }
}

impl World {
    pub fn new(first: SeqNumber, speaker: Speaker, room: usize, text: Vec<u8>) -> World {
        World {
            stream: Stream::new(first),
            spare: vec![Buffer::new([0; LONGEST])],
            elsewhere: vec![],
            speaker,
            first,
            room,
            text,
            next: 0,
            unacknowledged: 0,
            sent: vec![],
            forwarded: vec![],
            acknowledgements: vec![],
            receiver: Receiver::default(),
            judged: vec![],
        }
    }

    /// Number of the sender's positions, FIN included.
    fn end(&self) -> usize {
        self.text.len() + 1
    }

    pub fn send(&mut self, from: usize, len: usize) {
        let to = (from + len.min(self.room)).min(self.end());
        self.next = self.next.max(to);
        let is_last = to == self.end();
        self.sent.push((from.min(self.text.len()), to - usize::from(is_last), is_last));
    }

    /// A segment reaches the rewriter.
    pub fn push(&mut self, nth: usize) -> Pushed {
        let (from, to, is_last) = self.sent.remove(nth);
        let World { stream, spare, speaker, first, room, text, judged, .. } = self;
        let sequence = first.after(from as u32);
        let mut out = vec![0; *room];
        let note = |line: &[u8]| {
            judged.push(line.to_vec());
            judge(line)
        };
        let segment = Segment { sequence, data: &text[from..to], is_last };
        stream.borrow(spare);
        let pushed = stream.push(segment, *speaker, note, &mut out);
        stream.give_back(spare);
        match pushed {
            Pushed::Forward { sequence, len, is_last } => {
                let at = sequence.ahead_of(self.first);
                if len > 0 || is_last {
                    self.forwarded.push((at as usize, out[..len].to_vec(), is_last));
                } else {
                    assert!(at < self.receiver.acknowledgement() as i32);
                    self.acknowledgements.push(self.receiver.acknowledgement());
                }
            }
            Pushed::Acknowledge { upto } => self.hear(upto),
            Pushed::Absorb => {}
        }
        pushed
    }

    /// A segment, or `most` bytes of it, reaches the receiver, which acknowledges.
    pub fn deliver(&mut self, nth: usize, most: usize) {
        let (at, mut data, mut is_last) = self.forwarded.remove(nth);
        if most < data.len() {
            let rest = data.split_off(most);
            self.forwarded.push((at + most, rest, std::mem::take(&mut is_last)));
        }
        self.receiver.take(at, &data, is_last);
        self.acknowledgements.push(self.receiver.acknowledgement());
        if let Some(block) = self.receiver.block() {
            let edges = block.map(|edge| self.first.after(edge as u32));
            let [left, right] = self.stream.unshift_block(edges);
            assert!(right.since(self.first) as usize <= self.end());
            assert!(left.since(self.first) as usize <= self.end());
        }
    }

    /// An acknowledgement reaches the rewriter, and then the sender.
    pub fn acknowledge(&mut self, nth: usize) {
        let acknowledgement = self.first.after(self.acknowledgements.remove(nth) as u32);
        self.stream.acknowledged(acknowledgement);
        self.stream.give_back(&mut self.spare);
        self.hear(self.stream.unshift(acknowledgement));
    }

    fn hear(&mut self, upto: SeqNumber) {
        let upto = upto.since(self.first) as usize;
        assert!(upto <= self.next, "{upto} is acknowledged, {} was sent", self.next);
        self.unacknowledged = self.unacknowledged.max(upto);
    }

    /// The network stops losing packets: the sender sends `len` bytes at a time, and retransmits until all is
    /// acknowledged.
    pub fn finish(&mut self, len: usize) {
        self.spare.append(&mut self.elsewhere);
        for _ in 0..4 * self.end() + 10 {
            if self.unacknowledged == self.end() {
                assert_eq!(self.spare.len(), 1, "the buffer is back");
                return;
            }
            self.send(self.unacknowledged, len);
            while !self.sent.is_empty() {
                self.push(0);
            }
            while !self.forwarded.is_empty() {
                self.deliver(0, usize::MAX);
            }
            while !self.acknowledgements.is_empty() {
                self.acknowledge(0);
            }
        }
        panic!("{} of {} have come", self.unacknowledged, self.end());
    }
}

/// Makes some lines longer, some shorter, and keeps some.
pub fn judge(line: &[u8]) -> Rewrite {
    if line.starts_with(b"QUIET") {
        return Rewrite::Opaque;
    }
    let known = [&b"PORT "[..], b"EPRT ", b"227 ", b"229 "];
    if !known.iter().any(|known| line.starts_with(known)) {
        return Rewrite::Keep;
    }
    let sum = line.iter().fold(0u16, |sum, &byte| sum.wrapping_add(byte.into()));
    let endpoint = SocketAddr::from(([10, 0, (sum >> 8) as u8, 1], sum));
    match sum % 3 {
        0 => Rewrite::Replace(wire::ftp::eprt(endpoint)),
        1 => Rewrite::Replace(Line::try_from(&b"227"[..]).unwrap()),
        _ => Line::try_from(line).map_or(Rewrite::Keep, Rewrite::Replace),
    }
}

/// The expected stream if at most `most` lines are rewritten, and those lines.
pub fn rewritten(text: &[u8], speaker: Speaker, most: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut judged = vec![];
    if text.first().is_some_and(|&first| !wire::ftp::is_text(first)) {
        return (text.to_vec(), judged);
    }
    let lines = lines(text, speaker).into_iter().flat_map(|line| {
        let is_bare = speaker == Speaker::Client && line.ends_with(b"\n");
        let end = if line.ends_with(b"\r\n") { 2 } else { usize::from(is_bare) };
        let content = &line[..line.len() - end];
        let is_plain =
            speaker == Speaker::Client || !content.iter().any(|byte| b"\0\r\n".contains(byte));
        let is_short = line.len() < LONGEST_LINE || (line.len() == LONGEST_LINE && end > 0);
        let is_held = is_short && is_plain && speaker.may_matter(content);
        if !is_held && speaker == Speaker::Client {
            return line.iter().map(|&byte| if byte == 0 { b'_' } else { byte }).collect();
        }
        if !is_held || end == 0 || judged.len() == most {
            return line.to_vec();
        }
        match judge(content) {
            Rewrite::Keep | Rewrite::Opaque => line.to_vec(),
            Rewrite::Replace(other) => {
                judged.push(content.to_vec());
                [&other[..], &line[line.len() - end..]].concat()
            }
        }
    });
    (lines.collect(), judged)
}

/// Splits a stream: a client's lines end with LF, a server's with CRLF; the last one may be incomplete.
pub fn lines(text: &[u8], speaker: Speaker) -> Vec<&[u8]> {
    let is_end = |at: usize| speaker == Speaker::Client || at > 0 && text[at - 1] == b'\r';
    let ends = (0..text.len()).filter(|&at| text[at] == b'\n' && is_end(at)).map(|at| at + 1);
    let mut lines = vec![];
    let mut start = 0;
    for end in ends.chain([text.len()]).filter(|&end| end > 0) {
        lines.push(&text[start..end]);
        start = end;
    }
    lines
}
