//! What a transfer leaves behind for the next one of its endpoint: if their server sees both as one endpoint, the TID of
//! the first could be taken for that of the second.

use super::record::{Detail, Flow};
use crate::alg::tftp::earlier::{Earlier, Reach};

/// A transfer that makes way for another one, or goes on beside it.
pub struct Forerunner {
    flow: Flow,
    earlier: Earlier,
    reach: Reach,
}

impl Forerunner {
    /// The one in this row.
    pub fn new(flow: &Flow, detail: &Detail) -> Forerunner {
        Forerunner { flow: flow.clone(), earlier: detail.earlier, reach: flow.reach(detail) }
    }

    /// The transfers of which something may still come that is not meant for this one; `None`: their server does not see
    /// one endpoint.
    pub fn earlier_of(&self, next: &Flow) -> Option<Earlier> {
        let (flow, mut earlier, reach) = (&self.flow, self.earlier, self.reach);
        let same_server = next.backend == flow.backend
            || (next.answers_seen() && next.server_key() == flow.server_key());
        if next.seen_as() != flow.seen_as() || !(same_server || flow.was_moved()) {
            return None;
        }
        // What is sent again is the same file, or keeps its sender from an end.
        if next.fingerprint == flow.fingerprint || reach != Reach::Over {
            earlier.forget_last_block();
        }
        if let Some(left_behind) = flow.client_tid().filter(|_| flow.was_moved()) {
            earlier.push(left_behind, Reach::Beginning);
        }
        if let Some(tid) = flow.tid() {
            earlier.push(tid, reach);
        }
        Some(earlier)
    }
}
