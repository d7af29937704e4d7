//! Frames on their way out of one port, gathered to bursts.

use crate::port::Port;
use engine::count::Counters;
use engine::frame::{BURST, Burst, Frame};
use engine::reason::Reason;
use engine::verdict::Verdict;

/// What waits for the end of the turn. A frame is counted when the device has taken it or has not.
pub struct Outgoing<B> {
    frames: Burst<B>,
    /// What each frame is counted as, and its length.
    ledger: Burst<(Verdict, usize)>,
}

impl<B: Frame> Outgoing<B> {
    /// Nothing.
    pub fn new() -> Outgoing<B> {
        Outgoing { frames: Burst::new(), ledger: Burst::new() }
    }

    /// Adds a frame; a full burst leaves at once.
    pub fn push(
        &mut self,
        frame: B,
        verdict: Verdict,
        port: &mut impl Port<Buffer = B>,
        counters: &Counters,
    ) {
        self.ledger.push((verdict, frame.bytes().len()));
        self.frames.push(frame);
        if self.frames.len() == BURST {
            self.flush(port, counters);
        }
    }

    /// Sends all; what the device has no room for is dropped: a full queue never holds up a worker.
    pub fn flush(&mut self, port: &mut impl Port<Buffer = B>, counters: &Counters) {
        if self.frames.is_empty() {
            return;
        }
        port.transmit(&mut self.frames);
        let sent = self.ledger.len() - self.frames.len();
        for (place, (verdict, len)) in self.ledger.drain(..).enumerate() {
            let verdict = if place < sent { verdict } else { Reason::TransmitFull.into() };
            counters.verdict(verdict, len);
        }
        self.frames.clear();
    }
}
