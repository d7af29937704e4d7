//! Layout of an address's ports: blocks, each owned by one RSS entry or idle; lines of blocks; shares of lines, one per
//! entry.

use crate::net::rss::{ENTRIES, RssEntry};

/// The lowest allocated port; those below are the system's.
pub const FIRST: u16 = 1024;

/// Ports per block.
pub const IN_BLOCK: u16 = 16;
/// Blocks per address.
pub const BLOCKS: usize = (1 << 16) / IN_BLOCK as usize;
/// Blocks per line, which is a cache line. Whole lines belong to one entry, so that few workers write to each.
pub const IN_LINE: u16 = 16;
const FIRST_LINE: u16 = FIRST / IN_BLOCK / IN_LINE;
const LINES: u16 = BLOCKS as u16 / IN_LINE;

/// The first lines of each share are never lent: so many.
const KEPT: u16 = 1;

/// A block: its owner, as the entry's place plus one, and the bitmap of ports in use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Block(pub u32);

impl Block {
    /// An entry's block with these ports in use.
    pub fn of(entry: RssEntry, taken: u16) -> Block {
        Block((u32::from(entry.place()) + 1) << 16 | u32::from(taken))
    }

    /// The owner.
    #[inline]
    pub fn owner(self) -> Option<RssEntry> {
        RssEntry::at(((self.0 >> 16) as u16).wrapping_sub(1))
    }

    /// Bitmap of ports in use.
    pub fn taken(self) -> u16 {
        self.0 as u16
    }

    /// Whether ports of the block may be allocated for an entry.
    pub fn is_open_to(self, entry: RssEntry) -> bool {
        self.taken() == 0 || (self.owner() == Some(entry) && self.taken() != u16::MAX)
    }
}

/// Lines that are searched for an entry.
#[derive(Clone, Copy)]
pub enum Share {
    /// The entry's own share.
    Home,
    /// Lines of other shares that may be borrowed.
    Lent,
}

impl Share {
    /// Whether a line belongs to this share.
    pub fn has(self, line: u16, entry: RssEntry) -> bool {
        let number = line - FIRST_LINE;
        let is_home = number % ENTRIES == entry.place();
        match self {
            Share::Home => is_home,
            Share::Lent => !is_home && number / ENTRIES >= KEPT,
        }
    }
}

/// The blocks of a share, from that of port `next` round to it again, with the first bit to examine in each.
pub fn blocks(part: Share, next: u16, entry: RssEntry) -> impl Iterator<Item = (u16, u16)> {
    let next = next.max(FIRST);
    let line = next / IN_BLOCK / IN_LINE;
    let lines = (line..LINES).chain(FIRST_LINE..=line).filter(move |&line| part.has(line, entry));
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
