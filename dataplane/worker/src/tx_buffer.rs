//! Frames to be sent by one port, gathered into bursts.

use crate::port::Port;
use crate::recorder::Recorder;
use crate::vlan_ports::VlanPorts;
use engine::counters::Counters;
use engine::types::drop_reason::DropReason;
use engine::types::frame::{BURST, Burst, Frame};

/// Frames that wait for the end of the turn. A frame is counted as sent or dropped when the device was given it.
pub struct TxBuffer<B> {
    frames: Burst<B>,
    /// A bit for each frame: whether it is an answer.
    answers: u32,
}

// A bit for each frame.
const _: () = assert!(BURST <= 32);

/// The end of a frame's way: a device, and what keeps the frames that the device has no room for.
pub struct Egress<'a, P> {
    /// The device.
    pub port: &'a mut P,
    /// The device's number.
    pub number: usize,
    /// The worker's counters.
    pub counters: &'a Counters,
    /// The interfaces of the device.
    pub vlan_ports: &'a VlanPorts,
    /// The keeper of dropped frames.
    pub recorder: &'a mut Recorder,
}

impl<P: Port> Egress<'_, P> {
    /// Counts and keeps frames that are dropped.
    fn drop_all(&mut self, frames: &mut Burst<P::Buffer>) {
        self.counters.drops.of(DropReason::TransmitFull).add(frames.len() as u64);
        for frame in frames.drain(..) {
            let interface = self.vlan_ports.interface(self.number, frame.bytes());
            self.recorder.lose(DropReason::TransmitFull, interface, frame.bytes());
        }
    }
}

impl<B: Frame> TxBuffer<B> {
    /// Creates an empty buffer.
    pub fn new() -> TxBuffer<B> {
        TxBuffer { frames: Burst::new(), answers: 0 }
    }

    /// Adds a frame; a full burst is sent first.
    pub fn push(&mut self, frame: B, is_answer: bool, egress: Egress<'_, impl Port<Buffer = B>>) {
        if self.frames.is_full() {
            self.flush(egress);
        }
        self.answers |= u32::from(is_answer) << self.frames.len();
        self.frames.push(frame);
    }

    /// Adds a burst of frames that are no answers. A full burst is sent at once.
    pub fn push_all(
        &mut self,
        frames: &mut Burst<B>,
        mut egress: Egress<'_, impl Port<Buffer = B>>,
    ) {
        if self.frames.len() + frames.len() < BURST {
            self.frames.extend(frames.drain(..));
        } else {
            self.send(&mut egress);
            send(frames, 0, &mut egress);
        }
    }

    /// Sends all frames.
    pub fn flush(&mut self, mut egress: Egress<'_, impl Port<Buffer = B>>) {
        self.send(&mut egress);
    }

    fn send(&mut self, egress: &mut Egress<'_, impl Port<Buffer = B>>) {
        if !self.frames.is_empty() {
            send(&mut self.frames, self.answers, egress);
            self.answers = 0;
        }
    }
}

/// Sends frames, of which those with a bit in `answers` are answers. Frames that the device has no room for are
/// dropped: a full queue never holds up a worker.
fn send<B: Frame>(
    frames: &mut Burst<B>,
    answers: u32,
    egress: &mut Egress<'_, impl Port<Buffer = B>>,
) {
    let (all, bytes) = (frames.len(), length(frames));
    egress.port.transmit(frames);
    let sent = all - frames.len();
    let taken = u64::MAX.unbounded_shr(64 - sent as u32) as u32;
    let answers = u64::from((answers & taken).count_ones());
    let counters = egress.counters;
    counters.packets.bytes_transmitted.add(bytes - length(frames));
    counters.packets.answered.add(answers);
    counters.packets.transmitted.add(sent as u64 - answers);
    if !frames.is_empty() {
        egress.drop_all(frames);
    }
}

fn length<B: Frame>(frames: &[B]) -> u64 {
    frames.iter().map(|frame| frame.bytes().len() as u64).sum()
}
