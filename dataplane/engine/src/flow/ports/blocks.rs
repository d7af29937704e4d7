//! How an address's ports lie: in blocks, which are one worker's or idle, and these in lines, of which each worker has a
//! part to look through first.

use super::Taker;

/// The first port; those below are left to the system.
pub const FIRST: u16 = 1024;

/// Ports in a block.
pub const IN_BLOCK: u16 = 16;
/// Blocks of an address.
pub const BLOCKS: usize = (1 << 16) / IN_BLOCK as usize;
/// Blocks in a line: that of a cache. Whole lines are one worker's, so that few write to each.
pub const IN_LINE: u16 = 16;
const FIRST_LINE: u16 = FIRST / IN_BLOCK / IN_LINE;
const LINES: u16 = BLOCKS as u16 / IN_LINE;

/// Of each worker's lines, one in so many is never lent.
const KEPT: u16 = 4;

/// A block's owner, one more than the worker's number, and which of its ports are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Block(pub u32);

impl Block {
    /// A worker's block with these ports taken.
    pub fn of(worker: u16, taken: u16) -> Block {
        Block((u32::from(worker) + 1) << 16 | u32::from(taken))
    }

    /// The worker that has it, if one has.
    #[inline]
    pub fn owner(self) -> Option<u16> {
        ((self.0 >> 16) as u16).checked_sub(1)
    }

    /// The ports that are taken, a bit each.
    pub fn taken(self) -> u16 {
        self.0 as u16
    }

    /// Whether a worker may take ports of it.
    pub fn is_open_to(self, worker: u16) -> bool {
        self.taken() == 0 || (self.owner() == Some(worker) && self.taken() != u16::MAX)
    }
}

/// The lines that a worker looks through.
#[derive(Clone, Copy)]
pub enum Part {
    /// Those that are its own to ask first.
    Own,
    /// Those of others that may be borrowed.
    Lent,
}

impl Part {
    /// Whether a line is in this worker's part.
    pub fn has(self, line: u16, by: Taker) -> bool {
        let number = line - FIRST_LINE;
        let is_own = number % by.workers == by.worker;
        match self {
            Part::Own => is_own,
            Part::Lent => !is_own && !(number / by.workers).is_multiple_of(KEPT),
        }
    }
}

/// The blocks of a part, from that of a port on and round to it again, and the first place to look at in each.
pub fn blocks(part: Part, next: u16, by: Taker) -> impl Iterator<Item = (u16, u16)> {
    let next = next.max(FIRST);
    let line = next / IN_BLOCK / IN_LINE;
    let lines = (line..LINES).chain(FIRST_LINE..=line).filter(move |&line| part.has(line, by));
    lines.enumerate().flat_map(move |(turn, its)| {
        let first = its * IN_LINE * IN_BLOCK;
        let from = if turn == 0 && its == line { next } else { first };
        let whole = from / IN_BLOCK + 1..(its + 1) * IN_LINE;
        [(from / IN_BLOCK, from % IN_BLOCK)].into_iter().chain(whole.map(|block| (block, 0)))
    })
}

/// The port behind this one.
pub fn following(port: u16) -> u16 {
    port.checked_add(1).unwrap_or(FIRST)
}

/// A port's place in its block, as a bit.
pub fn bit(port: u16) -> u16 {
    1 << (port % IN_BLOCK)
}
