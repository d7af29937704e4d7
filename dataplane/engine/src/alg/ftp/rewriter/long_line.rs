//! Lines too long for a stream's own memory, held in a borrowed buffer. One that is not rewritten stays there until the
//! receiver has acknowledged all of it: each segment of the sender carries as much as it has room for. The sender gets
//! no acknowledgement of the whole line before that, so such segments keep coming.

use super::output::Output;
use wire::tcp::SeqNumber;

/// Bytes of the longest line that is read, line end included.
pub const LONGEST: usize = 4096;

/// A buffer for a long line.
pub type Buffer = Box<[u8; LONGEST]>;

/// The long line of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Long {
    buffer: Option<Buffer>,
    state: LineState,
}

#[derive(Debug, Clone, Default)]
enum LineState {
    /// No long line.
    #[default]
    Free,
    /// The buffer holds the line being read.
    Held,
    /// The buffer holds a line that is being forwarded unchanged.
    Leaving(Leaving),
}

/// A line that is being forwarded unchanged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    /// First byte, in the sender's numbers.
    pub start: SeqNumber,
    len: u16,
    /// Bytes that have gone on.
    forwarded: u16,
}

impl Leaving {
    /// The byte behind the line, in the sender's numbers.
    pub fn end(&self) -> SeqNumber {
        self.start.after(self.len.into())
    }
}

impl Long {
    pub fn borrow(&mut self, spare: &mut Vec<Buffer>) {
        self.buffer = self.buffer.take().or_else(|| spare.pop());
    }

    pub fn give_back(&mut self, spare: &mut Vec<Buffer>) {
        match self.state {
            LineState::Free => spare.extend(self.buffer.take()),
            LineState::Held | LineState::Leaving(_) => {}
        }
    }

    /// Frees the buffer's contents.
    pub fn free(&mut self) {
        self.state = LineState::Free;
    }

    /// The line being read becomes long; `held` is its beginning. Returns whether there is a buffer.
    pub fn hold(&mut self, held: &[u8]) -> bool {
        match (&self.state, &mut self.buffer) {
            (LineState::Free, Some(buffer)) => buffer[..held.len()].copy_from_slice(held),
            (LineState::Held, _) => {}
            (LineState::Free, None) | (LineState::Leaving(_), _) => return false,
        }
        self.state = LineState::Held;
        true
    }

    /// The buffer, if it holds the line being read.
    pub fn held(&self) -> Option<&Buffer> {
        self.buffer.as_ref().filter(|_| matches!(self.state, LineState::Held))
    }

    /// The buffer to append to, if it holds the line being read.
    pub fn held_mut(&mut self) -> Option<&mut Buffer> {
        self.buffer.as_mut().filter(|_| matches!(self.state, LineState::Held))
    }

    /// Begins to forward the held line.
    pub fn leave(&mut self, start: SeqNumber, len: u16) {
        self.state = LineState::Leaving(Leaving { start, len, forwarded: 0 });
    }

    /// The line being forwarded, until the receiver has it.
    pub fn leaving(&self) -> Option<Leaving> {
        match self.state {
            LineState::Leaving(line) => Some(line),
            LineState::Free | LineState::Held => None,
        }
    }

    /// Bytes that have not gone on.
    #[inline]
    pub fn remaining(&self) -> u16 {
        self.leaving().map_or(0, |line| line.len - line.forwarded)
    }

    /// Forwards as much as there is room for. Returns whether that completes the line.
    pub fn forward(&mut self, out: &mut Output) -> bool {
        let (LineState::Leaving(line), Some(buffer)) = (&mut self.state, &self.buffer) else {
            return true;
        };
        let before = out.len();
        let is_all = out.put(&buffer[usize::from(line.forwarded)..usize::from(line.len)]);
        line.forwarded += (out.len() - before) as u16;
        is_all
    }

    /// Forwarded bytes from `at` on; `None`: outside of the line.
    pub fn forwarded_from(&self, at: SeqNumber) -> Option<&[u8]> {
        let line = self.leaving()?;
        let part = at.since(line.start) as usize..usize::from(line.forwarded);
        let buffer = self.buffer.as_ref().filter(|_| !part.is_empty())?;
        buffer.get(part)
    }

    /// Both ends of the line being forwarded, if `at` lies within it.
    pub fn ends(&self, at: SeqNumber) -> [SeqNumber; 2] {
        let inside = |line: &Leaving| line.start.is_before(at) && at.is_before(line.end());
        self.leaving().filter(inside).map_or([at; 2], |line| [line.start, line.end()])
    }
}
