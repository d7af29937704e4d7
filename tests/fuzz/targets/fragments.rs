//! Fragments of a few datagrams, in any order and at any time, against a trivial table.
#![no_main]

use arbitrary::Arbitrary;
use engine::flow::fragment_table::{Fate, FragmentError, FragmentInfo, FragmentTable, HELD};
use engine::flow::hash::Seed;
use engine::types::drop_reason::DropReason;
use engine::types::tick::Tick;
use engine::types::verdict::Verdict;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use wire::ip::Fragment;

#[derive(Debug, Clone, Copy, Arbitrary)]
struct Step {
    /// Ticks before the fragment.
    wait: u8,
    datagram: u8,
    /// Offset in units of eight bytes.
    offset: u8,
    len: u8,
    more: bool,
}

/// Few enough for all to have an entry.
const DATAGRAMS: u8 = 4;
/// Ticks until an incomplete datagram expires.
const PATIENCE: u32 = 20;
/// The decision after a contradiction (RFC 5722).
const GIVEN_UP: Fate = Fate::Shares(Verdict::Drop(DropReason::Fragment));
const ENDS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100))];

/// A datagram and the tick of its first fragment: identifications are reused.
type Name = (u8, Tick);

/// The received part of a datagram.
struct Known {
    born: Tick,
    came: Vec<Range<usize>>,
    len: Option<usize>,
    has_first: bool,
    /// Whether overlapping or impossible fragments came.
    given_up: bool,
}

fuzz_target!(|steps: Vec<Step>| {
    let mut table = FragmentTable::new(Seed([1, 2]));
    let mut known: BTreeMap<u8, Known> = BTreeMap::new();
    let mut held: BTreeMap<u16, (Name, FragmentInfo)> = BTreeMap::new();
    let mut now = Tick(1000);
    for step in steps {
        now = now.after(u32::from(step.wait % 8));
        let datagram = step.datagram % DATAGRAMS;
        known.retain(|_, known| now.since(known.born) < PATIENCE);
        let part = part(step, datagram);
        let met = table.record(&part, now);
        if met == Err(FragmentError::Impossible) {
            assert!(part.len == 0 || part.fragment.more);
            continue;
        }
        let new =
            || Known { born: now, came: vec![], len: None, has_first: false, given_up: false };
        let entry = known.entry(datagram).or_insert_with(new);
        entry.given_up |= met == Err(FragmentError::Contradiction);
        let Ok(place) = met else { continue };

        let name = (datagram, entry.born);
        let start = part.fragment.offset;
        let range = start..start + part.len;
        for other in &entry.came {
            assert!(other.end <= range.start || range.end <= other.start, "{other:?} {range:?}");
        }
        entry.has_first |= start == 0;
        entry.len = entry.len.or((!part.fragment.more).then_some(range.end));
        entry.came.push(range);
        assert!(entry.came.iter().all(|range| entry.len.is_none_or(|len| range.end <= len)));

        match table.fate(place) {
            fate if entry.given_up => assert_eq!(fate, GIVEN_UP),
            Fate::Unknown if start == 0 => table.decide(place, Fate::Shares(Verdict::Kernel)),
            Fate::Unknown => {
                assert!(!entry.has_first);
                let slot = table.hold(place, now);
                assert!(usize::from(slot) < HELD);
                held.insert(slot, (name, part));
            }
            Fate::Shares(_) | Fate::Follows(_) => assert!(entry.has_first),
        }
        table.pass(place);
        for slot in std::mem::take(table.released()) {
            let (whose, part) = held.remove(&slot).expect("a slot is released once");
            assert_eq!(whose, name, "only those of this datagram");
            if let Some(place) = table.record_released(&part, now) {
                assert_ne!(table.fate(place), Fate::Unknown);
                table.pass(place);
            }
        }
        let come: usize = known[&datagram].came.iter().map(Range::len).sum();
        let waits = held.values().any(|(whose, _)| *whose == name);
        if known[&datagram].len == Some(come) && !waits {
            known.remove(&datagram);
        }
    }
});

fn part(step: Step, datagram: u8) -> FragmentInfo {
    let offset = usize::from(step.offset) * 8;
    let len = usize::from(step.len) * if step.more { 8 } else { 1 };
    let fragment = Fragment { id: datagram.into(), offset, more: step.more };
    FragmentInfo { ends: ENDS, protocol: 17, fragment, len }
}
