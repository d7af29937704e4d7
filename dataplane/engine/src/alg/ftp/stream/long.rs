//! A line that is too long for a stream's own memory is held in a buffer that is lent to it. If it goes on as it was, it
//! stays there until the receiver has all of it: for each segment of the sender's, as much of it goes on as that has
//! room for. Its sender is never told that all of it has come before the receiver says so; so there are such segments.

use super::output::Output;
use super::{LONGEST, is_before};

/// Memory for such a line.
pub type Buffer = Box<[u8; LONGEST]>;

/// A stream's long line, if there is one.
#[derive(Debug, Clone, Default)]
pub(super) struct Long {
    buffer: Option<Buffer>,
    state: State,
}

#[derive(Debug, Clone, Default)]
enum State {
    /// There is none.
    #[default]
    Free,
    /// What is held of the line that is read is in the buffer.
    Held,
    /// A line in the buffer goes on as it was.
    Leaving(Leaving),
}

/// A line that goes on as it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    /// Where the sender has its first byte.
    pub start: u32,
    len: u16,
    /// So much of it has gone on.
    said: u16,
}

impl Leaving {
    /// Where the sender has what comes behind it.
    pub fn end(&self) -> u32 {
        self.start.wrapping_add(self.len.into())
    }
}

impl Long {
    pub fn borrow(&mut self, spare: &mut Vec<Buffer>) {
        self.buffer = self.buffer.take().or_else(|| spare.pop());
    }

    pub fn give_back(&mut self, spare: &mut Vec<Buffer>) {
        match self.state {
            State::Free => spare.extend(self.buffer.take()),
            State::Held | State::Leaving(_) => {}
        }
    }

    /// What is in the buffer is no longer needed.
    pub fn free(&mut self) {
        self.state = State::Free;
    }

    /// The line that is read becomes long; so much is held of it. Answers whether there is a buffer for that.
    pub fn hold(&mut self, held: &[u8]) -> bool {
        match (&self.state, &mut self.buffer) {
            (State::Free, Some(buffer)) => buffer[..held.len()].copy_from_slice(held),
            (State::Held, _) => {}
            (State::Free, None) | (State::Leaving(_), _) => return false,
        }
        self.state = State::Held;
        true
    }

    /// Where it is held, if it is.
    pub fn held(&self) -> Option<&Buffer> {
        self.buffer.as_ref().filter(|_| matches!(self.state, State::Held))
    }

    /// The same, to be added to.
    pub fn held_mut(&mut self) -> Option<&mut Buffer> {
        self.buffer.as_mut().filter(|_| matches!(self.state, State::Held))
    }

    /// What is held goes on as it was.
    pub fn leave(&mut self, start: u32, len: u16) {
        self.state = State::Leaving(Leaving { start, len, said: 0 });
    }

    /// The line that goes on as it was, until the receiver has it.
    pub fn leaving(&self) -> Option<Leaving> {
        match self.state {
            State::Leaving(line) => Some(line),
            State::Free | State::Held => None,
        }
    }

    /// Bytes of it that are yet to go on.
    #[inline]
    pub fn unsaid(&self) -> u16 {
        self.leaving().map_or(0, |line| line.len - line.said)
    }

    /// As much of it goes on as there is room for. Answers whether that is all.
    pub fn say(&mut self, out: &mut Output) -> bool {
        let (State::Leaving(line), Some(buffer)) = (&mut self.state, &self.buffer) else {
            return true;
        };
        let before = out.len();
        let is_all = out.put(&buffer[usize::from(line.said)..usize::from(line.len)]);
        line.said += (out.len() - before) as u16;
        is_all
    }

    /// What has gone on of it, from this place on; `None`: that place is not in it.
    pub fn said_from(&self, at: u32) -> Option<&[u8]> {
        let line = self.leaving()?;
        let part = at.wrapping_sub(line.start) as usize..usize::from(line.said);
        let buffer = self.buffer.as_ref().filter(|_| !part.is_empty())?;
        buffer.get(part)
    }

    /// The ends of the line that leaves, if this place is inside of it.
    pub fn ends(&self, at: u32) -> [u32; 2] {
        let inside = |line: &Leaving| is_before(line.start, at) && is_before(at, line.end());
        self.leaving().filter(inside).map_or([at; 2], |line| [line.start, line.end()])
    }
}
