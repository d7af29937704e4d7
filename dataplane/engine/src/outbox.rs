//! What a worker says of its own accord, about transfers whose server has died. It is said between bursts, so
//! many times a tick: the servers that are left are not to be overrun by what they catch up with.

use crate::flow::FlowId;
use crate::tick::{PER_SECOND, Tick};
use std::collections::VecDeque;

/// Transfers that wait for something to be said. One more has to come again.
const ROOM: usize = 4096;

/// Ticks until something is said again that had no answer.
pub const PATIENCE: u32 = PER_SECOND;

/// How a transfer is that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// Its server has answered lately.
    Moves,
    /// It has not.
    Waits,
    /// It needs nobody any more.
    Over,
}

/// The transfers about which something is to be said, in turn.
#[derive(Debug)]
pub struct Outbox {
    waiting: VecDeque<FlowId>,
    now: Tick,
    said: u32,
    /// Transfers about which something may have to be said again.
    pending: Vec<FlowId>,
    reminded: Tick,
}

impl Outbox {
    /// Nothing to say.
    pub fn new() -> Outbox {
        Outbox {
            waiting: VecDeque::with_capacity(2 * ROOM),
            now: Tick::default(),
            said: 0,
            pending: Vec::with_capacity(ROOM),
            reminded: Tick::default(),
        }
    }

    /// Something is to be said about this transfer: what, tells its state. Answers false if there is no room.
    pub fn add(&mut self, flow: FlowId) -> bool {
        let added = !self.is_full();
        if added {
            self.waiting.push_back(flow);
        }
        added
    }

    /// Whether nothing more would be said.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= ROOM
    }

    /// What was said last has so many blocks sent, and not one.
    pub fn charge(&mut self, blocks: u16) {
        self.said += u32::from(blocks.saturating_sub(1));
    }

    /// What is said about this transfer may get lost: it is to be looked at again, until it is out of the woods.
    pub fn watch(&mut self, flow: FlowId) {
        if self.pending.len() < ROOM {
            self.pending.push(flow);
        }
    }

    /// Looks at those transfers, now and then. `state` tells how each one is.
    pub fn remind(&mut self, now: Tick, mut state: impl FnMut(FlowId) -> Watched) {
        if self.pending.is_empty() || now.since(self.reminded) < PATIENCE {
            return;
        }
        self.reminded = now;
        let waiting = &mut self.waiting;
        self.pending.retain(|&flow| match state(flow) {
            Watched::Moves => true,
            Watched::Over => false,
            Watched::Waits => {
                // There is room for all of these, and for as many others.
                waiting.push_back(flow);
                true
            }
        });
    }

    /// Whether there is nothing to say.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next transfer in turn, while less than `most` has been said in this tick.
    pub fn next(&mut self, now: Tick, most: u32) -> Option<FlowId> {
        if self.now != now {
            self.now = now;
            self.said = 0;
        }
        if self.said >= most {
            return None;
        }
        let flow = self.waiting.pop_front()?;
        self.said += 1;
        Some(flow)
    }
}

impl Default for Outbox {
    fn default() -> Outbox {
        Outbox::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_is_said_in_a_tick_and_no_more() {
        let mut outbox = Outbox::new();
        (0..5).for_each(|flow| assert!(outbox.add(flow)));
        let said = |outbox: &mut Outbox, now| -> Vec<FlowId> {
            std::iter::from_fn(|| outbox.next(Tick(now), 2)).collect()
        };
        assert_eq!(said(&mut outbox, 7), [0, 1]);
        assert_eq!(said(&mut outbox, 7), []);
        assert_eq!(said(&mut outbox, 8), [2, 3]);
        assert_eq!(said(&mut outbox, 9), [4]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_finds_no_room_is_not_said() {
        let mut outbox = Outbox::new();
        let taken = (0..2 * ROOM as FlowId).filter(|&flow| outbox.add(flow)).count();
        assert_eq!(taken, ROOM);
        assert_eq!(std::iter::from_fn(|| outbox.next(Tick(1), u32::MAX)).count(), ROOM);
    }

    #[test]
    fn who_waits_is_reminded_of_until_it_is_over() {
        let mut outbox = Outbox::new();
        (0..3).for_each(|flow| outbox.watch(flow));
        let state = |flow| [Watched::Moves, Watched::Waits, Watched::Over][flow as usize];
        let mut said = |now| -> Vec<FlowId> {
            outbox.remind(Tick(now), state);
            std::iter::from_fn(|| outbox.next(Tick(now), 9)).collect()
        };
        assert_eq!(said(100), [1]);
        assert_eq!(said(100 + PATIENCE - 1), []);
        assert_eq!(said(100 + PATIENCE), [1]);
        assert_eq!(outbox.pending, [0, 1]);
    }
}
