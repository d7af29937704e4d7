//! Outcomes of records, which outputs choose by.

use crate::config::REFUSED;
use engine::state::flow_log::{FlowEvent, FlowRecord};
use engine::types::end_reason::EndReason;

/// The outcome of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The end of a transfer or connection.
    Ended(EndReason),
    /// The backend did not answer, and the request went to another one: the client has yet to see its end.
    AskedElsewhere,
    /// A refused request.
    Refused,
}

impl Outcome {
    /// The outcome of this record.
    pub fn of(record: &FlowRecord) -> Outcome {
        match &record.event {
            FlowEvent::Transfer(end, _) | FlowEvent::Connection(end, _) => {
                if end.history.goes_on {
                    Outcome::AskedElsewhere
                } else {
                    Outcome::Ended(end.reason)
                }
            }
            FlowEvent::Refused(_) => Outcome::Refused,
        }
    }

    /// Whether something went wrong, by whether the protocol is without an end.
    pub fn is_failure(self, is_without_end: bool) -> bool {
        match self {
            Outcome::Ended(end) => end.kind(is_without_end).is_failure(),
            Outcome::AskedElsewhere => false,
            Outcome::Refused => true,
        }
    }

    /// The name that operators see.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ended(end) => end.name(),
            Outcome::AskedElsewhere => EndReason::Unanswered.name(),
            Outcome::Refused => REFUSED,
        }
    }
}
