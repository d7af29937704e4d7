//! Counters. A worker writes its own counters and control reads them: an add is a plain load and store, without locked
//! instructions. No two workers' share a cache line where they are mapped, as workers' parts begin at pages.

mod counter;
pub mod histogram;
mod room;
pub mod saved;
mod sets;

pub use counter::Counter;
pub use room::Room;
pub use sets::{Drops, Load, Packets, Refusals, Transfers};

use self::histogram::{Answers, Histogram, ServiceHistograms};
use crate::flow::occupancy::Occupancy;
use crate::flow::rows::{Row, Rows};
use crate::flow::transfer::Transfer;
use crate::types::end_reason::EndReason;
use crate::types::id::{BackendId, ServiceId};
use crate::types::verdict::Verdict;
use crossbeam::utils::CachePadded;

/// All counters of one worker, on the heap or in memory that outlives the process ([`Counters::mapped`]).
#[derive(Debug)]
pub struct Counters {
    /// Packets by verdict.
    pub packets: Row<Packets>,
    /// Drops by reason.
    pub drops: Row<Drops>,
    /// The worker's time.
    pub load: Row<Load>,
    /// Records that the full ring to control had no room for.
    pub lost_records: Row<Counter>,
    /// Rows in use.
    pub occupancy: CachePadded<Occupancy>,
    /// Transfers, by [`crate::types::id::BackendId`].
    pub backends: Rows<Transfers>,
    /// Times to the first answer, by [`crate::types::id::BackendId`].
    pub answers: Rows<Answers>,
    /// Refusals, by [`crate::types::id::ServiceId`].
    pub refusals: Rows<Refusals>,
    /// Durations and sizes, by [`crate::types::id::ServiceId`].
    pub services: Rows<ServiceHistograms>,
}

impl Counters {
    /// Counters on the heap, at zero.
    pub fn new(room: Room) -> Counters {
        let Room { backends, services } = room;
        Counters {
            packets: zero(),
            drops: zero(),
            load: zero(),
            lost_records: zero(),
            occupancy: CachePadded::default(),
            backends: zeroes(backends),
            answers: zeroes(backends),
            refusals: zeroes(services),
            services: zeroes(services),
        }
    }

    /// Counters of the flow's backend.
    #[inline]
    pub fn of(&self, flow: &Transfer) -> &Transfers {
        self.backend(flow.backend)
    }

    /// Counters of this backend.
    #[inline]
    pub fn backend(&self, id: BackendId) -> &Transfers {
        &self.backends[id.index()]
    }

    /// The refusals of this service.
    #[inline]
    pub fn service(&self, id: ServiceId) -> &Refusals {
        &self.refusals[id.index()]
    }

    /// The times to this backend's first answers.
    pub fn answers(&self, id: BackendId) -> Histogram<'_> {
        self.answers[id.index()].histogram()
    }

    /// Counts the end of a transfer or connection in the histograms of its service: milliseconds, and a transfer's bytes.
    pub fn ended(&self, service: ServiceId, end: EndReason, duration: u32, bytes: Option<u64>) {
        let service = &self.services[service.index()];
        let is_completed = end == EndReason::Completed;
        let durations = if is_completed { service.completed() } else { service.other() };
        durations.record(duration.into());
        if let Some(bytes) = bytes.filter(|_| is_completed) {
            service.size().record(bytes);
        }
    }

    /// Counts a packet of `bytes` bytes (by IP length) between a client and its backend. Connections of an egress NAT
    /// rule have no backend and are not counted.
    #[inline(always)]
    pub fn pass(&self, backend: BackendId, by_client: bool, bytes: usize) {
        let Some(transfers) = self.backends.get(backend.index()) else { return };
        let (packets, sum) = if by_client {
            (&transfers.packets_in, &transfers.bytes_in)
        } else {
            (&transfers.packets_out, &transfers.bytes_out)
        };
        packets.add(1);
        sum.add(bytes as u64);
    }

    /// Counts a verdict on a packet of `bytes` bytes.
    #[inline]
    pub fn verdict(&self, verdict: Verdict, bytes: usize) {
        match verdict {
            Verdict::Transmit(_) => self.sent(&self.packets.transmitted, bytes),
            Verdict::Answer => self.sent(&self.packets.answered, bytes),
            Verdict::Kernel => self.packets.to_kernel.add(1),
            Verdict::HandOver(_) => self.packets.handed_over.add(1),
            Verdict::Hold(_) => self.packets.held.add(1),
            Verdict::Absorb => self.packets.absorbed.add(1),
            Verdict::Drop(reason) => self.drops.of(reason).add(1),
        }
    }

    fn sent(&self, counter: &Counter, bytes: usize) {
        counter.add(1);
        self.packets.bytes_transmitted.add(bytes as u64);
    }
}

fn zero<T: Default>() -> Row<T> {
    Row::Heap(Box::default())
}

fn zeroes<T: Default>(count: usize) -> Rows<T> {
    Rows::Heap((0..count).map(|_| T::default()).collect())
}
