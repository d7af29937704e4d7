//! Frames on their way out of one port, gathered to bursts.

use crate::port::Port;
use engine::count::Counters;
use engine::frame::{BURST, Burst, Frame};
use engine::reason::Reason;

/// What waits for the end of the turn. A frame is counted when the device has taken it or has not.
pub struct Outgoing<B> {
    frames: Burst<B>,
    /// Which of them are answers, a bit each.
    answers: u32,
}

// A bit for each frame.
const _: () = assert!(BURST <= 32);

impl<B: Frame> Outgoing<B> {
    /// Nothing.
    pub fn new() -> Outgoing<B> {
        Outgoing { frames: Burst::new(), answers: 0 }
    }

    /// Adds a frame; a burst that is full leaves first.
    pub fn push(
        &mut self,
        frame: B,
        is_answer: bool,
        port: &mut impl Port<Buffer = B>,
        counters: &Counters,
    ) {
        if self.frames.is_full() {
            self.flush(port, counters);
        }
        self.answers |= u32::from(is_answer) << self.frames.len();
        self.frames.push(frame);
    }

    /// Adds a burst of frames that are no answers.
    pub fn push_all(
        &mut self,
        frames: Burst<B>,
        port: &mut impl Port<Buffer = B>,
        counters: &Counters,
    ) {
        if self.frames.len() + frames.len() > BURST {
            self.flush(port, counters);
        }
        if self.frames.is_empty() {
            self.frames = frames;
        } else {
            self.frames.extend(frames);
        }
    }

    /// Sends all; what the device has no room for is dropped: a full queue never holds up a worker.
    pub fn flush(&mut self, port: &mut impl Port<Buffer = B>, counters: &Counters) {
        if self.frames.is_empty() {
            return;
        }
        let all = self.frames.len();
        let bytes = length(&self.frames);
        port.transmit(&mut self.frames);
        let sent = all - self.frames.len();
        let taken = u64::MAX.unbounded_shr(64 - sent as u32) as u32;
        let answers = u64::from((self.answers & taken).count_ones());
        counters.packets.bytes_transmitted.add(bytes - length(&self.frames));
        counters.packets.answered.add(answers);
        counters.packets.transmitted.add(sent as u64 - answers);
        counters.drops.of(Reason::TransmitFull).add(self.frames.len() as u64);
        self.frames.clear();
        self.answers = 0;
    }
}

fn length<B: Frame>(frames: &[B]) -> u64 {
    frames.iter().map(|frame| frame.bytes().len() as u64).sum()
}
