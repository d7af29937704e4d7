//! Records of one worker for the log, held against its counters: each counted end and refusal has one record.

use crossbeam::queue::ArrayQueue;
use engine::counters::{Counters, Refusals};
use engine::snapshot::Snapshot;
use engine::snapshot::log_policy::LogPolicy;
use engine::state::flow_log::{DEPTH, FlowEvent, FlowRecord, Records};
use engine::types::end_reason::EndReason;
use engine::types::id::{BackendId, ServiceId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The policy that wants everything.
pub const EVERYTHING: LogPolicy = LogPolicy { ends: u16::MAX, refusals: true, one_in: 1 };

/// Control's end of a ring of records.
pub struct RecordLog {
    /// The ring.
    pub ring: Records,
    ends: BTreeMap<(BackendId, &'static str), u64>,
    refusals: BTreeMap<(ServiceId, String), u64>,
    fresh: Vec<FlowRecord>,
}

impl Default for RecordLog {
    fn default() -> RecordLog {
        let ring = Arc::new(ArrayQueue::new(DEPTH));
        RecordLog { ring, ends: BTreeMap::new(), refusals: BTreeMap::new(), fresh: vec![] }
    }
}

impl RecordLog {
    /// The records since the last call.
    pub fn take(&mut self) -> Vec<FlowRecord> {
        std::mem::take(&mut self.fresh)
    }

    /// Reads the ring.
    ///
    /// # Panics
    ///
    /// The records are not those that the counters have counted, if the snapshot's services want all.
    pub fn settle(&mut self, counters: &Counters, snapshot: &Snapshot) {
        while let Some(record) = self.ring.pop() {
            if let FlowEvent::Transfer(end, _) | FlowEvent::Connection(end, _) = &record.event {
                *self.ends.entry((end.backend, end.reason.name())).or_default() += 1;
            }
            if let FlowEvent::Refused(refused) = &record.event {
                let reason = refused.reason.replace('-', "_");
                *self.refusals.entry((record.service, reason)).or_default() += 1;
            }
            self.fresh.push(record);
        }
        if snapshot.services.iter().any(|service| service.log != EVERYTHING) {
            return;
        }
        for (id, transfers) in
            snapshot.numbered_backends().map(|(id, _)| id).zip(&counters.backends)
        {
            // Of what ends elsewhere, only what began here is recorded.
            for reason in EndReason::ALL.into_iter().filter(|&it| it != EndReason::Elsewhere) {
                let recorded = self.ends.get(&(id, reason.name())).copied().unwrap_or_default();
                let counted = transfers.of(reason).value();
                assert_eq!(recorded, counted, "records of backend {id:?}, {}", reason.name());
            }
        }
        for (id, refusals) in (0..).map(ServiceId).zip(&counters.refusals) {
            for (&reason, counted) in Refusals::NAMES.iter().zip(refusals.values()) {
                let recorded = self.refusals.get(&(id, reason.to_owned())).copied();
                assert_eq!(recorded.unwrap_or_default(), counted, "records of {id:?}, {reason}");
            }
        }
    }
}
