//! Reasons for the end of transfers and connections, and which of them are failures.

/// Why a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EndReason {
    /// The last block was acknowledged.
    Completed,
    /// The client asked only for the file's size.
    SizeProbe,
    /// The server does not have the file.
    NotFound,
    /// One side sent another ERROR.
    Failed,
    /// The client was not heard after its request.
    Unheard,
    /// The backend did not answer.
    Unanswered,
    /// The idle timeout expired.
    TimedOut,
    /// A new request of the same endpoint replaced the transfer.
    Replaced,
    /// A newer request needed the entry.
    Evicted,
    /// The server died, and another one took over.
    FailedOver,
    /// The server died, and no other one can take over.
    Lost,
    /// The backend was drained or removed; used for UDP connections, which have no other end.
    Drained,
    /// Another gate has the VIP now, and sees the end.
    Elsewhere,
}

/// The meaning of an end for the client. Nothing else tells failures from other ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndKind {
    /// The client got what it asked for.
    Completed,
    /// The server does not have the file.
    NotFound,
    /// The transfer or connection broke off.
    Failed,
    /// One side fell silent.
    Silent,
    /// Neither success nor failure: it went on elsewhere, made way for another one of the same endpoint, was drained, or its
    /// protocol has no end.
    Neutral,
}

impl EndKind {
    /// Whether something went wrong.
    pub fn is_failure(self) -> bool {
        match self {
            EndKind::NotFound | EndKind::Failed | EndKind::Silent => true,
            EndKind::Completed | EndKind::Neutral => false,
        }
    }
}

impl EndReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [EndReason; 13] = [
        EndReason::Completed,
        EndReason::SizeProbe,
        EndReason::NotFound,
        EndReason::Failed,
        EndReason::Unheard,
        EndReason::Unanswered,
        EndReason::TimedOut,
        EndReason::Replaced,
        EndReason::Evicted,
        EndReason::FailedOver,
        EndReason::Lost,
        EndReason::Drained,
        EndReason::Elsewhere,
    ];

    /// The name that operators see.
    pub fn name(self) -> &'static str {
        match self {
            EndReason::Completed => "completed",
            EndReason::SizeProbe => "size-probe",
            EndReason::NotFound => "not-found",
            EndReason::Failed => "failed",
            EndReason::Unheard => "unheard",
            EndReason::Unanswered => "unanswered",
            EndReason::TimedOut => "timed-out",
            EndReason::Replaced => "replaced",
            EndReason::Evicted => "evicted",
            EndReason::FailedOver => "failed-over",
            EndReason::Lost => "lost",
            EndReason::Drained => "drained",
            EndReason::Elsewhere => "elsewhere",
        }
    }

    /// The kind of this end. A protocol without an end leaves every connection idle at last: that is no failure.
    pub fn kind(self, is_without_end: bool) -> EndKind {
        match self {
            EndReason::Completed | EndReason::SizeProbe => EndKind::Completed,
            EndReason::NotFound => EndKind::NotFound,
            EndReason::Failed | EndReason::Lost | EndReason::Evicted => EndKind::Failed,
            EndReason::TimedOut if is_without_end => EndKind::Neutral,
            EndReason::Unanswered | EndReason::Unheard | EndReason::TimedOut => EndKind::Silent,
            EndReason::FailedOver
            | EndReason::Drained
            | EndReason::Replaced
            | EndReason::Elsewhere => EndKind::Neutral,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_at_their_numbers() {
        for (number, reason) in EndReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number, "{}", reason.name());
        }
    }

    #[test]
    fn ends_that_go_on_elsewhere_are_no_failures() {
        let is_failure = |end: &&EndReason| end.kind(false).is_failure();
        let (failures, others): (Vec<_>, Vec<_>) = EndReason::ALL.iter().partition(is_failure);
        let names = |ends: Vec<&EndReason>| ends.iter().map(|end| end.name()).collect::<Vec<_>>();
        assert_eq!(
            names(failures),
            ["not-found", "failed", "unheard", "unanswered", "timed-out", "evicted", "lost"]
        );
        assert_eq!(
            names(others),
            ["completed", "size-probe", "replaced", "failed-over", "drained", "elsewhere"]
        );
    }

    #[test]
    fn silence_is_no_failure_where_a_protocol_has_no_end() {
        for end in EndReason::ALL {
            let expected = match end {
                EndReason::TimedOut => EndKind::Neutral,
                other => other.kind(false),
            };
            assert_eq!(end.kind(true), expected, "{}", end.name());
        }
    }
}
