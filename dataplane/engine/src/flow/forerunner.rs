//! The forerunner of a transfer: the earlier transfer of the same endpoint. If the server sees both under one endpoint,
//! late packets of the first could be taken for the second's.

use super::transfer::{Detail, Transfer};
use crate::alg::tftp::earlier::{Earlier, Reach};

/// A transfer that is replaced by another one, or goes on beside it.
pub struct Forerunner {
    flow: Transfer,
    earlier: Earlier,
    reach: Reach,
}

impl Forerunner {
    /// The forerunner in this row.
    pub fn new(flow: &Transfer, detail: &Detail) -> Forerunner {
        Forerunner { flow: flow.clone(), earlier: detail.earlier, reach: flow.reach(detail) }
    }

    /// Earlier transfers whose late packets may come to `next`; `None`: the server sees two different endpoints.
    pub fn earlier_of(&self, next: &Transfer) -> Option<Earlier> {
        let (flow, mut earlier, reach) = (&self.flow, self.earlier, self.reach);
        let same_server = next.backend == flow.backend
            || (next.answers_seen() && next.server_key() == flow.server_key());
        if next.seen_as() != flow.seen_as() || !(same_server || flow.was_moved()) {
            return None;
        }
        // A repetition of the same request carries the same file, or prevents an ERROR.
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
