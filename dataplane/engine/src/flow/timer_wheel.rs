//! Timer wheel with one slot per tick. Packets do not touch it: a flow that comes up too early is entered again.

use super::hash_index::FlowId;
use super::lists::Lists;
use crate::types::tick::Tick;

/// Slots, and so the longest delay in ticks; longer ones come up early.
const SLOTS: u32 = 1024;

pub struct Wheel {
    slots: Lists,
    hand: Tick,
}

impl Wheel {
    /// An empty wheel for `flows` flows.
    pub fn new(flows: FlowId, now: Tick) -> Wheel {
        Wheel { slots: Lists::new(flows, SLOTS), hand: now }
    }

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        self.slots.size()
    }

    /// Schedules the flow for `when`, or earlier if that is more than [`SLOTS`] ticks away.
    pub fn set(&mut self, flow: FlowId, when: Tick) {
        let ahead = if when.is_due(self.hand) { 0 } else { when.since(self.hand).min(SLOTS - 1) };
        self.slots.append(self.hand.after(ahead).0 % SLOTS, flow);
    }

    /// Unschedules the flow.
    pub fn cancel(&mut self, flow: FlowId) {
        self.slots.remove(flow);
    }

    /// Removes and returns a flow that is due. Examines at most one lap of empty slots.
    pub fn due(&mut self, now: Tick) -> Option<FlowId> {
        if now.since(self.hand) >= SLOTS {
            // After a long stop every slot is due; one lap covers them all.
            self.hand = Tick(now.0.wrapping_sub(SLOTS - 1));
        }
        loop {
            if let Some(flow) = self.slots.first(self.hand.0 % SLOTS) {
                self.slots.remove(flow);
                return Some(flow);
            }
            if self.hand == now {
                return None;
            }
            self.hand = self.hand.after(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_due(wheel: &mut Wheel, now: u32) -> Vec<FlowId> {
        let mut due: Vec<_> = std::iter::from_fn(|| wheel.due(Tick(now))).collect();
        due.sort();
        due
    }

    #[test]
    fn flows_come_up_when_their_time_has_come() {
        let mut wheel = Wheel::new(8, Tick(5));
        wheel.set(0, Tick(7));
        wheel.set(1, Tick(7));
        wheel.set(2, Tick(20));
        wheel.set(3, Tick(1));
        wheel.set(4, Tick(9));
        wheel.cancel(4);
        assert_eq!(all_due(&mut wheel, 6), [3]);
        assert_eq!(all_due(&mut wheel, 7), [0, 1]);
        wheel.set(2, Tick(9));
        assert_eq!(all_due(&mut wheel, 10), [2]);
        assert_eq!(all_due(&mut wheel, 1000), []);
    }

    #[test]
    fn a_far_moment_comes_up_early_rather_than_never() {
        let mut wheel = Wheel::new(1, Tick(0));
        wheel.set(0, Tick(5000));
        assert_eq!(all_due(&mut wheel, SLOTS - 2), []);
        assert_eq!(all_due(&mut wheel, SLOTS - 1), [0]);
    }

    #[test]
    fn a_long_stop_and_the_wrap_of_time_lose_nothing() {
        let start = u32::MAX - 3;
        let mut wheel = Wheel::new(3, Tick(start));
        wheel.set(0, Tick(start).after(2));
        wheel.set(1, Tick(start).after(10));
        wheel.set(2, Tick(start).after(900));
        assert_eq!(all_due(&mut wheel, start.wrapping_add(3)), [0]);
        assert_eq!(all_due(&mut wheel, start.wrapping_add(1_000_000)), [1, 2]);
    }
}
