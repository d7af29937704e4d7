//! Records of a capture, and the rings on which they go to control and back.

use crossbeam::queue::ArrayQueue;
use engine::flow::summary::FlowSummary;
use engine::types::id::InterfaceId;
use engine::types::tick::Tick;
use engine::types::verdict::Verdict;
use std::time::Instant;

/// A frame that was seen, and what is known about it.
#[derive(Debug, Clone)]
pub struct Record {
    /// The time: the beginning of the worker's turn.
    pub at: Instant,
    /// The frame's number, the same as it came in and as it left.
    pub packet: u64,
    /// The interface.
    pub interface: InterfaceId,
    /// Whether the frame leaves.
    pub is_sent: bool,
    /// The frame's fate.
    pub fate: Fate,
    /// The frame's flow.
    pub flow: Option<FlowSummary>,
    /// Frames that were lost before this one.
    pub lost: u64,
    /// Bytes of the whole frame.
    pub len: usize,
    /// The front of the frame. It never grows beyond its first capacity.
    pub bytes: Vec<u8>,
}

/// The fate of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The frame came by a device, and this is the verdict on it.
    Verdict(Verdict),
    /// The frame is the gate's own.
    Originated,
    /// The kernel has sent the frame.
    FromKernel,
}

/// The place and time of frames: for the engine, and for the record.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The interface that frames came in by, or leave by.
    pub interface: InterfaceId,
    /// The engine's time.
    pub now: Tick,
    /// The record's time.
    pub at: Instant,
}

impl Record {
    /// Takes a frame that came in; the fate is not known yet.
    pub(super) fn fill(
        &mut self,
        frame: &[u8],
        moment: Moment,
        packet: u64,
        flow: Option<FlowSummary>,
    ) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&frame[..frame.len().min(self.bytes.capacity())]);
        self.len = frame.len();
        (self.at, self.interface) = (moment.at, moment.interface);
        (self.packet, self.flow, self.is_sent) = (packet, flow, false);
    }
}

/// The records of one worker's capture: free ones on their way to the worker, filled ones on their way to control.
#[derive(Debug)]
pub struct Slots {
    /// Free records.
    pub free: ArrayQueue<Box<Record>>,
    /// Filled records, in their order.
    pub filled: ArrayQueue<Box<Record>>,
    snaplen: usize,
}

impl Slots {
    /// So many free records, each with room for `snaplen` bytes of a frame.
    pub fn new(count: usize, snaplen: usize) -> Slots {
        let (free, filled) = (ArrayQueue::new(count), ArrayQueue::new(count));
        let slots = Slots { free, filled, snaplen };
        while slots.free.push(slots.record()).is_ok() {}
        slots
    }

    /// A further record.
    pub(super) fn record(&self) -> Box<Record> {
        Box::new(Record {
            at: Instant::now(),
            packet: 0,
            interface: InterfaceId(0),
            is_sent: false,
            fate: Fate::Verdict(Verdict::Kernel),
            flow: None,
            lost: 0,
            len: 0,
            bytes: Vec::with_capacity(self.snaplen),
        })
    }
}
