//! A sender, a receiver and a bad network between them: TCP as far as numbers go, with none of the rewriter's
//! ideas. Places are counted from the start of the stream.

use super::*;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Bytes of the longest line that is read (issue 6: "a control line over 4 KiB").
const LONGEST_LINE: usize = 4 << 10;

/// Data of one segment, and whether it has the FIN.
type Sent = (usize, usize, bool);

/// Both ends of a stream, and the rewriter between them.
pub struct World {
    pub stream: Stream,
    /// Memory for long lines.
    pub spare: Vec<Buffer>,
    pub elsewhere: Vec<Buffer>,
    side: Side,
    first: u32,
    room: usize,
    text: Vec<u8>,
    /// The sender: the next place to send, and the first that is not acknowledged. The FIN is the last place.
    pub next: usize,
    pub unacknowledged: usize,
    /// On the way to the rewriter.
    pub sent: Vec<Sent>,
    /// On the way from there to the receiver.
    pub forwarded: Vec<(usize, Vec<u8>, bool)>,
    /// On the way back.
    pub acknowledgements: Vec<usize>,
    pub receiver: Receiver,
    /// Lines that were judged.
    pub judged: Vec<Vec<u8>>,
}

/// What has arrived.
#[derive(Default)]
pub struct Receiver {
    bytes: BTreeMap<usize, u8>,
    /// Without a gap.
    there: usize,
    end: Option<usize>,
}

impl Receiver {
    /// Nothing is said twice with another meaning.
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

    /// What it has behind a gap.
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
    pub fn new(first: u32, side: Side, room: usize, text: Vec<u8>) -> World {
        World {
            stream: Stream::new(first),
            spare: vec![Buffer::new([0; LONGEST])],
            elsewhere: vec![],
            side,
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

    /// Places of the sender, its FIN among them.
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
        let World { stream, spare, side, first, room, text, judged, .. } = self;
        let sequence = first.wrapping_add(from as u32);
        let mut out = vec![0; *room];
        let note = |line: &[u8]| {
            judged.push(line.to_vec());
            judge(line)
        };
        let segment = Segment { sequence, data: &text[from..to], is_last };
        stream.borrow(spare);
        let pushed = stream.push(segment, *side, note, &mut out);
        stream.give_back(spare);
        match pushed {
            Pushed::Forward { sequence, len, is_last } => {
                let at = sequence.wrapping_sub(self.first) as i32;
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

    /// A segment, or so much of it, reaches the receiver, who acknowledges.
    pub fn deliver(&mut self, nth: usize, most: usize) {
        let (at, mut data, mut is_last) = self.forwarded.remove(nth);
        if most < data.len() {
            let rest = data.split_off(most);
            self.forwarded.push((at + most, rest, std::mem::take(&mut is_last)));
        }
        self.receiver.take(at, &data, is_last);
        self.acknowledgements.push(self.receiver.acknowledgement());
        if let Some(block) = self.receiver.block() {
            let edges = block.map(|edge| self.first.wrapping_add(edge as u32));
            let [left, right] = self.stream.unshift_block(edges);
            assert!(right.wrapping_sub(self.first) as usize <= self.end());
            assert!(left.wrapping_sub(self.first) as usize <= self.end());
        }
    }

    /// An acknowledgement reaches the rewriter, and so the sender.
    pub fn acknowledge(&mut self, nth: usize) {
        let acknowledgement = self.first.wrapping_add(self.acknowledgements.remove(nth) as u32);
        self.stream.acknowledged(acknowledgement);
        self.stream.give_back(&mut self.spare);
        self.hear(self.stream.unshift(acknowledgement));
    }

    fn hear(&mut self, upto: u32) {
        let upto = upto.wrapping_sub(self.first) as usize;
        assert!(upto <= self.next, "{upto} is acknowledged, {} was sent", self.next);
        self.unacknowledged = self.unacknowledged.max(upto);
    }

    /// The network is good from now on, and the sender patient: it sends so much, and again until it hears
    /// that it has come.
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

/// Some become longer, some shorter, some stay.
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

/// The stream that this makes, line by line, as long as no more than so many become others; and those lines.
pub fn rewritten(text: &[u8], side: Side, most: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut judged = vec![];
    if text.first().is_some_and(|&first| !wire::ftp::is_text(first)) {
        return (text.to_vec(), judged);
    }
    let lines = lines(text, side).into_iter().flat_map(|line| {
        let is_bare = side == Side::Client && line.ends_with(b"\n");
        let end = if line.ends_with(b"\r\n") { 2 } else { usize::from(is_bare) };
        let content = &line[..line.len() - end];
        let is_plain = side == Side::Client || !content.iter().any(|byte| b"\0\r\n".contains(byte));
        let is_short = line.len() < LONGEST_LINE || (line.len() == LONGEST_LINE && end > 0);
        let is_held = is_short && is_plain && side.may_matter(content);
        if !is_held && side == Side::Client {
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

/// A client's end with LF, a server's with CRLF; the last one need not have ended.
pub fn lines(text: &[u8], side: Side) -> Vec<&[u8]> {
    let is_end = |at: usize| side == Side::Client || at > 0 && text[at - 1] == b'\r';
    let ends = (0..text.len()).filter(|&at| text[at] == b'\n' && is_end(at)).map(|at| at + 1);
    let mut lines = vec![];
    let mut start = 0;
    for end in ends.chain([text.len()]).filter(|&end| end > 0) {
        lines.push(&text[start..end]);
        start = end;
    }
    lines
}
