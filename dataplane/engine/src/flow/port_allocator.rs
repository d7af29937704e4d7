//! The ports of a SNAT address: which clients have each, which are in use, and which packets may still come to the free
//! ones.
//!
//! Workers share them without locks. Sixteen ports form a block: one word with its owner and a bitmap. The owner is the
//! [RSS entry](RssEntry) of clients, not their worker: a port's flow can go on in a process or a gate with another number
//! of workers. A worker allocates by compare-and-swap, from blocks of the client's entry or from idle ones. Entries begin
//! with separate shares, so that workers do not contend. An entry whose share is used up borrows idle blocks of other
//! shares, which get them back as soon as they are idle again. Part of each share is never lent.

mod blocks;
mod rest;
mod taker;
mod usage;

pub use rest::{Pending, Rest};
pub use taker::Taker;
pub use usage::{PORTS, Usage};

use super::FlowId;
use crate::alg::tftp::earlier::Earlier;
use crate::net::rss::{ENTRIES, RssEntry};
use crate::types::id::ServerId;
use crate::types::tick::Tick;
use blocks::{BLOCKS, Block, FIRST, IN_BLOCK, Share, bit, blocks, following};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use wire::ip::PROTOCOL_TCP;

/// Ports of a share examined for one without pending packets, before the best candidate is taken; also those examined
/// for a holder to evict.
const LOOKS: usize = 64;

/// A SNAT address and its ports, shared by all snapshots and workers.
#[derive(Debug, Clone)]
pub struct SnatAddress {
    /// The address.
    pub address: IpAddr,
    ports: Arc<[PortAllocator; 2]>,
}

impl From<IpAddr> for SnatAddress {
    /// A SNAT address with all ports free.
    fn from(address: IpAddr) -> SnatAddress {
        SnatAddress { address, ports: Arc::new([PortAllocator::new(), PortAllocator::new()]) }
    }
}

impl SnatAddress {
    /// The ports of an IP protocol: TCP and UDP have separate ones.
    #[inline]
    pub fn of(&self, protocol: u8) -> &PortAllocator {
        &self.ports[kind(protocol)]
    }
}

/// Index of an IP protocol's ports.
#[inline]
pub fn kind(protocol: u8) -> usize {
    usize::from(protocol == PROTOCOL_TCP)
}

/// The ports of one address and protocol.
pub struct PortAllocator {
    blocks: Box<[AtomicU32; BLOCKS]>,
    /// By port: its [`Holder`] while it is in use, its [`Rest`] while it is free.
    words: Box<[AtomicU64]>,
}

/// The holder of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A TFTP transfer with this server, or a holder that has not been noted yet.
    Transfer(ServerId),
    /// A connection.
    Connection(FlowId),
}

impl Holder {
    fn to_bits(self) -> u64 {
        match self {
            Holder::Transfer(id) => id.0.into(),
            Holder::Connection(id) => 1 << 32 | u64::from(id),
        }
    }

    fn from_bits(bits: u64) -> Holder {
        if bits >> 32 == 0 {
            Holder::Transfer(ServerId(bits as u16))
        } else {
            Holder::Connection(bits as FlowId)
        }
    }
}

/// A worker's allocation positions at an address, by [`kind`] and RSS entry.
#[derive(Debug, Clone)]
pub struct Turns(Box<[[Turn; ENTRIES as usize]; 2]>);

impl Default for Turns {
    /// Positions at the beginning.
    fn default() -> Turns {
        Turns(Box::new([[Turn::default(); ENTRIES as usize]; 2]))
    }
}

impl Turns {
    /// The position for clients of this entry.
    #[inline]
    pub fn of(&mut self, protocol: u8, entry: RssEntry) -> &mut Turn {
        &mut self.0[kind(protocol)][usize::from(entry.place())]
    }
}

/// The allocation position for one RSS entry.
#[derive(Debug, Clone, Copy, Default)]
pub struct Turn {
    /// Next ports to try: in the entry's own share, and in the others'.
    next: [u16; 2],
    /// Tick when no port was left: until the next tick, only released ports are tried.
    empty_since: Option<Tick>,
    /// A port released since.
    back: Option<u16>,
}

impl Turn {
    /// Allocation continues behind this port, so that recently freed ports keep cooling down.
    pub fn behind(port: u16) -> Turn {
        Turn { next: [following(port); 2], ..Turn::default() }
    }
}

/// An allocated port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The port.
    pub port: u16,
    /// Earlier transfers whose server may still send to the port.
    pub earlier: Earlier,
}

impl PortAllocator {
    fn new() -> PortAllocator {
        PortAllocator {
            blocks: Box::new([const { AtomicU32::new(0) }; BLOCKS]),
            words: (0..=u16::MAX).map(|_| AtomicU64::default()).collect(),
        }
    }

    /// The RSS entry that has the port's block.
    #[inline]
    pub fn owner(&self, port: u16) -> Option<RssEntry> {
        self.block(port, Relaxed).owner()
    }

    /// Allocates a port towards `server`: the one that seems free for longest and has no pending packets from that
    /// server; else one whose pending packets can be told by their TID.
    #[inline]
    pub fn take(&self, turn: &mut Turn, server: ServerId, by: Taker) -> Option<Taken> {
        let next = turn.next[Share::Home as usize];
        if self.block(next, Acquire).owner() == Some(by.entry)
            && self.rest(next).pending(server, by.now) == Pending::Nothing
            && self.seize(next, by.entry)
        {
            self.note(next, Holder::Transfer(server));
            turn.next[Share::Home as usize] = following(next);
            return Some(Taken { port: next, earlier: Earlier::NONE });
        }
        self.search(turn, server, by)
    }

    /// Allocates a port if the next one is unusable.
    #[inline(never)]
    fn search(&self, turn: &mut Turn, server: ServerId, by: Taker) -> Option<Taken> {
        let taken = self.find(turn, server, by)?;
        self.note(taken.port, Holder::Transfer(server));
        Some(taken)
    }

    fn find(&self, turn: &mut Turn, server: ServerId, by: Taker) -> Option<Taken> {
        if turn.empty_since == Some(by.now) {
            return turn.back.take().and_then(|port| self.take_again(port, server, by));
        }
        *turn = Turn { next: turn.next, ..Turn::default() };
        // Each share by itself: resting ports of one's own must not hide the idle ones that others lend.
        let mut searches = [Search::default(); 2];
        for (part, search) in [Share::Home, Share::Lent].into_iter().zip(&mut searches) {
            let next = &mut turn.next[part as usize];
            if let Some(taken) = self.search_share(part, next, server, by, search) {
                return Some(taken);
            }
        }
        if searches.iter().all(|search| search.looks == 0) {
            turn.empty_since = Some(by.now);
        }
        let [home, lent] = searches.map(|search| search.best);
        home.max(lent).and_then(|(_, port)| self.take_again(port, server, by))
    }

    /// Releases a port, which must be one of the calling worker's.
    pub fn give_back(&self, turn: &mut Turn, port: u16, rest: Rest) {
        if self.block(port, Relaxed).taken() & bit(port) != 0 {
            self.words[usize::from(port)].store(rest.to_bits(), Relaxed);
            self.word(port).fetch_and(!u32::from(bit(port)), Release);
            turn.back = Some(port);
        }
    }

    /// Notes the holder of a port in use. A caller that looks for a holder to evict must check that it still has the
    /// port.
    #[inline]
    pub fn note(&self, port: u16, holder: Holder) {
        self.words[usize::from(port)].store(holder.to_bits(), Relaxed);
    }

    /// The first holder that may be evicted (by `may_go`), among some that have had ports of this entry for longest.
    pub fn expendable<T>(
        &self,
        turn: &mut Turn,
        by: Taker,
        mut may_go: impl FnMut(u16, Holder) -> Option<T>,
    ) -> Option<T> {
        [Share::Home, Share::Lent].into_iter().find_map(|part| {
            let next = &mut turn.next[part as usize];
            let mine = blocks(part, *next, by.entry).filter_map(|(block, from)| {
                let known = Block(self.blocks[usize::from(block)].load(Relaxed));
                (known.owner() == Some(by.entry)).then_some((block, from, known.taken()))
            });
            let taken = mine.flat_map(|(block, from, taken)| {
                let ports = (from..IN_BLOCK).map(move |place| block * IN_BLOCK + place);
                ports.filter(move |&port| taken & bit(port) != 0)
            });
            taken.take(LOOKS).find_map(|port| {
                *next = following(port);
                may_go(port, Holder::from_bits(self.words[usize::from(port)].load(Relaxed)))
            })
        })
    }

    /// Whether a flow that an earlier process has left can have the port: its block is open to the client's entry. A
    /// worker asks before it claims any.
    pub fn can_be_of(&self, port: u16, entry: RssEntry) -> bool {
        port >= FIRST && self.block(port, Relaxed).is_open_to(entry)
    }

    /// Claims the port of a flow that an earlier process has left. The first flow of a block gives it to its entry; others
    /// of the worker may be of other entries, as builds before 0.1.0 gave blocks to workers. Release 0.2.0 need not know
    /// that.
    pub fn claim(&self, port: u16, entry: RssEntry) {
        let owner = self.block(port, Relaxed);
        let owner = if owner.taken() == 0 { entry } else { owner.owner().unwrap_or(entry) };
        self.seize(port, owner);
    }

    /// Takes the port of a flow that another gate has told of, for this entry. Returns whether it could be had.
    pub fn take_told(&self, port: u16, entry: RssEntry, holder: Holder) -> bool {
        let is_taken = port >= FIRST && self.seize(port, entry);
        if is_taken {
            self.note(port, holder);
        }
        is_taken
    }

    /// The holder of a port in use that is this entry's.
    pub fn holder(&self, port: u16, entry: RssEntry) -> Option<Holder> {
        let block = self.block(port, Relaxed);
        let is_in_use = block.owner() == Some(entry) && block.taken() & bit(port) != 0;
        is_in_use.then(|| Holder::from_bits(self.words[usize::from(port)].load(Relaxed)))
    }

    /// Searches a share for a port without pending packets, and allocates it.
    fn search_share(
        &self,
        part: Share,
        next: &mut u16,
        server: ServerId,
        by: Taker,
        search: &mut Search,
    ) -> Option<Taken> {
        for (block, from) in blocks(part, *next, by.entry) {
            let known = Block(self.blocks[usize::from(block)].load(Acquire));
            if !known.is_open_to(by.entry) {
                continue;
            }
            let ports = (from..IN_BLOCK).map(|place| block * IN_BLOCK + place);
            for port in ports.filter(|&port| known.taken() & bit(port) == 0) {
                if search.looks == LOOKS {
                    // The search must not start with the same unusable ports for ever.
                    *next = if search.best.is_none() { port } else { *next };
                    return None;
                }
                search.looks += 1;
                let rest = self.rest(port);
                match rest.pending(server, by.now) {
                    Pending::Nothing if self.seize(port, by.entry) => {
                        *next = following(port);
                        return Some(Taken { port, earlier: Earlier::NONE });
                    }
                    Pending::From(_) => search.note(rest.age(by.now), port),
                    Pending::Nothing | Pending::Anything => {}
                }
            }
        }
        None
    }

    /// Allocates this port, unless its pending packets cannot be told from an answer.
    fn take_again(&self, port: u16, server: ServerId, by: Taker) -> Option<Taken> {
        let earlier = match self.rest(port).pending(server, by.now) {
            Pending::Nothing => Earlier::NONE,
            Pending::From(earlier) => earlier,
            Pending::Anything => return None,
        };
        self.seize(port, by.entry).then_some(Taken { port, earlier })
    }

    /// Takes the port for this entry. Returns whether it was free, in a block that is the entry's or idle.
    fn seize(&self, port: u16, entry: RssEntry) -> bool {
        let known = self.block(port, Relaxed);
        let is_free = known.is_open_to(entry) && known.taken() & bit(port) == 0;
        let taken = Block::of(entry, known.taken() | bit(port));
        // Acquire: another worker has written the ends of an idle block's ports.
        is_free && self.word(port).compare_exchange(known.0, taken.0, AcqRel, Relaxed).is_ok()
    }

    fn rest(&self, port: u16) -> Rest {
        Rest::from_bits(self.words[usize::from(port)].load(Relaxed))
    }

    #[inline]
    fn block(&self, port: u16, order: std::sync::atomic::Ordering) -> Block {
        Block(self.word(port).load(order))
    }

    #[inline]
    fn word(&self, port: u16) -> &AtomicU32 {
        &self.blocks[usize::from(port / IN_BLOCK)]
    }
}

/// Omits the ports.
impl fmt::Debug for PortAllocator {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// Progress of a search in one share.
#[derive(Clone, Copy, Default)]
struct Search {
    /// The free port with pending packets of known TIDs that has rested for longest, behind its rest in ticks.
    best: Option<(u32, u16)>,
    /// Free ports examined.
    looks: usize,
}

impl Search {
    fn note(&mut self, age: u32, port: u16) {
        if self.best.is_none_or(|(best, _)| age > best) {
            self.best = Some((age, port));
        }
    }
}

#[cfg(test)]
mod tests;
