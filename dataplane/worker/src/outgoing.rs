//! Frames on their way out of one port, gathered to bursts.

use crate::port::Port;
use engine::count::Counters;
use engine::frame::{BURST, Burst, Frame};
use engine::reason::Reason;

/// What waits for the end of the turn. A frame is counted when the device has taken it or has not.
pub struct Outgoing<B> {
    frames: Burst<B>,
    /// Their lengths.
    lens: Burst<u32>,
    /// Which of them are answers, a bit each.
    answers: u32,
}

// A bit for each frame.
const _: () = assert!(BURST <= 32);

impl<B: Frame> Outgoing<B> {
    /// Nothing.
    pub fn new() -> Outgoing<B> {
        Outgoing { frames: Burst::new(), lens: Burst::new(), answers: 0 }
    }

    /// Adds a frame; a full burst leaves at once.
    pub fn push(
        &mut self,
        frame: B,
        is_answer: bool,
        port: &mut impl Port<Buffer = B>,
        counters: &Counters,
    ) {
        self.answers |= u32::from(is_answer) << self.frames.len();
        self.lens.push(frame.bytes().len() as u32);
        self.frames.push(frame);
        if self.frames.is_full() {
            self.flush(port, counters);
        }
    }

    /// Sends all; what the device has no room for is dropped: a full queue never holds up a worker.
    pub fn flush(&mut self, port: &mut impl Port<Buffer = B>, counters: &Counters) {
        if self.frames.is_empty() {
            return;
        }
        port.transmit(&mut self.frames);
        let sent = self.lens.len() - self.frames.len();
        let bytes = self.lens[..sent].iter().sum::<u32>();
        let taken = u64::MAX.unbounded_shr(64 - sent as u32) as u32;
        let answers = (self.answers & taken).count_ones() as usize;
        counters.packets.bytes_transmitted.add(bytes.into());
        counters.packets.answered.add(answers as u64);
        counters.packets.transmitted.add((sent - answers) as u64);
        counters.drops.of(Reason::TransmitFull).add(self.frames.len() as u64);
        self.frames.clear();
        self.lens.clear();
        self.answers = 0;
    }
}
