//! Fragments of datagrams. Only the first fragment carries ports and so decides for all; fragments that come earlier
//! are held until then. Nothing is reassembled. The table has a fixed size; a datagram is forgotten when all of it has
//! passed, or after some seconds.

use crate::flow::FlowId;
use crate::flow::hash::Seed;
use crate::flow::key::Key;
use crate::flow::set_assoc::{EntryRef, SetAssoc};
use crate::flow::tuple::Tuple;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::tick::{PER_SECOND, Tick};
use crate::types::verdict::{Slot, Verdict};
use std::net::IpAddr;
use wire::ip::Fragment;

/// Most fragments that a worker holds.
pub const HELD: usize = 256;

/// Ticks until an incomplete datagram expires.
const PATIENCE: u32 = 2 * PER_SECOND;
/// Most datagrams in progress.
const DATAGRAMS: usize = 1024;
/// Bytes of the longest datagram (RFC 791, RFC 8200).
const LONGEST: usize = u16::MAX as usize;
/// Fragment offsets are multiples of so many bytes.
const GRAIN: usize = 8;

/// The decision for a datagram's fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The first fragment has not come.
    Unknown,
    /// Follow the path of the first fragment.
    Follows(FragmentPath),
    /// Share the verdict on the first fragment.
    Shares(Verdict),
}

impl Fate {
    /// Value of the entry compared with others, for eviction.
    fn worth(&self) -> u8 {
        match self {
            Fate::Unknown | Fate::Shares(_) => 0,
            Fate::Follows(FragmentPath { flow: FlowRef::Connection(..), .. }) => 1,
            Fate::Follows(FragmentPath { flow: FlowRef::Transfer(..), .. }) => 2,
        }
    }
}

/// The path of the first fragment, for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentPath {
    /// The flow.
    pub flow: FlowRef,
    /// The direction.
    pub direction: Direction,
    /// The datagram's new identification, where the source is translated.
    pub id: Option<u16>,
}

/// A flow, valid as long as it is found by the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowRef {
    /// A transfer, by its key.
    Transfer(FlowId, Key),
    /// A connection, by its tuple.
    Connection(FlowId, Tuple),
}

/// A datagram in progress.
#[derive(Clone)]
struct Entry {
    until: Tick,
    fate: Fate,
    /// Total length, once the last fragment has come.
    len: Option<usize>,
    /// End of the highest fragment so far.
    end: usize,
    /// Bitmap of received 8-byte blocks.
    seen: [u64; LONGEST.div_ceil(GRAIN * 64)],
    /// Bytes received.
    bytes: usize,
    /// Number of held fragments.
    held: u16,
}

impl Entry {
    /// A datagram without any fragment.
    fn new(until: Tick) -> Entry {
        let seen = [0; LONGEST.div_ceil(GRAIN * 64)];
        Entry { until, fate: Fate::Unknown, len: None, end: 0, seen, bytes: 0, held: 0 }
    }

    /// Records a fragment.
    fn take(&mut self, part: Fragment, len: usize) -> Result<(), FragmentError> {
        let end = part.offset + len;
        let grains = part.offset / GRAIN..end.div_ceil(GRAIN);
        let beyond = self.len.is_some_and(|all| end > all || (end == all) == part.more);
        // No earlier fragment may end behind the end.
        let short = !part.more && end < self.end;
        if beyond || short {
            return Err(FragmentError::Contradiction);
        }
        let known = grains.clone().filter(|&grain| self.has(grain)).count();
        match known {
            0 => {}
            // RFC 8200 §4.5 permits duplicate fragments.
            all if all == grains.len() => return Err(FragmentError::Repeated),
            _ => return Err(FragmentError::Contradiction),
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

/// Why a fragment is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FragmentError {
    /// A duplicate of an earlier fragment.
    Repeated,
    /// The fragment overlaps another one or exceeds the end: the whole datagram is dropped (RFC 5722; RFC 1858 asks for
    /// it where it matters).
    Contradiction,
    /// The fragment cannot belong to any datagram.
    Impossible,
}

/// The facts about a fragment that the table needs.
#[derive(Debug, Clone, Copy)]
pub struct FragmentInfo {
    /// Source and destination.
    pub ends: [IpAddr; 2],
    /// Protocol.
    pub protocol: u8,
    /// Position in the datagram.
    pub fragment: Fragment,
    /// Bytes of payload.
    pub len: usize,
}

impl FragmentInfo {
    /// Whether the fragment is possible: not empty, ending on an 8-byte boundary if more follow, within the longest
    /// datagram.
    fn is_possible(&self) -> bool {
        let Fragment { offset, more, .. } = self.fragment;
        let odd = more && !self.len.is_multiple_of(GRAIN);
        self.len > 0 && !odd && offset + self.len <= LONGEST
    }
}

/// Marks an unused slot.
const NOBODY: u64 = 0;

/// Reference to a datagram's entry, valid until the next lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatagramRef(EntryRef);

/// The fragment table of a worker. All memory is allocated at the start.
pub struct FragmentTable {
    /// Datagrams in progress, by a hash of addresses, protocol and identification.
    datagrams: SetAssoc<u64, Entry>,
    /// By slot: the datagram of the held fragment, and when it expires. A sender may reuse the identification.
    slots: Box<[(u64, Tick)]>,
    /// The slot that was filled first.
    oldest: usize,
    /// Slots whose fragments may go on.
    released: Vec<Slot>,
    seed: Seed,
}

impl FragmentTable {
    /// An empty table.
    pub fn new(seed: Seed) -> FragmentTable {
        FragmentTable {
            datagrams: SetAssoc::new(DATAGRAMS),
            slots: vec![(NOBODY, Tick(0)); HELD].into(),
            oldest: 0,
            released: Vec::with_capacity(HELD),
            seed,
        }
    }

    /// Records a fragment; finds or makes the entry of its datagram.
    ///
    /// # Errors
    ///
    /// The fragment must be dropped.
    pub fn record(&mut self, part: &FragmentInfo, now: Tick) -> Result<DatagramRef, FragmentError> {
        if !part.is_possible() {
            return Err(FragmentError::Impossible);
        }
        let name = self.name(part);
        let datagram = self.find(name, now).unwrap_or_else(|| self.make(name, now));
        let entry = self.datagrams.get_mut(datagram).ok_or(FragmentError::Impossible)?;
        let taken = entry.take(part.fragment, part.len);
        if taken == Err(FragmentError::Contradiction) {
            // Later fragments get the same verdict.
            entry.fate = Fate::Shares(DropReason::Fragment.into());
        }
        taken.map(|()| DatagramRef(datagram))
    }

    /// Finds the entry of a released fragment, if it still exists.
    pub fn record_released(&mut self, part: &FragmentInfo, now: Tick) -> Option<DatagramRef> {
        let datagram = self.find(self.name(part), now)?;
        self.uncount_held(datagram);
        Some(DatagramRef(datagram))
    }

    /// The decision for the datagram.
    pub fn fate(&self, DatagramRef(datagram): DatagramRef) -> Fate {
        self.datagrams.get(datagram).map_or(Fate::Unknown, |(_, entry)| entry.fate)
    }

    /// Sets the decision by the first fragment, and releases held fragments.
    pub fn decide(&mut self, DatagramRef(datagram): DatagramRef, fate: Fate) {
        let Some(entry) = self.datagrams.get_mut(datagram) else { return };
        entry.fate = fate;
        if entry.held > 0 {
            let mark = self.mark(datagram);
            for slot in (self.oldest..HELD).chain(0..self.oldest) {
                if self.slots[slot] == mark {
                    self.slots[slot].0 = NOBODY;
                    self.released.push(slot as Slot);
                }
            }
        }
    }

    /// A slot for a fragment that waits for the first one. If all slots are in use, the oldest held fragment is freed.
    pub fn hold(&mut self, DatagramRef(datagram): DatagramRef, now: Tick) -> Slot {
        let slot = self.oldest;
        self.oldest = (slot + 1) % HELD;
        let mark = self.mark(datagram);
        let before = std::mem::replace(&mut self.slots[slot], mark);
        if let Some(given_up) = self.find(before.0, now)
            && self.mark(given_up) == before
        {
            self.uncount_held(given_up);
        }
        if let Some(entry) = self.datagrams.get_mut(datagram) {
            entry.held += 1;
        }
        slot as Slot
    }

    /// Forgets the datagram if all of it has passed.
    pub fn pass(&mut self, DatagramRef(datagram): DatagramRef) {
        let is_over = |(_, entry): (_, &Entry)| entry.is_whole() && entry.held == 0;
        if self.datagrams.get(datagram).is_some_and(is_over) {
            self.datagrams.remove(datagram);
        }
    }

    /// Slots of released fragments, in order of arrival; the caller removes them.
    pub fn released(&mut self) -> &mut Vec<Slot> {
        &mut self.released
    }

    fn find(&self, name: u64, now: Tick) -> Option<EntryRef> {
        let datagram = self.datagrams.find(name, &name)?;
        let (_, entry) = self.datagrams.get(datagram)?;
        (!entry.until.is_due(now)).then_some(datagram)
    }

    /// Makes an entry. Order of preference: unused or expired; of no known flow; of a connection, which any host may
    /// open; of a transfer. Among equals, the oldest.
    fn make(&mut self, name: u64, now: Tick) -> EntryRef {
        let worth = |entry: &Entry| {
            (!entry.until.is_due(now)).then(|| (entry.fate.worth(), entry.until.since(now)))
        };
        self.datagrams.insert(name, name, Entry::new(now.after(PATIENCE)), worth)
    }

    /// The mark of a datagram's held fragments in their slots.
    fn mark(&self, datagram: EntryRef) -> (u64, Tick) {
        let entry = self.datagrams.get(datagram);
        entry.map_or((NOBODY, Tick(0)), |(&name, entry)| (name, entry.until))
    }

    /// Counts one held fragment less.
    fn uncount_held(&mut self, datagram: EntryRef) {
        if let Some(entry) = self.datagrams.get_mut(datagram) {
            entry.held = entry.held.saturating_sub(1);
        }
    }

    fn name(&self, part: &FragmentInfo) -> u64 {
        let [source, destination] = part.ends;
        self.seed.of_datagram(source, destination, part.protocol, part.fragment.id).max(1)
    }
}
