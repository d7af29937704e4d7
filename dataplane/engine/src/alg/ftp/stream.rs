//! One direction of a control connection: lines are read and rewritten on the way, whatever segments they come
//! in. The stream goes on in order, each byte the same however often it is sent again:
//!
//! - A line that may have to be rewritten is held until its end is there. Its sender is told that we have
//!   it, since it may wait for that before it says more; from then on it is ours to send again.
//! - What became of such a line is remembered until the receiver has acknowledged it. Whatever
//!   of it is sent again, it goes out whole, as it did before.
//! - So is what goes on of a client's as it was: a server may leave a segment where the client knows that it will, and be
//!   said another one.
//! - A line that is longer than most is held in memory that is lent. If it goes on as it was, it may leave in
//!   several segments (`stream/long.rs`).
//! - What comes before what is still missing is left to its sender to send again.
//! - A stream whose first byte no text has is not FTP: TLS from the start, as a rule. Nothing of it is held or changed. A
//!   server's word is taken for that. A client's is not, before its server has said so too (`stream/foreign.rs`).
//!
//! A line of the client ends with LF, since there are servers that take it so; one of the server ends with CRLF alone, or
//! what a server repeats of a command could be another line. A line of the server with a NUL, CR or LF inside, and one
//! that is too long, is never read. Of lines that are not read, the first bytes are told ([`Reader::passed`]).

use super::shift::{Shift, TEXT, earlier, is_before, later};
use arrayvec::ArrayVec;
use wire::ftp::{Command, Line, Reply};

mod again;
mod foreign;
mod long;
mod output;
mod place;
mod read;

pub use long::Buffer;
use long::Long;
use output::Output;
use place::Place;

/// Bytes of the longest line that is read, its end included.
pub const LONGEST: usize = 4096;

/// Bytes of the longest line for which a stream has memory of its own. It goes on in one piece.
const SHORT: usize = 240;

/// Bytes that the sender of what is not read may be ahead of what was seen of it: whoever guesses at its numbers is not to
/// move them.
const FURTHEST: u32 = 1 << 20;

/// Bytes that a segment must be able to carry: the longest that goes out whole.
pub const LEAST_ROOM: usize = TEXT;

/// What is known of the stream.
#[derive(Debug, Clone)]
pub struct Stream {
    /// The sender's next byte: all before has gone on, or is held, or leaves.
    next: u32,
    /// The byte that its sender may have been told we wait for: it sends none before again for long.
    told: u32,
    /// The byte that the receiver waits for, in its own count.
    heard: u32,
    shift: Shift,
    /// What is held, unless it is in `long`.
    held: [u8; SHORT],
    held_len: u16,
    long: Long,
    mode: Mode,
    /// Where in its line the next byte is.
    place: Place,
    /// Whether its sender says no more. The receiver is told when all has gone on.
    ended: bool,
}

/// What becomes of the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The first byte of all tells whether the stream can be read.
    Beginning,
    /// It belongs to a line that may have to be rewritten.
    Reading,
    /// It goes on, up to the end of its line.
    Passing,
    /// Bytes go on, but for the end of a line that no client in TLS sends.
    Foreign,
    /// It goes on, as all that follow.
    Opaque,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client: commands.
    Client,
    /// The server: replies.
    Server,
}

/// A segment of the sender, with data or the end of the stream in it.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// The number of its first byte.
    pub sequence: u32,
    /// What it carries.
    pub data: &'a [u8],
    /// Whether the stream ends behind that (FIN).
    pub is_last: bool,
}

/// What becomes of a line.
// A box would have to be allocated.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// It goes on as it is.
    Keep,
    /// This one goes on in its place, with the same end.
    Replace(Line),
    /// It goes on as it is, and so does all that follows.
    Opaque,
}

/// Who reads the lines of a stream.
pub trait Reader {
    /// A line that may matter, without its end. Answers what becomes of it.
    fn judge(&mut self, line: &[u8]) -> Rewrite;

    /// A line that went on unread has ended; these are its first bytes, without its end. One that is too long is not told.
    fn passed(&mut self, start: &[u8]) {
        let _ = start;
    }

    /// A server has begun with a byte that no text has: neither side's stream can be read.
    fn is_foreign(&mut self) {}
}

impl<F: FnMut(&[u8]) -> Rewrite> Reader for F {
    fn judge(&mut self, line: &[u8]) -> Rewrite {
        self(line)
    }
}

/// What becomes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It goes on with other data.
    Forward {
        /// The number of its first byte, as the receiver counts.
        sequence: u32,
        /// Bytes of its data, which are in the output.
        len: usize,
        /// Whether the stream ends behind that. If not, its FIN is taken off.
        is_last: bool,
    },
    /// Nothing goes on, and its sender is told in the receiver's place that all up to there has come.
    Acknowledge {
        /// The byte that is expected next, as the sender counts.
        upto: u32,
    },
    /// Nothing goes on; its sender will say it again.
    Absorb,
}

impl Side {
    fn may_matter(self, start: &[u8]) -> bool {
        match self {
            Side::Client => Command::may_begin(start),
            Side::Server => Reply::may_begin(start),
        }
    }
}

impl Stream {
    /// A stream whose first byte, the one behind the SYN, has this number.
    pub fn new(first: u32) -> Stream {
        Stream {
            next: first,
            told: first,
            heard: first,
            shift: Shift::NONE,
            held: [0; SHORT],
            held_len: 0,
            long: Long::default(),
            mode: Mode::Beginning,
            place: Place::default(),
            ended: false,
        }
    }

    /// Takes a buffer from these, if there is one, so that it can hold a long line of the next segment.
    pub fn borrow(&mut self, spare: &mut Vec<Buffer>) {
        self.long.borrow(spare);
    }

    /// Gives its buffer back, unless there is a line in it.
    pub fn give_back(&mut self, spare: &mut Vec<Buffer>) {
        self.long.give_back(spare);
    }

    /// It is over: what it holds is no longer needed.
    pub fn discard(&mut self) {
        self.held_len = 0;
        self.long.free();
    }

    /// From now on nothing is read any more.
    pub fn leave_alone(&mut self) {
        self.mode = Mode::Opaque;
    }

    /// Whether the receiver has all that its sender has said, and that ends with a line.
    pub fn is_settled(&self) -> bool {
        let is_read = matches!(self.mode, Mode::Beginning | Mode::Reading);
        self.heard == self.front_received() && is_read && self.place.is_start()
    }

    /// Whether this segment says something new.
    pub fn is_new(&self, sequence: u32, len: usize) -> bool {
        is_before(self.next, sequence.wrapping_add(len as u32))
    }

    /// Whether this is the number of what its sender says next, as far as that can be known.
    pub fn is_next(&self, sequence: u32) -> bool {
        let end = self.next.wrapping_add(self.ended.into());
        !is_before(sequence, self.front()) && !is_before(end, sequence)
    }

    /// What a segment without data or end is numbered for the receiver, when its sender numbers it so.
    #[inline]
    pub fn shift_sequence(&self, sequence: u32) -> u32 {
        if !is_before(self.front(), sequence) {
            return self.shift.received(sequence);
        }
        let ahead = sequence.wrapping_sub(self.next) as i32;
        self.front_received().wrapping_add(ahead.clamp(0, i32::from(self.end_said())) as u32)
    }

    /// What the receiver acknowledges, as the sender counts it: with it goes what is held, which only we have.
    #[inline]
    pub fn unshift(&self, acknowledgement: u32) -> u32 {
        let ahead = acknowledgement.wrapping_sub(self.front_received()) as i32;
        let sent = match ahead {
            ..0 => self.shift.sent(acknowledgement)[0],
            // Whoever knows that all has come does not make us say the rest.
            0.. if self.long.unsaid() > 0 => self.front(),
            0.. => self.next.wrapping_add(ahead.min(self.ended.into()) as u32),
        };
        later(sent, self.told)
    }

    /// The edges of what the receiver has besides, as the sender counts them: of an edit, and of a line that
    /// leaves, only all of it.
    pub fn unshift_block(&self, [left, right]: [u32; 2]) -> [u32; 2] {
        [self.long.ends(self.shift.sent(left)[1])[1], self.long.ends(self.shift.sent(right)[0])[0]]
    }

    /// The receiver has acknowledged this, in its own count.
    #[inline]
    pub fn acknowledged(&mut self, acknowledgement: u32) {
        let most = self.front_received().wrapping_add(self.end_said().into());
        if is_before(acknowledgement, self.heard) || is_before(most, acknowledgement) {
            return;
        }
        self.told = self.unshift(acknowledgement);
        self.heard = acknowledgement;
        let left = self.long.leaving().map(|line| self.shift.received(line.end()));
        if left.is_some_and(|end| !is_before(acknowledgement, end)) {
            self.long.free();
        }
        self.shift.forget(acknowledgement);
    }

    /// Takes a segment. Each line that may matter is judged once, when all of it is there. What goes on is in `out`, which is as long as a segment may be, and no
    /// shorter than [`LEAST_ROOM`].
    pub fn push(
        &mut self,
        segment: Segment,
        side: Side,
        mut reader: impl Reader,
        out: &mut [u8],
    ) -> Pushed {
        let Segment { sequence, data, is_last } = segment;
        if data.is_empty() && !is_last {
            let sequence = self.shift_sequence(sequence);
            return Pushed::Forward { sequence, len: 0, is_last: false };
        }
        let end = sequence.wrapping_add(data.len() as u32);
        if !is_before(self.told, end.wrapping_add(is_last.into())) {
            return self.hear_again(end);
        }
        if is_before(self.next, sequence) {
            let is_far = sequence.wrapping_sub(self.next) > FURTHEST;
            if self.mode != Mode::Opaque || self.front() != self.next || self.ended || is_far {
                return Pushed::Absorb;
            }
            self.next = sequence;
        }
        let begin = self.beginning(&segment);
        let first = self.shift_sequence(begin);
        let mut out = Output::new(out);
        let is_whole = self.say_again(begin, &segment, &mut out) && {
            let known = (self.next.wrapping_sub(sequence) as usize).min(data.len());
            let fresh = if self.ended { &[] } else { &data[known..] };
            self.say(fresh, side, &mut reader, &mut out)
        };
        let is_last = is_last && is_whole && self.next == end && self.end(&mut out);
        if out.len() > 0 || is_last {
            return Pushed::Forward { sequence: first, len: out.len(), is_last };
        }
        if self.held_len > 0 && self.heard == self.front_received() {
            self.told = self.next;
            return Pushed::Acknowledge { upto: self.next };
        }
        Pushed::Absorb
    }

    /// The stream ends here, and what is held with it. Answers whether all has gone on.
    fn end(&mut self, out: &mut Output) -> bool {
        self.ended = self.ended || self.held_len == 0 || self.release(&[], out);
        self.ended && self.long.say(out)
    }

    /// Whether the receiver may have been told that no more comes.
    #[inline]
    fn end_said(&self) -> bool {
        self.ended && self.long.unsaid() == 0
    }

    /// The first byte that has not gone on, as the sender counts.
    #[inline]
    fn front(&self) -> u32 {
        self.next.wrapping_sub(u32::from(self.held_len) + u32::from(self.long.unsaid()))
    }

    /// The same, as the receiver counts.
    #[inline]
    fn front_received(&self) -> u32 {
        self.shift.received(self.front())
    }
}

#[cfg(test)]
mod conversation;
#[cfg(test)]
mod long_lines;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
