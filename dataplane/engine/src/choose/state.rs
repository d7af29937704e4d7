//! A worker's state for selections.

use crate::flow::hash::Seed;
use crate::scheduler::persistence::PersistenceTable;
use crate::scheduler::rate_limit::RateLimits;
use crate::scheduler::round_robin::Cursor;
use crate::scheduler::silence::Silences;
use crate::snapshot::Snapshot;
use crate::types::selection_reason::SelectionReason;

/// A worker's state for selections.
pub struct State {
    /// Cursor in each group, by group and [`crate::ip_family::IpFamily::PLACE`].
    pub cursors: Vec<[Cursor; 2]>,
    /// Persistence: the backend of each recent client.
    pub sticky: PersistenceTable,
    /// Request rate of each client.
    pub rates: RateLimits,
    /// Clients that backends recently left without an answer.
    pub silences: Silences,
    /// Reason of the latest selection, for the flow that comes of it.
    pub reason: SelectionReason,
}

impl State {
    /// The initial state of worker `worker` with at most `max_flows` transfers.
    pub fn new(worker: u16, max_flows: usize, snapshot: &Snapshot, seed: Seed) -> State {
        State {
            cursors: cursors(worker, snapshot),
            sticky: PersistenceTable::new(if snapshot.is_sticky() { max_flows } else { 0 }, seed),
            rates: RateLimits::new(if snapshot.is_rated() { max_flows } else { 0 }, seed),
            silences: Silences::new(seed),
            reason: SelectionReason::Unknown,
        }
    }
}

/// Initial cursors. Workers start at different backends.
pub fn cursors(worker: u16, snapshot: &Snapshot) -> Vec<[Cursor; 2]> {
    vec![[Cursor::starting_at(worker.into()); 2]; snapshot.groups.len()]
}
