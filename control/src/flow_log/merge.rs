//! Records of all workers in one order.

use engine::state::flow_log::FlowRecord;
use engine::types::tick::Millis;
use std::cmp::Ordering;
use worker::command_channel::WorkerChannel;

/// The records that the rings hold now, the oldest first, each with its worker. They stay in the rings until it is their turn:
/// beside them, no more than one of each worker is in memory.
pub fn oldest_first(workers: &[WorkerChannel]) -> impl Iterator<Item = (u16, FlowRecord)> {
    let rings = workers.iter().map(|worker| {
        let ring = &*worker.records;
        // Workers go on adding.
        std::iter::from_fn(|| ring.pop()).take(ring.len()).peekable()
    });
    let mut rings: Vec<_> = rings.collect();
    std::iter::from_fn(move || {
        let times = (0..).zip(&mut rings);
        let times = times.filter_map(|(worker, ring)| Some((worker, ring.peek()?.time)));
        let (worker, _) = times.min_by(|&(_, one), &(_, other)| order(one, other))?;
        Some((worker, rings[usize::from(worker)].next()?))
    })
}

/// The order of two times of the same weeks.
fn order(one: Millis, other: Millis) -> Ordering {
    if one == other {
        Ordering::Equal
    } else if one.since(other) > u32::MAX / 2 {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow_log::sample;
    use engine::counters::{Counters, Room};
    use std::sync::Arc;

    #[test]
    fn records_come_by_age_across_workers_and_the_wrap() {
        let workers =
            [(); 3].map(|()| WorkerChannel::new(Arc::new(Counters::new(Room::default()))));
        let before = u32::MAX - 10;
        for (worker, times) in
            workers.iter().zip([&[before, before + 5, 7][..], &[], &[before + 5, 2, 3]])
        {
            for &time in times {
                let record = FlowRecord { time: Millis(time), ..sample::completed() };
                worker.records.push(record).expect("there is room");
            }
        }
        let merged = oldest_first(&workers).map(|(worker, record)| (worker, record.time.0));
        let expected = [(0, before), (0, before + 5), (2, before + 5), (2, 2), (2, 3), (0, 7)];
        assert_eq!(merged.collect::<Vec<_>>(), expected);
        assert!(workers.iter().all(|worker| worker.records.is_empty()));
    }
}
