//! One direction of an FTP control connection: reads lines across segments and rewrites them. The stream goes on in
//! order, and a retransmission carries the same bytes as the original:
//!
//! - A line that may need rewriting is buffered until its end arrives. The buffered bytes are ACKed on the receiver's
//!   behalf, because a sender using Nagle's algorithm would withhold the rest; from then on retransmission is the
//!   gate's job.
//! - A rewritten line is remembered until the receiver has acknowledged it. Retransmitting any part of it sends all of
//!   it again, unchanged.
//! - A client's forwarded bytes are remembered, too: a client could otherwise send other bytes in a retransmission,
//!   knowing that the server never received the first ones.
//! - A line longer than a stream's own memory uses a borrowed buffer. A long line that is not rewritten may leave in several segments
//!   (`long_line.rs`).
//! - Segments behind a gap are dropped: the sender retransmits them.
//! - A stream whose first byte is no text is not FTP (usually TLS): nothing is buffered or rewritten. The server's
//!   first byte decides; a client's does not, until the server has answered in kind (`foreign.rs`).
//!
//! A client's line ends with LF, as some servers accept that. A server's line ends with CRLF only: otherwise a command
//! that the server echoes could pose as another line. A server's line that is too long, or contains NUL, CR or LF, is
//! never read. [`Reader::passed`] gets the first bytes of unread lines.

use super::seq_map::{SeqMap, TEXT};
use arrayvec::ArrayVec;
use line_position::Place;
use long_line::Long;
use output::Output;
use wire::ftp::{Command, Line, Reply};
use wire::tcp::SeqNumber;

mod foreign;
mod line_position;
mod lines;
mod long_line;
mod output;
mod retransmit;
mod speaker;
mod told;

pub use long_line::{Buffer, LONGEST};
pub use speaker::Speaker;
pub use told::ToldStream;

/// Bytes of the longest line that a stream stores itself. Such a line goes on in one piece.
const SHORT: usize = 240;

/// Furthest that an unread stream's sender may be ahead of the last segment seen. A guessed sequence number must not
/// move the stream.
const FURTHEST: u32 = 1 << 20;

/// Least payload of a segment that goes on: the longest text sent in one piece.
pub const LEAST_ROOM: usize = TEXT;

/// The state of one direction of a control connection.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Sequence number of the sender's next byte. All bytes before have gone on, are held, or are leaving.
    next: SeqNumber,
    /// Acknowledgement that the sender may have got: it sends no byte before it again.
    told: SeqNumber,
    /// Receiver's latest acknowledgement, in the receiver's numbers.
    heard: SeqNumber,
    seq_map: SeqMap,
    /// Held bytes, unless they are in `long`.
    held: [u8; SHORT],
    held_len: u16,
    long: Long,
    mode: Mode,
    /// Position of the next byte in its line.
    place: Place,
    /// Whether the sender has sent a FIN. The receiver gets it when all data has gone on.
    ended: bool,
    /// Whether the stream comes from another gate, and no data has come here.
    is_resumed: bool,
}

/// Treatment of the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The first byte of the stream tells whether it can be read.
    Beginning,
    /// The line may need rewriting.
    Reading,
    /// Unread up to the end of the line.
    Passing,
    /// Not FTP by its first byte: forwarded, except for line ends that no TLS client sends.
    Foreign,
    /// Unreadable: the rest of the stream is forwarded.
    Opaque,
}

/// A segment with data or FIN.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Sequence number of the first byte.
    pub sequence: SeqNumber,
    /// Data.
    pub data: &'a [u8],
    /// FIN: whether the stream ends behind the data.
    pub is_last: bool,
}

/// The consequence of a line.
// No box: it would allocate.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// Forwards the line.
    Keep,
    /// Forwards this line in its place, with the same line end.
    Replace(Line),
    /// Forwards the line, and all that follows unread.
    Opaque,
}

/// Reader of a stream's lines.
pub trait Reader {
    /// Judges a line that may matter, given without its end.
    fn judge(&mut self, line: &[u8]) -> Rewrite;

    /// An unread line has ended; `start` holds its first bytes, without line end. Not called for a line that is too
    /// long.
    fn passed(&mut self, start: &[u8]) {
        let _ = start;
    }

    /// The server's first byte is no text: neither direction can be read.
    fn is_foreign(&mut self) {}
}

impl<F: FnMut(&[u8]) -> Rewrite> Reader for F {
    fn judge(&mut self, line: &[u8]) -> Rewrite {
        self(line)
    }
}

/// The consequence of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// Goes on with other data.
    Forward {
        /// Sequence number of the first byte, in the receiver's numbers.
        sequence: SeqNumber,
        /// Bytes of data in the output.
        len: usize,
        /// FIN: whether the stream ends behind the data. If not, a FIN is removed.
        is_last: bool,
    },
    /// Nothing goes on; the sender gets an ACK in the receiver's name.
    Acknowledge {
        /// Acknowledgement number, in the sender's numbers.
        upto: SeqNumber,
    },
    /// Nothing goes on; the sender will retransmit.
    Absorb,
}

impl Speaker {
    fn may_matter(self, start: &[u8]) -> bool {
        match self {
            Speaker::Client => Command::may_begin(start),
            Speaker::Server => Reply::may_begin(start),
        }
    }
}

impl Stream {
    /// A stream whose first byte behind the SYN has sequence number `first`.
    pub fn new(first: SeqNumber) -> Stream {
        Stream {
            next: first,
            told: first,
            heard: first,
            seq_map: SeqMap::NONE,
            held: [0; SHORT],
            held_len: 0,
            long: Long::default(),
            mode: Mode::Beginning,
            place: Place::default(),
            ended: false,
            is_resumed: false,
        }
    }

    /// Borrows a buffer, if there is one, so that the next segment may begin a long line.
    pub fn borrow(&mut self, spare: &mut Vec<Buffer>) {
        self.long.borrow(spare);
    }

    /// Returns the buffer, unless it holds a line.
    pub fn give_back(&mut self, spare: &mut Vec<Buffer>) {
        self.long.give_back(spare);
    }

    /// Drops held bytes at the end of the connection.
    pub fn discard(&mut self) {
        self.held_len = 0;
        self.long.free();
    }

    /// Stops reading for good.
    pub fn leave_alone(&mut self) {
        self.mode = Mode::Opaque;
    }

    /// Whether the receiver has acknowledged everything, and the stream is between two lines.
    pub fn is_settled(&self) -> bool {
        let is_read = matches!(self.mode, Mode::Beginning | Mode::Reading);
        self.heard == self.front_received() && is_read && self.place.is_start()
    }

    /// Whether the segment carries new data.
    pub fn is_new(&self, sequence: SeqNumber, len: usize) -> bool {
        self.next.is_before(sequence.after(len as u32))
    }

    /// Whether `sequence` is the sender's next number, as far as the stream is followed.
    pub fn is_next(&self, sequence: SeqNumber) -> bool {
        let end = self.next.after(self.ended.into());
        !sequence.is_before(self.front()) && !end.is_before(sequence)
    }

    /// Maps the sequence number of a segment without data and FIN to the receiver's numbers.
    #[inline]
    pub fn shift_sequence(&self, sequence: SeqNumber) -> SeqNumber {
        if !self.front().is_before(sequence) {
            return self.seq_map.received(sequence);
        }
        let ahead = sequence.ahead_of(self.next);
        self.front_received().after(ahead.clamp(0, i32::from(self.is_end_forwarded())) as u32)
    }

    /// Maps the receiver's acknowledgement to the sender's numbers. It includes held bytes, which only the gate has.
    #[inline]
    pub fn unshift(&self, acknowledgement: SeqNumber) -> SeqNumber {
        let ahead = acknowledgement.ahead_of(self.front_received());
        let sent = match ahead {
            ..0 => self.seq_map.sent(acknowledgement)[0],
            // An acknowledgement of the whole line would stop the sender, and so the rest of the line.
            0.. if self.long.remaining() > 0 => self.front(),
            0.. => self.next.after(ahead.min(self.ended.into()) as u32),
        };
        sent.later(self.told)
    }

    /// Maps a SACK block to the sender's numbers. An edit, or a leaving line, counts only as a whole.
    pub fn unshift_block(&self, [left, right]: [SeqNumber; 2]) -> [SeqNumber; 2] {
        [
            self.long.ends(self.seq_map.sent(left)[1])[1],
            self.long.ends(self.seq_map.sent(right)[0])[0],
        ]
    }

    /// Notes the receiver's acknowledgement, in the receiver's numbers.
    #[inline]
    pub fn acknowledged(&mut self, acknowledgement: SeqNumber) {
        self.catch_up_with(acknowledgement);
        let most = self.front_received().after(self.is_end_forwarded().into());
        if acknowledgement.is_before(self.heard) || most.is_before(acknowledgement) {
            return;
        }
        self.told = self.unshift(acknowledgement);
        self.heard = acknowledgement;
        let left = self.long.leaving().map(|line| self.seq_map.received(line.end()));
        if left.is_some_and(|end| !acknowledgement.is_before(end)) {
            self.long.free();
        }
        self.seq_map.forget(acknowledgement);
    }

    /// Takes a segment. Each line that may matter is judged once, when it is complete. The data to send is in `out`,
    /// which has room for a full segment and at least for [`LEAST_ROOM`] bytes.
    pub fn push(
        &mut self,
        segment: Segment,
        speaker: Speaker,
        mut reader: impl Reader,
        out: &mut [u8],
    ) -> Pushed {
        let Segment { sequence, data, is_last } = segment;
        if !data.is_empty() {
            self.catch_up(sequence);
        }
        if data.is_empty() && !is_last {
            let sequence = self.shift_sequence(sequence);
            return Pushed::Forward { sequence, len: 0, is_last: false };
        }
        self.is_resumed = false;
        let end = sequence.after(data.len() as u32);
        if !self.told.is_before(end.after(is_last.into())) {
            return self.hear_again(end);
        }
        if self.next.is_before(sequence) {
            let is_far = sequence.since(self.next) > FURTHEST;
            if self.mode != Mode::Opaque || self.front() != self.next || self.ended || is_far {
                return Pushed::Absorb;
            }
            self.next = sequence;
        }
        let begin = self.beginning(&segment);
        let first = self.shift_sequence(begin);
        let mut out = Output::new(out);
        let is_whole = self.forward_again(begin, &segment, &mut out) && {
            let known = (self.next.since(sequence) as usize).min(data.len());
            let fresh = if self.ended { &[] } else { &data[known..] };
            self.forward(fresh, speaker, &mut reader, &mut out)
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

    /// Ends the stream and forwards held bytes. Returns whether all has gone on.
    fn end(&mut self, out: &mut Output) -> bool {
        self.ended = self.ended || self.held_len == 0 || self.release(&[], out);
        self.ended && self.long.forward(out)
    }

    /// Whether the receiver may have got the FIN.
    #[inline]
    fn is_end_forwarded(&self) -> bool {
        self.ended && self.long.remaining() == 0
    }

    /// First byte that has not gone on, in the sender's numbers.
    #[inline]
    fn front(&self) -> SeqNumber {
        self.next.before(u32::from(self.held_len) + u32::from(self.long.remaining()))
    }

    /// First byte that has not gone on, in the receiver's numbers.
    #[inline]
    fn front_received(&self) -> SeqNumber {
        self.seq_map.received(self.front())
    }
}

#[cfg(test)]
mod tests;
