//! One direction of a control connection: lines are read and rewritten on the way, whatever segments they come
//! in. The stream goes on in order, each byte the same however often it is sent again:
//!
//! - A line that may have to be rewritten is held until its end is there. Its sender is told that we have
//!   it, since it may wait for that before it says more; from then on it is ours to send again.
//! - What became of such a line is remembered until the receiver has acknowledged it. Whatever
//!   of it is sent again, it goes out whole, as it did before.
//! - What comes before what is still missing is left to its sender to send again.
//!
//! A line with a NUL or a CR that is not at its end, and a line that is too long, is never read.

use super::shift::{Shift, TEXT, earlier, is_before, later};
use arrayvec::ArrayVec;
use wire::ftp::{Command, Line, Reply};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

mod output;
mod read;

use output::Output;

/// Bytes of the longest line that is read, its end included. With other numbers in it, it can still be written.
pub const LONGEST: usize = 240;

/// Bytes that the sender of what is not read may be ahead of what was seen of it: whoever guesses at its numbers is not to
/// move them.
const FURTHEST: u32 = 1 << 20;

/// Bytes that a segment must be able to carry: the longest that goes out whole.
pub const LEAST_ROOM: usize = TEXT;

/// What is known of the stream.
#[derive(Debug, Clone, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Stream {
    /// The sender's next byte: all before has gone on or is held.
    next: u32,
    /// The byte that its sender may have been told we wait for: it sends none before again for long.
    told: u32,
    /// The byte that the receiver waits for, in its own count.
    heard: u32,
    shift: Shift,
    held: [u8; LONGEST],
    held_len: u16,
    mode: Mode,
    /// Whether the receiver has been told that no more comes.
    ended: bool,
}

/// What becomes of the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u8)]
enum Mode {
    /// It belongs to a line that may have to be rewritten.
    Reading,
    /// It goes on, up to the end of its line.
    Passing,
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
            held: [0; LONGEST],
            held_len: 0,
            mode: Mode::Reading,
            ended: false,
        }
    }

    /// From now on nothing is read any more.
    pub fn leave_alone(&mut self) {
        self.mode = Mode::Opaque;
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
        self.front_received().wrapping_add(ahead.clamp(0, i32::from(self.ended)) as u32)
    }

    /// What the receiver acknowledges, as the sender counts it: with it goes what is held, which only we have.
    #[inline]
    pub fn unshift(&self, acknowledgement: u32) -> u32 {
        let ahead = acknowledgement.wrapping_sub(self.front_received()) as i32;
        let sent = match ahead {
            ..0 => self.shift.sent(acknowledgement)[0],
            0.. => self.next.wrapping_add(ahead.min(self.ended.into()) as u32),
        };
        later(sent, self.told)
    }

    /// The edges of what the receiver has besides, as the sender counts them: of an edit only all of it.
    pub fn unshift_block(&self, [left, right]: [u32; 2]) -> [u32; 2] {
        [self.shift.sent(left)[1], self.shift.sent(right)[0]]
    }

    /// The receiver has acknowledged this, in its own count.
    #[inline]
    pub fn acknowledged(&mut self, acknowledgement: u32) {
        let most = self.front_received().wrapping_add(self.ended.into());
        if is_before(acknowledgement, self.heard) || is_before(most, acknowledgement) {
            return;
        }
        self.told = self.unshift(acknowledgement);
        self.heard = acknowledgement;
        self.shift.forget(acknowledgement);
    }

    /// Takes a segment. Each line that may matter is judged once, when all of it is there, by `rewrite`, which
    /// is given it without its end. What goes on is in `out`, which is as long as a segment may be, and no
    /// shorter than [`LEAST_ROOM`].
    pub fn push(
        &mut self,
        segment: Segment,
        side: Side,
        rewrite: impl FnMut(&[u8]) -> Rewrite,
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
            if self.mode != Mode::Opaque || self.held_len > 0 || self.ended || is_far {
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
            self.say(fresh, side, rewrite, &mut out)
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

    /// All of a segment has come, and its sender does not know it. Only who has it should tell: the receiver is
    /// asked by a byte that it has.
    fn hear_again(&self, end: u32) -> Pushed {
        if self.held_len > 0 && is_before(self.front(), end) {
            return Pushed::Acknowledge { upto: self.told };
        }
        Pushed::Forward { sequence: self.heard.wrapping_sub(1), len: 0, is_last: false }
    }

    /// Where what goes on for a segment begins, as the sender counts: at its first byte that is still needed,
    /// or at the start of what that is part of.
    fn beginning(&self, segment: &Segment) -> u32 {
        let start = later(segment.sequence, self.told);
        let end = segment.sequence.wrapping_add(segment.data.len() as u32);
        // The end of the stream was perhaps sent behind what was held, which its sender does not send again.
        let is_bare = segment.is_last && start == end;
        let is_part = |end: u32| is_before(start, end) || (is_bare && end == start);
        let edits = self.shift.edits().iter();
        let part = edits.rev().find(|edit| is_before(edit.start, start) && is_part(edit.end()));
        earlier(part.map_or(start, |edit| edit.start), self.front())
    }

    /// What has gone on before goes on again, from `begin` on. Answers whether there was room for all of it.
    fn say_again(&self, begin: u32, segment: &Segment, out: &mut Output) -> bool {
        let Segment { sequence, data, .. } = *segment;
        let end = earlier(sequence.wrapping_add(data.len() as u32), self.front());
        let between = |from: u32, to: u32| {
            let at = |place: u32| (place.wrapping_sub(sequence) as usize).min(data.len());
            let part = is_before(from, to).then(|| data.get(at(from)..at(to)));
            part.flatten().unwrap_or_default()
        };
        let mut at = begin;
        for edit in self.shift.edits() {
            if is_before(edit.start, at) {
                continue;
            }
            if !is_before(edit.start, end) {
                break;
            }
            if !out.put(between(at, edit.start)) || !out.put_whole(edit.text()) {
                return false;
            }
            at = edit.end();
        }
        out.put(between(at, end))
    }

    /// The stream ends here, and what is held with it.
    fn end(&mut self, out: &mut Output) -> bool {
        self.ended = self.ended || self.held_len == 0 || self.release(&[], out);
        self.ended
    }

    /// The first byte that has not gone on, as the sender counts.
    #[inline]
    fn front(&self) -> u32 {
        self.next.wrapping_sub(self.held_len.into())
    }

    /// The same, as the receiver counts.
    #[inline]
    fn front_received(&self) -> u32 {
        self.shift.received(self.front())
    }

    fn held(&self) -> &[u8] {
        &self.held[..usize::from(self.held_len).min(LONGEST)]
    }
}

#[cfg(test)]
mod conversation;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
