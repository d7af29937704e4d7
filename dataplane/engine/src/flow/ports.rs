//! The ports of one SNAT address: which worker has each, which of them transfers have, and what may still come to those
//! that are free.
//!
//! Workers share them without a lock. Sixteen ports are a block, one word that says whose it is and which of it are
//! taken; a worker that wants a port of a block which is its own, or of which none is taken, swaps that word. Each begins
//! with a part of the blocks that is its own to ask first, so that they don't meet. One whose part is used up
//! borrows idle blocks of the others, and they take them back as soon as they are idle again; but not
//! all: a part stays with who it is meant for.

mod blocks;
mod rest;

pub use rest::{Pending, Rest};

use super::FlowId;
use crate::alg::tftp::earlier::Earlier;
use crate::tables::ServerId;
use crate::tick::Tick;
use blocks::{BLOCKS, Block, FIRST, IN_BLOCK, Part, bit, blocks, following};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use wire::ip::PROTOCOL_TCP;

/// Ports that are looked at for one where nothing is pending, before the best of these is taken; and for one whose
/// holder can give way.
const LOOKS: usize = 64;

/// A SNAT address and its ports, which all snapshots and workers share.
#[derive(Debug, Clone)]
pub struct SnatAddress {
    /// The address.
    pub address: IpAddr,
    ports: Arc<[Ports; 2]>,
}

impl From<IpAddr> for SnatAddress {
    /// All its ports are free.
    fn from(address: IpAddr) -> SnatAddress {
        SnatAddress { address, ports: Arc::new([Ports::new(), Ports::new()]) }
    }
}

impl SnatAddress {
    /// The ports of a protocol of IP's: TCP's are others than UDP's.
    #[inline]
    pub fn of(&self, protocol: u8) -> &Ports {
        &self.ports[kind(protocol)]
    }
}

/// The place of a protocol's ports among an address's.
#[inline]
pub fn kind(protocol: u8) -> usize {
    usize::from(protocol == PROTOCOL_TCP)
}

/// An address's ports of one protocol.
pub struct Ports {
    blocks: Box<[AtomicU32; BLOCKS]>,
    /// Of each port that is taken, its [`Holder`]; of the others, their [`Rest`].
    words: Box<[AtomicU64]>,
}

/// What has a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A transfer of TFTP, or whatever has not been noted yet, with this server.
    Transfer(ServerId),
    /// A connection.
    Connection(FlowId),
}

impl Holder {
    fn to_bits(self) -> u64 {
        match self {
            Holder::Transfer(id) => id.into(),
            Holder::Connection(id) => 1 << 32 | u64::from(id),
        }
    }

    fn from_bits(bits: u64) -> Holder {
        if bits >> 32 == 0 {
            Holder::Transfer(bits as ServerId)
        } else {
            Holder::Connection(bits as FlowId)
        }
    }
}

/// Who takes ports, and when.
#[derive(Debug, Clone, Copy)]
pub struct Taker {
    /// The worker's number.
    pub worker: u16,
    /// How many workers there are.
    pub workers: u16,
    /// The time.
    pub now: Tick,
}

/// How far one worker has got with the ports of an address.
#[derive(Debug, Clone, Copy, Default)]
pub struct Turn {
    /// Behind the ports that it has taken last, of its own part and of others'.
    next: [u16; 2],
    /// When no port was left: until the next tick only what comes back is looked at.
    empty_since: Option<Tick>,
    /// A port that has come back since.
    back: Option<u16>,
}

impl Turn {
    /// From behind this port on: those before may rest.
    pub fn behind(port: u16) -> Turn {
        Turn { next: [following(port); 2], ..Turn::default() }
    }
}

/// A port that was free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The port.
    pub port: u16,
    /// Transfers before, of which its server may still send to it.
    pub earlier: Earlier,
}

impl Ports {
    fn new() -> Ports {
        Ports {
            blocks: Box::new([const { AtomicU32::new(0) }; BLOCKS]),
            words: (0..=u16::MAX).map(|_| AtomicU64::default()).collect(),
        }
    }

    /// The worker that has a port, if one has.
    #[inline]
    pub fn owner(&self, port: u16) -> Option<u16> {
        self.block(port, Relaxed).owner()
    }

    /// Takes a port that is to be used towards this server: the one that has been free for longest, as far as can be
    /// seen, and to which nothing of it may still come; else one where that can be told by its TID.
    #[inline]
    pub fn take(&self, turn: &mut Turn, server: ServerId, by: Taker) -> Option<Taken> {
        let next = turn.next[Part::Own as usize];
        if self.block(next, Acquire).owner() == Some(by.worker)
            && self.rest(next).pending(server, by.now) == Pending::Nothing
            && self.seize(next, by.worker)
        {
            self.note(next, Holder::Transfer(server));
            turn.next[Part::Own as usize] = following(next);
            return Some(Taken { port: next, earlier: Earlier::NONE });
        }
        self.search(turn, server, by)
    }

    /// Takes a port where the next one can't be taken.
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
        let mut search = Search { best: None, looks: 0 };
        for part in [Part::Own, Part::Lent] {
            let next = &mut turn.next[part as usize];
            if let Some(taken) = self.look(part, next, server, by, &mut search) {
                return Some(taken);
            }
        }
        if search.looks == 0 {
            turn.empty_since = Some(by.now);
        }
        search.best.and_then(|(_, port)| self.take_again(port, server, by))
    }

    /// Gives a port back that this worker has.
    pub fn give_back(&self, turn: &mut Turn, port: u16, rest: Rest, by: Taker) {
        if self.has(port, by.worker) {
            self.words[usize::from(port)].store(rest.to_bits(), Relaxed);
            self.word(port).fetch_and(!u32::from(bit(port)), Release);
            turn.back = Some(port);
        }
    }

    /// The port, which is taken, is this one's. Who looks for one that can give way has to see whether it still is.
    #[inline]
    pub fn note(&self, port: u16, holder: Holder) {
        self.words[usize::from(port)].store(holder.to_bits(), Relaxed);
    }

    /// Of what has ports of this worker's, the first that may give way (as `may_go` says) of some that have had theirs for
    /// longest.
    pub fn expendable<T>(
        &self,
        turn: &mut Turn,
        by: Taker,
        mut may_go: impl FnMut(u16, Holder) -> Option<T>,
    ) -> Option<T> {
        [Part::Own, Part::Lent].into_iter().find_map(|part| {
            let next = &mut turn.next[part as usize];
            let mine = blocks(part, *next, by).filter_map(|(block, from)| {
                let known = Block(self.blocks[usize::from(block)].load(Relaxed));
                (known.owner() == Some(by.worker)).then_some((block, from, known.taken()))
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

    /// Whether this worker can have had the port before it was started.
    pub fn can_be_of(&self, port: u16, worker: u16) -> bool {
        port >= FIRST && (self.has(port, worker) || self.block(port, Relaxed).is_open_to(worker))
    }

    /// This worker has had the port since before it was started.
    pub fn claim(&self, port: u16, worker: u16) {
        let _ = self.has(port, worker) || self.seize(port, worker);
    }

    /// Looks through the ports of a part for one where nothing is pending, and takes it.
    fn look(
        &self,
        part: Part,
        next: &mut u16,
        server: ServerId,
        by: Taker,
        search: &mut Search,
    ) -> Option<Taken> {
        for (block, from) in blocks(part, *next, by) {
            let known = Block(self.blocks[usize::from(block)].load(Acquire));
            if !known.is_open_to(by.worker) {
                continue;
            }
            let ports = (from..IN_BLOCK).map(|place| block * IN_BLOCK + place);
            for port in ports.filter(|&port| known.taken() & bit(port) == 0) {
                if search.looks == LOOKS {
                    // Nobody is kept waiting by the same ones for ever.
                    *next = if search.best.is_none() { port } else { *next };
                    return None;
                }
                search.looks += 1;
                let rest = self.rest(port);
                match rest.pending(server, by.now) {
                    Pending::Nothing if self.seize(port, by.worker) => {
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

    /// Takes this port, unless what may still come to it could be anything.
    fn take_again(&self, port: u16, server: ServerId, by: Taker) -> Option<Taken> {
        let earlier = match self.rest(port).pending(server, by.now) {
            Pending::Nothing => Earlier::NONE,
            Pending::From(earlier) => earlier,
            Pending::Anything => return None,
        };
        self.seize(port, by.worker).then_some(Taken { port, earlier })
    }

    /// The port is this worker's from now on. Answers whether it was free, in a block that is the worker's or idle.
    fn seize(&self, port: u16, worker: u16) -> bool {
        let known = self.block(port, Relaxed);
        let is_free = known.is_open_to(worker) && known.taken() & bit(port) == 0;
        let taken = Block::of(worker, known.taken() | bit(port));
        // Acquire: of an idle block, another worker has written what its ports' ends were.
        is_free && self.word(port).compare_exchange(known.0, taken.0, AcqRel, Relaxed).is_ok()
    }

    fn has(&self, port: u16, worker: u16) -> bool {
        let block = self.block(port, Relaxed);
        block.owner() == Some(worker) && block.taken() & bit(port) != 0
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

/// Not every port.
impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// What a search has seen so far.
struct Search {
    /// Of the free ports where something is pending whose TID is known, the one that rests for longest, and how long.
    best: Option<(u32, u16)>,
    /// Free ports that were looked at.
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
