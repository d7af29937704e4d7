//! Catching up: the server of a download has died, and another one sends the same file from its start. We
//! acknowledge it in the client's place, up to the block that the client has; what follows is the client's.

use arrayvec::ArrayVec;
use wire::tftp::{self, Message, Options};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a server granted: another one has to grant the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Terms {
    /// The lowest bits of the file's size in bytes; [`Terms::UNSAID`] if it did not say.
    size: u32,
    windowsize: u16,
    blksize: u16,
}

impl Terms {
    const UNSAID: u32 = u32::MAX;
    /// In place of a window: each ACK says it.
    const BY_ACK: u16 = 0;

    /// Those of a server that granted no options (RFC 1350).
    pub const PLAIN: Terms =
        Terms { size: Terms::UNSAID, windowsize: 1, blksize: tftp::DEFAULT_BLKSIZE };

    /// Those of an OACK.
    pub fn of(options: Options) -> Terms {
        Terms {
            size: options.tsize().map_or(Terms::UNSAID, |size| size as u32),
            windowsize: match options.value(tftp::MSFTWINDOW) {
                Some(_) => Terms::BY_ACK,
                None => options.windowsize().unwrap_or(Terms::PLAIN.windowsize),
            },
            blksize: options.blksize().unwrap_or(Terms::PLAIN.blksize),
        }
    }

    /// Blocks that an ACK has sent. Where the ACK itself says that, ours asks for one.
    pub fn windowsize(&self) -> u16 {
        if self.windows_by_ack() { 1 } else { self.windowsize }
    }

    /// Bytes of a full block.
    pub fn blksize(&self) -> u16 {
        self.blksize
    }

    /// The ACK of a block as a client says it, which asks for so many blocks where an ACK can.
    pub fn ack(&self, block: u16, window: u8) -> ArrayVec<u8, 5> {
        let mut ack = ArrayVec::from_iter(tftp::ack(block));
        if self.windows_by_ack() {
            ack.push(window.max(1));
        }
        ack
    }

    /// Whether each ACK says how many blocks it has sent (`msftwindow`).
    fn windows_by_ack(&self) -> bool {
        self.windowsize == Terms::BY_ACK
    }

    /// Whether a file with these terms can be the same, block by block.
    fn fit(&self, other: &Terms) -> bool {
        self == other
    }
}

/// How far a server has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct CatchUp {
    /// The last block that came, counted on where its number wraps.
    pub at: u32,
    /// Blocks that came since the last ACK.
    unacknowledged: u16,
    /// Whether its options have come.
    granted: u8,
    /// Whether something waits to be said about it ([`crate::outbox`]).
    pub queued: u8,
}

/// What becomes of a message of the server that catches up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// It is to be acknowledged up to [`CatchUp::at`].
    Acknowledge,
    /// The same, and that is as far as the client is.
    Arrived,
    /// The client has not had it: it is the next block.
    Next,
    /// The server does not have the same file, or none.
    Mismatch,
}

/// Where the client is, and how it came there.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// The last block that it has acknowledged, counted on where its number wraps.
    pub block: u32,
    /// Whether the number wraps to 0; else it wraps to 1.
    pub wraps_to_zero: bool,
    /// What its first server granted.
    pub terms: Terms,
}

impl CatchUp {
    /// The server has not said anything.
    pub const START: CatchUp = CatchUp { at: 0, unacknowledged: 0, granted: 0, queued: 0 };

    /// Another server begins.
    pub fn begin(&mut self) {
        *self = CatchUp { queued: self.queued, ..CatchUp::START };
    }

    /// The server says this.
    pub fn hear(&mut self, message: Message, goal: &Goal) -> Heard {
        match message {
            Message::Oack(options) => self.hear_terms(&Terms::of(options), goal),
            Message::Data { block, len } => self.hear_block(block, len, goal),
            Message::Error { .. } => Heard::Mismatch,
            Message::Ack { .. } | Message::Request(_) => Heard::Nothing,
        }
    }

    fn hear_terms(&mut self, terms: &Terms, goal: &Goal) -> Heard {
        match self.at {
            _ if !terms.fit(&goal.terms) => Heard::Mismatch,
            0 => {
                self.granted = 1;
                self.acknowledge(goal)
            }
            _ => Heard::Nothing,
        }
    }

    fn hear_block(&mut self, block: u16, len: u16, goal: &Goal) -> Heard {
        if self.granted == 0 {
            if !Terms::PLAIN.fit(&goal.terms) {
                return Heard::Mismatch;
            }
            self.granted = 1;
        }
        let wraps = self.at as u16 == u16::MAX;
        let next = self.at + 1 + u32::from(wraps && !goal.wraps_to_zero);
        match block {
            // The client may have had the next block by its other number.
            1 if self.at >= goal.block && wraps && goal.wraps_to_zero => Heard::Mismatch,
            // It may go on counting as it likes: so will the client.
            _ if self.at >= goal.block && wraps && block < 2 => Heard::Next,
            _ if self.at >= goal.block && block == next as u16 => Heard::Next,
            _ if self.at < goal.block && block == next as u16 => self.take(next, len, goal),
            // From here on its blocks are not those that the client counts.
            0 | 1 if wraps => Heard::Mismatch,
            // Our ACK was lost.
            _ if block == self.at as u16 && self.at > 0 => self.acknowledge(goal),
            _ => Heard::Nothing,
        }
    }

    /// The client has had this block, and it was a full one.
    fn take(&mut self, block: u32, len: u16, goal: &Goal) -> Heard {
        if len != goal.terms.blksize {
            return Heard::Mismatch;
        }
        self.at = block;
        self.unacknowledged += 1;
        if block >= goal.block || self.unacknowledged >= goal.terms.windowsize() {
            self.acknowledge(goal)
        } else {
            Heard::Nothing
        }
    }

    fn acknowledge(&mut self, goal: &Goal) -> Heard {
        self.unacknowledged = 0;
        if self.at >= goal.block { Heard::Arrived } else { Heard::Acknowledge }
    }
}

#[cfg(test)]
mod tests;
