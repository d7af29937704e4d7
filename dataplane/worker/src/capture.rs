//! A capture: copies of frames, as they came in and as they left, with verdict and flow.
//!
//! Control allocates a capture with all its memory, hands it over by a command, and gets it back when it ends. A worker
//! fills free records and passes them on by a ring; when none is free, the frame is lost and counted.

mod filter;
mod record;

pub use filter::Filter;
pub use record::{Fate, Moment, Record, Slots};

use engine::counters::Counters;
use engine::engine::Engine;
use engine::flow::summary::{FlowState, FlowSummary};
use engine::stage::identify::{DatagramId, FlowEnds, Identity, addresses};
use engine::types::drop_reason::DropReason;
use engine::types::frame::{BURST, Frame};
use engine::types::id::InterfaceId;
use engine::types::tick::Tick;
use engine::types::verdict::Verdict;
use std::sync::Arc;
use std::time::Instant;

/// Datagrams whose first fragment is remembered for the later ones.
const DATAGRAMS: usize = 64;

/// One worker's part of a capture.
#[derive(Debug)]
pub struct Capture {
    filter: Filter,
    slots: Arc<Slots>,
    counters: Arc<Counters>,
    /// The frames of the burst in hand, as they came.
    staged: Vec<Staged>,
    /// The datagrams in fragments, and the ends that their first fragments named.
    datagrams: Vec<(DatagramId, FlowEnds)>,
    /// The datagram that makes room for the next one, once all places are taken.
    oldest: usize,
    /// The number of the next frame.
    next: u64,
    /// Frames lost since the last record.
    lost: u64,
}

/// A frame as it came, until its verdict is known.
#[derive(Debug)]
struct Staged {
    record: Box<Record>,
    identity: Option<Identity>,
    ends: Option<FlowEnds>,
}

impl Capture {
    /// A capture by worker `worker`, with the records of these slots.
    pub fn new(worker: u16, filter: Filter, slots: Arc<Slots>, counters: Arc<Counters>) -> Capture {
        let staged = || Staged { record: slots.record(), identity: None, ends: None };
        Capture {
            staged: (0..BURST).map(|_| staged()).collect(),
            filter,
            slots,
            counters,
            datagrams: Vec::with_capacity(DATAGRAMS),
            oldest: 0,
            next: u64::from(worker) << 48,
            lost: 0,
        }
    }

    /// Copies the frames of a burst before the engine rewrites them.
    pub fn stage<F: Frame>(&mut self, burst: &mut [F], moment: Moment, engine: &Engine) {
        for (index, frame) in burst.iter_mut().enumerate() {
            let identity = engine.identify(frame.bytes_mut(), moment.interface, false, moment.now);
            let ends = identity.as_ref().and_then(|identity| self.ends(identity));
            let packet = self.number();
            let staged = &mut self.staged[index];
            let flow = ends.and_then(|ends| engine.flow_between(&ends));
            staged.record.fill(frame.bytes(), moment, packet, flow);
            (staged.identity, staged.ends) = (identity, ends);
        }
    }

    /// Records the frames that match, as they came and as they leave. A frame that another worker gets, or that is held, is
    /// recorded when its way goes on.
    pub fn settle<F: Frame>(
        &mut self,
        burst: &[F],
        verdicts: &[Verdict],
        moment: Moment,
        engine: &Engine,
    ) {
        for (index, (frame, &verdict)) in burst.iter().zip(verdicts).enumerate() {
            let Staged { record, identity, ends } = &mut self.staged[index];
            let afterwards = ends.and_then(|ends| engine.flow_between(&ends));
            record.flow = later(record.flow, afterwards);
            record.fate = Fate::Verdict(verdict);
            let ends = identity.map(|identity| identity.addresses);
            let by = match verdict {
                Verdict::HandOver(_) | Verdict::Hold(_) => continue,
                Verdict::Transmit(interface) => Some(interface),
                Verdict::Answer => Some(moment.interface),
                Verdict::Kernel | Verdict::Absorb | Verdict::Drop(_) => None,
            };
            if !self.filter.is_for(record.flow.as_ref(), ends, record.fate) {
                continue;
            }
            let (packet, flow, fate) = (record.packet, record.flow, record.fate);
            if let Some(mut record) = self.free(moment.interface) {
                std::mem::swap(&mut record, &mut self.staged[index].record);
                self.push(record);
            }
            if let Some((interface, mut record)) = by.and_then(|by| Some((by, self.free(by)?))) {
                record.fill(frame.bytes(), Moment { interface, ..moment }, packet, flow);
                (record.fate, record.is_sent) = (fate, true);
                self.push(record);
            }
        }
    }

    /// Records a frame that leaves without having come by a device: the gate's own, or the kernel's.
    pub fn sent(&mut self, fate: Fate, frame: &mut [u8], moment: Moment, engine: &Engine) {
        let identity = engine.identify(frame, moment.interface, true, moment.now);
        let ends = identity.and_then(|identity| identity.ends);
        let flow = ends.and_then(|ends| engine.flow_between(&ends));
        if self.filter.is_for(flow.as_ref(), identity.map(|one| one.addresses), fate)
            && let Some(mut record) = self.free(moment.interface)
        {
            let packet = self.number();
            record.fill(frame, moment, packet, flow);
            (record.fate, record.is_sent) = (fate, true);
            self.push(record);
        }
    }

    /// Records a frame that was dropped before or after the engine's verdict. Its flow is not known, only its addresses.
    pub fn lose(&mut self, reason: DropReason, interface: InterfaceId, frame: &[u8], at: Instant) {
        let fate = Fate::Verdict(Verdict::Drop(reason));
        if self.filter.is_for(None, addresses(frame), fate)
            && let Some(mut record) = self.free(interface)
        {
            let packet = self.number();
            record.fill(frame, Moment { interface, now: Tick(0), at }, packet, None);
            record.fate = fate;
            record.is_sent = matches!(reason, DropReason::TransmitFull | DropReason::TooBig);
            self.push(record);
        }
    }

    /// The ends by which a frame's flow is found: its own, or for a later fragment those of the first one.
    fn ends(&mut self, identity: &Identity) -> Option<FlowEnds> {
        let Some(datagram) = identity.datagram else { return identity.ends };
        let known = self.datagrams.iter().position(|(known, _)| *known == datagram);
        match (identity.ends, known) {
            (None, known) => known.map(|place| self.datagrams[place].1),
            (Some(ends), Some(place)) => {
                self.datagrams[place].1 = ends;
                Some(ends)
            }
            (Some(ends), None) if self.datagrams.len() < DATAGRAMS => {
                self.datagrams.push((datagram, ends));
                Some(ends)
            }
            (Some(ends), None) => {
                self.datagrams[self.oldest] = (datagram, ends);
                self.oldest = (self.oldest + 1) % DATAGRAMS;
                Some(ends)
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A record for a frame of this interface; without a free one, the frame is lost.
    fn free(&mut self, interface: InterfaceId) -> Option<Box<Record>> {
        if !self.filter.has(interface) {
            return None;
        }
        let free = self.slots.free.pop();
        if free.is_none() {
            self.lost += 1;
            self.counters.packets.capture_lost.add(1);
        }
        free
    }

    /// Passes a record on. There is room: the ring holds all records.
    fn push(&mut self, mut record: Box<Record>) {
        record.lost = std::mem::take(&mut self.lost);
        let _ = self.slots.filled.push(record);
    }
}

/// The flow of a frame: as it is after the frame, unless the frame has ended it.
fn later(before: Option<FlowSummary>, after: Option<FlowSummary>) -> Option<FlowSummary> {
    let goes_on = after.filter(|flow| flow.state != FlowState::None);
    goes_on.or(before).or(after)
}
