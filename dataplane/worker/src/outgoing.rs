//! Frames on their way out of one port, gathered to bursts.

use crate::port::Port;
use engine::count::Counters;
use engine::frame::{BURST, Burst, Frame};
use engine::reason::Reason;

/// Frames that wait for the end of the turn. A frame is counted when the device has taken it or has not.
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

    /// Adds a burst of frames that are no answers. What fills a burst leaves at once.
    pub fn push_all(
        &mut self,
        frames: &mut Burst<B>,
        port: &mut impl Port<Buffer = B>,
        counters: &Counters,
    ) {
        if self.frames.len() + frames.len() < BURST {
            self.frames.extend(frames.drain(..));
        } else {
            self.flush(port, counters);
            send(frames, 0, port, counters);
        }
    }

    /// Sends all.
    pub fn flush(&mut self, port: &mut impl Port<Buffer = B>, counters: &Counters) {
        if !self.frames.is_empty() {
            send(&mut self.frames, self.answers, port, counters);
            self.answers = 0;
        }
    }
}

/// Sends these, of which those with a bit in `answers` are answers. What the device has no room for is
/// dropped: a full queue never holds up a worker.
fn send<B: Frame>(
    frames: &mut Burst<B>,
    answers: u32,
    port: &mut impl Port<Buffer = B>,
    counters: &Counters,
) {
    let (all, bytes) = (frames.len(), length(frames));
    port.transmit(frames);
    let sent = all - frames.len();
    let taken = u64::MAX.unbounded_shr(64 - sent as u32) as u32;
    let answers = u64::from((answers & taken).count_ones());
    counters.packets.bytes_transmitted.add(bytes - length(frames));
    counters.packets.answered.add(answers);
    counters.packets.transmitted.add(sent as u64 - answers);
    counters.drops.of(Reason::TransmitFull).add(frames.len() as u64);
    frames.clear();
}

fn length<B: Frame>(frames: &[B]) -> u64 {
    frames.iter().map(|frame| frame.bytes().len() as u64).sum()
}
