//! A worker's counters in memory that outlives the process, so that totals go on after a restart. First come those of the
//! worker, then an array for each kind of backends' and services' counters.

use super::counter::Counter;
use super::histogram::{ANSWER_MS, DURATION_MS, SIZE};
use super::room::Room;
use super::{Counters, Drops, Load, Packets, Refusals, Transfers};
use crate::flow::rows::{Row, Rows};
use crate::types::drop_reason::DropReason;
use crossbeam::utils::CachePadded;
use zerocopy::{FromBytes, IntoBytes, KnownLayout};

/// More than a worker can count in years, at whatever rate; no sum of so many overflows.
const MOST: u64 = 1 << 56;

/// More frames than a worker can have in hand, bursts and rings together.
const IN_HAND: u64 = 1 << 20;

impl Counters {
    /// Uses memory of [`Room::size`] bytes, aligned to eight. Zeroes are counters at zero.
    ///
    /// # Panics
    ///
    /// The memory has another size or alignment.
    pub fn mapped(memory: &'static mut [u8], room: Room) -> Counters {
        assert_eq!(memory.len(), room.size(), "memory of another size");
        let [packets, drops, load, lost, backends, answers, refusals, services] =
            split(memory, room);
        Counters {
            packets: Row::Mapped(one(packets)),
            drops: Row::Mapped(one(drops)),
            load: Row::Mapped(one(load)),
            lost_records: Row::Mapped(one(lost)),
            occupancy: CachePadded::default(),
            backends: Rows::Mapped(all(backends)),
            answers: Rows::Mapped(all(answers)),
            refusals: Rows::Mapped(all(refusals)),
            services: Rows::Mapped(all(services)),
        }
    }
}

/// The memory's parts.
fn split(memory: &mut [u8], room: Room) -> [&mut [u8]; 8] {
    let mut rest = memory;
    room.parts().map(|len| {
        let (part, behind) = std::mem::take(&mut rest).split_at_mut(len);
        rest = behind;
        part
    })
}

/// The memory as one set of counters.
fn one<T: FromBytes + IntoBytes + KnownLayout>(memory: &mut [u8]) -> &mut T {
    let Ok(set) = T::mut_from_bytes(memory) else { unreachable!("of its size, and aligned") };
    set
}

/// The memory as an array of sets.
fn all<T: FromBytes + IntoBytes + KnownLayout>(memory: &mut [u8]) -> &mut [T] {
    let Ok(sets) = <[T]>::mut_from_bytes(memory) else {
        unreachable!("a multiple of their size, and aligned")
    };
    sets
}

/// Whether the counters in this memory can be a worker's, whatever it did when it was killed: nothing went that had not come,
/// and nothing ended that had not begun. The memory is aligned to eight bytes.
///
/// # Panics
///
/// The memory has another size or alignment.
pub fn is_sound(memory: &mut [u8], room: Room) -> bool {
    let [packets, drops, load, lost, backends, answers, refusals, services] = split(memory, room);
    let (packets, drops): (&mut Packets, &mut Drops) = (one(packets), one(drops));
    let backends: &mut [Transfers] = all(backends);
    let is_possible = |counter: &Counter| counter.value() < MOST;
    let rest: [&mut [Counter]; 5] = [load, lost, answers, refusals, services].map(all);
    let are_possible = packets.counters().all(is_possible)
        && drops.counters().all(is_possible)
        && backends.iter().all(|set| set.counters().all(is_possible))
        && rest.iter().all(|part| part.iter().all(is_possible));
    if !are_possible {
        return false;
    }
    let in_hand = packets.came().checked_sub(packets.went() + drops.total());
    in_hand.is_some_and(|in_hand| in_hand < IN_HAND)
        && backends.iter().all(|set| set.ended.value() <= set.entered())
}

/// Copies the counters of an earlier process, which had the room `from`, to zeroed memory with the room `to`.
///
/// # Panics
///
/// A slice is shorter than its room.
pub fn carry_over(saved: &[u8], from: Room, memory: &mut [u8], to: Room) {
    let (mut old, mut new) = (0, 0);
    for (had, has) in from.parts().into_iter().zip(to.parts()) {
        let len = had.min(has);
        memory[new..new + len].copy_from_slice(&saved[old..old + len]);
        (old, new) = (old + had, new + has);
    }
}

/// Counts the frames that killed workers had in hand, or in a ring from one to another, as dropped, so that each frame has
/// one verdict again.
pub fn drop_interrupted(workers: &[Counters]) {
    let sum = |of: fn(&Packets) -> &Counter| -> u64 {
        workers.iter().map(|one| of(&one.packets).value()).sum()
    };
    let (given, taken) = (sum(|packets| &packets.handed_over), sum(|packets| &packets.taken_over));
    // Frames are counted as handed over when the other worker may have them already.
    let mut uncounted = taken.saturating_sub(given);
    for Counters { packets, drops, .. } in workers {
        let in_hand = packets.came().saturating_sub(packets.went() + drops.total());
        let handed_over = in_hand.min(uncounted);
        uncounted -= handed_over;
        packets.handed_over.add(handed_over);
        drops.of(DropReason::Interrupted).add(in_hand - handed_over);
    }
    let in_rings = given.saturating_sub(taken);
    if let Some(Counters { packets, drops, .. }) = workers.last() {
        packets.taken_over.add(in_rings);
        drops.of(DropReason::Interrupted).add(in_rings);
    }
}

/// The meaning of the memory: counters of two processes are the same where this is the same.
pub fn layout() -> String {
    let names = [Packets::NAMES, Load::NAMES, Transfers::NAMES, Refusals::NAMES].concat();
    let drops: Vec<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    let sizes = Room { backends: 1, services: 1 }.parts();
    let order = if cfg!(target_endian = "little") { "le" } else { "be" };
    let bounds = [&ANSWER_MS[..], &DURATION_MS, &SIZE];
    format!("{sizes:?} {order} {} {} {bounds:?}", names.join(" "), drops.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { backends: 3, services: 2 };

    /// Memory of an earlier process, each word another number.
    fn saved() -> Vec<u8> {
        (1..=ROOM.size() as u64 / 8).flat_map(u64::to_ne_bytes).collect()
    }

    /// The counters of a process that goes on from that, with this room.
    fn gone_on(room: Room) -> Counters {
        let memory = vec![0_u64; room.size() / 8].leak().as_mut_bytes();
        carry_over(&saved(), ROOM, memory, room);
        Counters::mapped(memory, room)
    }

    #[test]
    fn every_counter_goes_on_where_it_was() {
        let counters = gone_on(ROOM);
        let packets = counters.packets.values();
        assert_eq!(packets, (1..=packets.len() as u64).collect::<Vec<_>>());
        let next = 1 + packets.len() as u64;
        assert_eq!(counters.drops.of(DropReason::Truncated).value(), next);
        let next = next + DropReason::ALL.len() as u64;
        assert_eq!(counters.load.values(), [next, next + 1]);
        assert_eq!(counters.lost_records.value(), next + 2);
        let last = ROOM.size() as u64 / 8;
        assert_eq!(counters.services[1].size().sum(), last);
    }

    #[test]
    fn what_a_worker_can_have_counted_is_sound() {
        fn change(at: usize, to: u64) -> bool {
            let room = ROOM;
            let memory = vec![0_u64; room.size() / 8].leak();
            let started = (size_of::<Packets>() + size_of::<Drops>() + size_of::<Load>()) / 8 + 1;
            // Ten frames came, and three went; two transfers begun, one ended.
            (memory[0], memory[3]) = (10, 3);
            (memory[started], memory[started + 4]) = (2, 1);
            memory[at] = to;
            is_sound(memory.as_mut_bytes(), room)
        }
        let last = ROOM.size() / 8 - 1;
        assert_eq!(Packets::NAMES[3], "transmitted");
        assert_eq!((Transfers::NAMES[0], Transfers::NAMES[4]), ("started", "ended"));
        let backends = (size_of::<Packets>() + size_of::<Drops>() + size_of::<Load>()) / 8 + 1;
        for (at, to, is_sound) in [
            (0, 10, true),
            (0, 2, false),
            (3, 11, false),
            (0, 1 << 40, false),
            (0, u64::MAX, false),
            (backends + 4, 3, false),
            (backends + 4, 2, true),
            (last, 7, true),
            (last, 1 << 63, false),
        ] {
            assert_eq!(change(at, to), is_sound, "word {at}: {to}");
        }
    }

    #[test]
    fn what_has_no_room_is_left_and_what_is_new_is_zero() {
        let before = gone_on(ROOM);
        let more = gone_on(Room { backends: 5, services: 4 });
        let fewer = gone_on(Room { backends: 1, services: 1 });
        for (backend, now) in more.backends.iter().enumerate() {
            let zero = vec![0; now.values().len()];
            let had = before.backends.get(backend).map_or(zero, Transfers::values);
            assert_eq!(now.values(), had, "backend {backend}");
        }
        for counters in [&more, &fewer] {
            assert_eq!(counters.backends[0].values(), before.backends[0].values());
            assert_eq!(counters.refusals[0].values(), before.refusals[0].values());
            let answers = |counters: &Counters| counters.answers[0].histogram().sum();
            assert_eq!(answers(counters), answers(&before));
            let sizes = |counters: &Counters| counters.services[0].size().sum();
            assert_eq!(sizes(counters), sizes(&before));
        }
        assert_eq!(more.services[3].size().sum(), 0);
    }

    #[test]
    fn frames_in_hand_and_in_rings_of_killed_workers_are_drops() {
        let workers = [0, 1].map(|_| Counters::new(Room { backends: 0, services: 0 }));
        let [first, second] = &workers;
        first.packets.received.add(10);
        first.packets.transmitted.add(3);
        first.packets.handed_over.add(5);
        second.packets.taken_over.add(4);
        second.packets.absorbed.add(1);
        second.drops.of(DropReason::NoTransfer).add(2);
        for _ in 0..2 {
            drop_interrupted(&workers);
            let dropped =
                workers.each_ref().map(|one| one.drops.of(DropReason::Interrupted).value());
            assert_eq!(dropped, [2, 1 + 1], "once");
            assert_eq!(second.packets.taken_over.value(), 5);
            for Counters { packets, drops, .. } in &workers {
                assert_eq!(packets.came(), packets.went() + drops.total());
            }
        }
    }

    #[test]
    fn frames_that_were_taken_before_they_counted_as_handed_over_are_no_drops() {
        let workers = [0, 1].map(|_| Counters::new(Room { backends: 0, services: 0 }));
        let [first, second] = &workers;
        first.packets.received.add(7);
        second.packets.taken_over.add(5);
        second.packets.transmitted.add(5);
        drop_interrupted(&workers);
        assert_eq!(first.packets.handed_over.value(), 5);
        assert_eq!([first, second].map(|one| one.drops.total()), [2, 0]);
    }
}
