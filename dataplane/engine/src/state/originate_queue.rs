//! The queue of transfers about which a worker originates a frame, since their server has died. Frames are sent between
//! bursts, and so many in a tick: the servers that are left must not be overrun by what they catch up with.

use crate::flow::FlowId;
use crate::types::tick::{PER_SECOND, Tick};
use std::collections::VecDeque;

/// Transfers that wait for something to be said. One more has to come again.
const ROOM: usize = 4096;

/// Ticks until something is said again that had no answer.
pub const PATIENCE: u32 = PER_SECOND;

/// How a transfer is that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// The server has answered lately.
    Moves,
    /// The server has not answered lately.
    Waits,
    /// Nothing must be sent for the transfer any more.
    Over,
}

/// The queue of transfers about which a frame must be originated, in turn.
#[derive(Debug)]
pub struct OriginateQueue {
    waiting: VecDeque<FlowId>,
    now: Tick,
    sent: u32,
    /// Transfers about which something may have to be said again.
    pending: Vec<FlowId>,
    reminded: Tick,
}

impl OriginateQueue {
    /// An empty queue.
    pub fn new() -> OriginateQueue {
        OriginateQueue {
            waiting: VecDeque::with_capacity(2 * ROOM),
            now: Tick::default(),
            sent: 0,
            pending: Vec::with_capacity(ROOM),
            reminded: Tick::default(),
        }
    }

    /// Queues a transfer; its state tells which frame it needs. Returns false if there is no room.
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

    /// Charges the budget for a frame that has a server send so many blocks.
    pub fn charge(&mut self, blocks: u16) {
        self.sent += u32::from(blocks.saturating_sub(1));
    }

    /// Watches a transfer: the frames about it may get lost, and must be sent again until its server goes on.
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
            self.sent = 0;
        }
        if self.sent >= most {
            return None;
        }
        let flow = self.waiting.pop_front()?;
        self.sent += 1;
        Some(flow)
    }
}

impl Default for OriginateQueue {
    fn default() -> OriginateQueue {
        OriginateQueue::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_is_said_in_a_tick_and_no_more() {
        let mut originate_queue = OriginateQueue::new();
        (0..5).for_each(|flow| assert!(originate_queue.add(flow)));
        let sent = |originate_queue: &mut OriginateQueue, now| -> Vec<FlowId> {
            std::iter::from_fn(|| originate_queue.next(Tick(now), 2)).collect()
        };
        assert_eq!(sent(&mut originate_queue, 7), [0, 1]);
        assert_eq!(sent(&mut originate_queue, 7), []);
        assert_eq!(sent(&mut originate_queue, 8), [2, 3]);
        assert_eq!(sent(&mut originate_queue, 9), [4]);
        assert!(originate_queue.is_empty());
    }

    #[test]
    fn what_finds_no_room_is_not_sent() {
        let mut originate_queue = OriginateQueue::new();
        let taken = (0..2 * ROOM as FlowId).filter(|&flow| originate_queue.add(flow)).count();
        assert_eq!(taken, ROOM);
        assert_eq!(std::iter::from_fn(|| originate_queue.next(Tick(1), u32::MAX)).count(), ROOM);
    }

    #[test]
    fn who_waits_is_reminded_of_until_it_is_over() {
        let mut originate_queue = OriginateQueue::new();
        (0..3).for_each(|flow| originate_queue.watch(flow));
        let state = |flow| [Watched::Moves, Watched::Waits, Watched::Over][flow as usize];
        let mut sent = |now| -> Vec<FlowId> {
            originate_queue.remind(Tick(now), state);
            std::iter::from_fn(|| originate_queue.next(Tick(now), 9)).collect()
        };
        assert_eq!(sent(100), [1]);
        assert_eq!(sent(100 + PATIENCE - 1), []);
        assert_eq!(sent(100 + PATIENCE), [1]);
        assert_eq!(originate_queue.pending, [0, 1]);
    }
}
