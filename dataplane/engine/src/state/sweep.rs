//! Looks for downloads whose server is known to be dead. Some clients never repeat themselves: they would wait
//! for ever for what it can't send any more.

use crate::flow::FlowId;
use crate::types::tick::{PER_SECOND, Tick};

/// Ticks between the beginnings of two rounds.
const ROUND: u32 = PER_SECOND / 2;

/// How far a round through all flows has come.
#[derive(Debug)]
pub struct Sweep {
    next: usize,
    end: usize,
    begun: Tick,
}

impl Sweep {
    /// Over so many places for flows.
    pub fn new(places: usize) -> Sweep {
        Sweep { next: places, end: places, begun: Tick::default() }
    }

    /// The next places to look at, at most so many. A new round begins when the last is over, it is time,
    /// and `is_needed`.
    pub fn places(
        &mut self,
        most: usize,
        now: Tick,
        is_needed: impl FnOnce() -> bool,
    ) -> std::ops::Range<FlowId> {
        if self.next == self.end && now.since(self.begun) >= ROUND {
            self.begun = now;
            self.next = if is_needed() { 0 } else { self.end };
        }
        let first = self.next;
        self.next = self.end.min(first + most);
        first as FlowId..self.next as FlowId
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_sees_every_place_once_and_the_next_one_waits() {
        let mut sweep = Sweep::new(10);
        let mut seen = vec![];
        for turn in 0..20 {
            seen.extend(sweep.places(3, Tick(100 + turn / 10), || true));
        }
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
        assert_eq!(sweep.places(3, Tick(104), || true), 10..10);
        assert_eq!(sweep.places(3, Tick(105), || false), 10..10);
        assert_eq!(sweep.places(3, Tick(109), || true), 10..10, "it was asked for a while ago");
        assert_eq!(sweep.places(3, Tick(110), || true), 0..3);
    }
}
