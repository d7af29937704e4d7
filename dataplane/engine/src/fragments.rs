//! Datagrams that come in parts. Only the first part names ports, so it decides on the way of all; parts
//! that come before it are held until it does, and never put together. The table has a fixed size and
//! forgets a datagram after some seconds, or when all of it has passed.

use crate::flow::FlowId;
use crate::flow::key::{Key, Seed};
use crate::flow::tuple::Tuple;
use crate::reason::Reason;
use crate::stage::classify::Side;
use crate::tick::{PER_SECOND, Tick};
use crate::verdict::Verdict;
use std::net::IpAddr;
use wire::ip::Fragment;

/// Parts that a worker can hold at once.
pub const HELD: usize = 256;
/// Where a held part lies, below [`HELD`].
pub type Slot = u16;

/// Ticks that the rest of a datagram is waited for.
const PATIENCE: u32 = 2 * PER_SECOND;
const SETS: usize = 256;
const WAYS: usize = 4;
/// No datagram is longer (RFC 791, RFC 8200).
const LONGEST: usize = u16::MAX as usize;
/// Parts begin at multiples of so many bytes.
const GRAIN: usize = 8;

/// Where the parts of a datagram go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Not known before the first one has come.
    Unknown,
    /// After the first one.
    After(Lead),
    /// What became of the first one.
    As(Verdict),
}

impl Way {
    /// What it is worth to know it, against others.
    fn worth(&self) -> u8 {
        match self {
            Way::Unknown | Way::As(_) => 0,
            Way::After(Lead { of: Of::Connection(..), .. }) => 1,
            Way::After(Lead { of: Of::Transfer(..), .. }) => 2,
        }
    }
}

/// What the first part has found for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lead {
    /// What the datagram is part of.
    pub of: Of,
    /// Who sends.
    pub side: Side,
    /// The datagram's number from now on, where the source is translated.
    pub id: Option<u16>,
}

/// What a datagram is part of, as long as it is found so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// A transfer, by its key.
    Transfer(FlowId, Key),
    /// A connection, by its tuple.
    Connection(FlowId, Tuple),
}

/// A datagram of which parts have come.
#[derive(Clone)]
struct Entry {
    /// Of addresses, protocol and number.
    name: u64,
    until: Tick,
    way: Way,
    /// Its length, once the last part has told.
    len: Option<usize>,
    /// How far its parts reach.
    end: usize,
    /// Which eights of bytes have come.
    seen: [u64; LONGEST.div_ceil(GRAIN * 64)],
    /// Bytes that have come.
    bytes: usize,
    /// Parts of it that are held.
    held: u16,
}

impl Entry {
    const FREE: Entry = Entry {
        name: NOBODY,
        until: Tick(0),
        way: Way::Unknown,
        len: None,
        end: 0,
        seen: [0; LONGEST.div_ceil(GRAIN * 64)],
        bytes: 0,
        held: 0,
    };

    /// Takes a part into account.
    fn take(&mut self, part: Fragment, len: usize) -> Result<(), Misfit> {
        let end = part.offset + len;
        let grains = part.offset / GRAIN..end.div_ceil(GRAIN);
        let beyond = self.len.is_some_and(|all| end > all || (end == all) == part.more);
        // None of those before may lie behind the end.
        let short = !part.more && end < self.end;
        if beyond || short {
            return Err(Misfit::Contradiction);
        }
        let known = grains.clone().filter(|&grain| self.has(grain)).count();
        match known {
            0 => {}
            // RFC 8200 §4.5 allows for a part that comes twice.
            all if all == grains.len() => return Err(Misfit::Repeated),
            _ => return Err(Misfit::Contradiction),
        }
        if !part.more {
            self.len = Some(end);
        }
        self.end = self.end.max(end);
        grains.for_each(|grain| self.seen[grain / 64] |= 1 << (grain % 64));
        self.bytes += len;
        Ok(())
    }

    fn has(&self, grain: usize) -> bool {
        self.seen[grain / 64] >> (grain % 64) & 1 == 1
    }

    fn is_whole(&self) -> bool {
        self.len == Some(self.bytes)
    }
}

/// Why a part goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// It has come before.
    Repeated,
    /// It overlaps another one, or lies behind the end: all of the datagram is given up (RFC 5722; RFC 1858
    /// asks as much where it matters).
    Contradiction,
    /// It is no part of any datagram.
    Impossible,
}

/// A part, as far as the table is concerned.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Sender and receiver.
    pub ends: [IpAddr; 2],
    /// What it carries.
    pub protocol: u8,
    /// Its place in its datagram.
    pub fragment: Fragment,
    /// Its bytes.
    pub len: usize,
}

impl Part {
    /// Whether a datagram can have it: it holds something, ends where another one can begin, and not too late.
    fn is_possible(&self) -> bool {
        let Fragment { offset, more, .. } = self.fragment;
        let odd = more && !self.len.is_multiple_of(GRAIN);
        self.len > 0 && !odd && offset + self.len <= LONGEST
    }
}

/// The name of no datagram.
const NOBODY: u64 = 0;

/// A datagram's place in the table, until the next one is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(usize);

/// One worker's table. All memory is taken at the start.
pub struct Fragments {
    entries: Box<[Entry]>,
    /// Whose part is held in each slot: the name, and until when that is waited for. A sender may use it again.
    slots: Box<[(u64, Tick)]>,
    /// The slot that was taken longest ago.
    oldest: usize,
    /// Slots whose parts may go on.
    released: Vec<Slot>,
    seed: Seed,
}

impl Fragments {
    /// An empty table.
    pub fn new(seed: Seed) -> Fragments {
        Fragments {
            entries: vec![Entry::FREE; SETS * WAYS].into(),
            slots: vec![(NOBODY, Tick(0)); HELD].into(),
            oldest: 0,
            released: Vec::with_capacity(HELD),
            seed,
        }
    }

    /// A part has come: finds its datagram's place, or makes it one.
    ///
    /// # Errors
    ///
    /// It is not to go on.
    pub fn meet(&mut self, part: &Part, now: Tick) -> Result<Place, Misfit> {
        if !part.is_possible() {
            return Err(Misfit::Impossible);
        }
        let name = self.name(part);
        let place = self.find(name, now).unwrap_or_else(|| self.make(name, now));
        let entry = &mut self.entries[place];
        let taken = entry.take(part.fragment, part.len);
        if taken == Err(Misfit::Contradiction) {
            // Its later parts come to this, too.
            entry.way = Way::As(Reason::Fragment.into());
        }
        taken.map(|()| Place(place))
    }

    /// A part that was held comes again: finds its datagram's place, if that is still there.
    pub fn meet_again(&mut self, part: &Part, now: Tick) -> Option<Place> {
        let place = self.find(self.name(part), now)?;
        let held = &mut self.entries[place].held;
        *held = held.saturating_sub(1);
        Some(Place(place))
    }

    /// Where the datagram's parts go.
    pub fn way(&self, Place(place): Place) -> Way {
        self.entries[place].way
    }

    /// The first part has decided: those that are held may go on.
    pub fn decide(&mut self, Place(place): Place, way: Way) {
        let entry = &mut self.entries[place];
        entry.way = way;
        if entry.held > 0 {
            for slot in (self.oldest..HELD).chain(0..self.oldest) {
                if self.slots[slot] == (entry.name, entry.until) {
                    self.slots[slot].0 = NOBODY;
                    self.released.push(slot as Slot);
                }
            }
        }
    }

    /// A slot for a part that waits for the first one. What still lies there has waited longest of all,
    /// and makes room.
    pub fn hold(&mut self, Place(place): Place, now: Tick) -> Slot {
        let slot = self.oldest;
        self.oldest = (slot + 1) % HELD;
        let Entry { name, until, .. } = self.entries[place];
        let (before, waited) = std::mem::replace(&mut self.slots[slot], (name, until));
        if let Some(given_up) = self.find(before, now).map(|place| &mut self.entries[place])
            && given_up.until == waited
        {
            given_up.held = given_up.held.saturating_sub(1);
        }
        self.entries[place].held += 1;
        slot as Slot
    }

    /// Forgets the datagram if all of it has passed.
    pub fn pass(&mut self, Place(place): Place) {
        if self.entries[place].is_whole() && self.entries[place].held == 0 {
            self.entries[place] = Entry::FREE;
        }
    }

    /// Slots whose parts may go on, in the order in which they came: to be taken out.
    pub fn released(&mut self) -> &mut Vec<Slot> {
        &mut self.released
    }

    fn find(&self, name: u64, now: Tick) -> Option<usize> {
        let is_it = |place: &usize| {
            let entry = &self.entries[*place];
            name != NOBODY && entry.name == name && !entry.until.is_due(now)
        };
        set(name).find(is_it)
    }

    /// A new entry: where none is, or one is out of time; else in the place of one that is of nothing, as far as it is
    /// known; then of a connection, which anybody may begin, and only then of a transfer; of several, the oldest.
    fn make(&mut self, name: u64, now: Tick) -> usize {
        let worth = |&place: &usize| match &self.entries[place] {
            entry if entry.name == NOBODY || entry.until.is_due(now) => (0, 0),
            Entry { way, until, .. } => (way.worth(), until.since(now)),
        };
        let first = set(name).start;
        let place = set(name).min_by_key(worth).unwrap_or(first);
        self.entries[place] = Entry { name, until: now.after(PATIENCE), ..Entry::FREE };
        place
    }

    fn name(&self, part: &Part) -> u64 {
        let [source, destination] = part.ends;
        self.seed.of_datagram(source, destination, part.protocol, part.fragment.id).max(1)
    }
}

/// The entries that a datagram can have.
fn set(name: u64) -> std::ops::Range<usize> {
    let first = name as usize % SETS * WAYS;
    first..first + WAYS
}
