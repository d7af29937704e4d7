//! Layout of an address's ports: blocks, each owned by one worker or idle; lines of blocks; shares of lines, one per
//! worker.

use super::taker::Taker;

/// The lowest allocated port; those below are the system's.
pub const FIRST: u16 = 1024;

/// Ports per block.
pub const IN_BLOCK: u16 = 16;
/// Blocks per address.
pub const BLOCKS: usize = (1 << 16) / IN_BLOCK as usize;
/// Blocks per line, which is a cache line. Whole lines belong to one worker, so that few workers write to each.
pub const IN_LINE: u16 = 16;
const FIRST_LINE: u16 = FIRST / IN_BLOCK / IN_LINE;
const LINES: u16 = BLOCKS as u16 / IN_LINE;

/// One of so many lines of a share is never lent.
const KEPT: u16 = 4;

/// A block: its owner, as worker number plus one, and the bitmap of ports in use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Block(pub u32);

impl Block {
    /// A worker's block with these ports in use.
    pub fn of(worker: u16, taken: u16) -> Block {
        Block((u32::from(worker) + 1) << 16 | u32::from(taken))
    }

    /// The owner.
    #[inline]
    pub fn owner(self) -> Option<u16> {
        ((self.0 >> 16) as u16).checked_sub(1)
    }

    /// Bitmap of ports in use.
    pub fn taken(self) -> u16 {
        self.0 as u16
    }

    /// Whether a worker may allocate from the block.
    pub fn is_open_to(self, worker: u16) -> bool {
        self.taken() == 0 || (self.owner() == Some(worker) && self.taken() != u16::MAX)
    }
}

/// Lines that a worker searches.
#[derive(Clone, Copy)]
pub enum Share {
    /// The worker's own share.
    Ours,
    /// Lines of other shares that may be borrowed.
    Lent,
}

impl Share {
    /// Whether a line belongs to this share.
    pub fn has(self, line: u16, by: Taker) -> bool {
        let number = line - FIRST_LINE;
        let is_in_share = number % by.workers == by.worker;
        match self {
            Share::Ours => is_in_share,
            Share::Lent => !is_in_share && !(number / by.workers).is_multiple_of(KEPT),
        }
    }
}

/// The blocks of a share, from that of port `next` round to it again, with the first bit to examine in each.
pub fn blocks(part: Share, next: u16, by: Taker) -> impl Iterator<Item = (u16, u16)> {
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

/// The port's bit in its block.
pub fn bit(port: u16) -> u16 {
    1 << (port % IN_BLOCK)
}
