//! Takeover of a download: its server has died, and another one sends the same file from the start. The gate
//! acknowledges the blocks in the client's place, up to the block that the client has.

use arrayvec::ArrayVec;
use wire::tftp::{self, Message, Options};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The options that a server granted. The new server must grant the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Terms {
    /// Low bits of the file's size in bytes; [`Terms::UNSAID`] if the server did not tell it.
    size: u32,
    windowsize: u16,
    blksize: u16,
}

row_layout!(Terms, 8: size 0, windowsize 4, blksize 6);

impl Terms {
    const UNSAID: u32 = u32::MAX;
    /// Marks that each ACK carries its window.
    const BY_ACK: u16 = 0;

    /// Terms of a server that granted no options (RFC 1350).
    pub const PLAIN: Terms =
        Terms { size: Terms::UNSAID, windowsize: 1, blksize: tftp::DEFAULT_BLKSIZE };

    /// Terms of an OACK.
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

    /// Low bits of the file's size in bytes, if the server told it.
    pub fn size(&self) -> Option<u32> {
        Some(self.size).filter(|&size| size != Terms::UNSAID)
    }

    /// Blocks per ACK. Where each ACK carries its window, the gate asks for one block.
    pub fn windowsize(&self) -> u16 {
        if self.windows_by_ack() { 1 } else { self.windowsize }
    }

    /// Bytes of a full block.
    pub fn blksize(&self) -> u16 {
        self.blksize
    }

    /// The ACK of a block, with its window where ACKs carry one.
    pub fn ack(&self, block: u16, window: u8) -> ArrayVec<u8, 5> {
        let mut ack = ArrayVec::from_iter(tftp::ack(block));
        if self.windows_by_ack() {
            ack.push(window.max(1));
        }
        ack
    }

    /// Whether each ACK carries its window (`msftwindow`).
    fn windows_by_ack(&self) -> bool {
        self.windowsize == Terms::BY_ACK
    }

    /// Whether both terms can be those of the same file, block by block.
    fn fit(&self, other: &Terms) -> bool {
        self == other
    }
}

/// Progress of a new server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Takeover {
    /// The last block received, counted on beyond 65535.
    pub at: u32,
    /// Blocks received since the last ACK.
    unacknowledged: u16,
    /// Whether the OACK has come.
    granted: u8,
    /// Whether an originated message waits for it ([`crate::state::originate_queue`]).
    pub queued: u8,
}

row_layout!(Takeover, 8: at 0, unacknowledged 4, granted 6, queued 7);

/// The consequence of a new server's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// No consequence.
    Nothing,
    /// The gate must acknowledge up to [`Takeover::at`].
    Acknowledge,
    /// The gate must acknowledge, and the server has reached the client's block.
    Arrived,
    /// The next block for the client.
    Next,
    /// The server does not have the same file, or none.
    Mismatch,
}

/// The client's position in the file.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// The last block that the client acknowledged, counted on beyond 65535.
    pub block: u32,
    /// Whether block numbers wrap to 0; otherwise to 1.
    pub wraps_to_zero: bool,
    /// Terms of the first server.
    pub terms: Terms,
}

impl Takeover {
    /// The state before the server's first message.
    pub const START: Takeover = Takeover { at: 0, unacknowledged: 0, granted: 0, queued: 0 };

    /// Starts over with another server.
    pub fn begin(&mut self) {
        *self = Takeover { queued: self.queued, ..Takeover::START };
    }

    /// Judges the server's message.
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
            // The client may have received the next block under its other number.
            1 if self.at >= goal.block && wraps && goal.wraps_to_zero => Heard::Mismatch,
            // The numbering after the wrap is the server's choice; the client follows.
            _ if self.at >= goal.block && wraps && block < 2 => Heard::Next,
            _ if self.at >= goal.block && block == next as u16 => Heard::Next,
            _ if self.at < goal.block && block == next as u16 => self.take(next, len, goal),
            // From here on, the server's numbers differ from the client's.
            0 | 1 if wraps => Heard::Mismatch,
            // The gate's ACK was lost.
            _ if block == self.at as u16 && self.at > 0 => self.acknowledge(goal),
            _ => Heard::Nothing,
        }
    }

    /// Takes a full block that the client already has.
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
