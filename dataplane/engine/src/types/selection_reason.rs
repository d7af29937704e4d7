//! Reasons for the choice of a backend.

/// Why a request went to its backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SelectionReason {
    /// The transfer was restored from an earlier process, which knew.
    #[default]
    Unknown,
    /// The next one in turn.
    RoundRobin,
    /// The backend with the fewest transfers for its weight.
    LeastTransfers,
    /// The hash of the client's address.
    SourceHash,
    /// The hash of the file name.
    FileHash,
    /// The client's backend of before (persistence).
    Persistence,
    /// The backend of the client's other connections (client affinity).
    Affinity,
    /// The hash of the client's address, which another gate has followed before.
    Adopted,
    /// The other gate of the pair has chosen it, and told of it.
    Synced,
    /// The usual backends were full or down: one that made room, or was ejected.
    SpillOver,
    /// The backend before left the request unanswered.
    AskedElsewhere,
    /// The backend before died in the middle of the transfer.
    Failover,
}

impl SelectionReason {
    /// The name that operators see.
    pub fn name(self) -> &'static str {
        match self {
            SelectionReason::Unknown => "unknown",
            SelectionReason::RoundRobin => "round-robin",
            SelectionReason::LeastTransfers => "least-transfers",
            SelectionReason::SourceHash => "source-hash",
            SelectionReason::FileHash => "file-hash",
            SelectionReason::Persistence => "persistence",
            SelectionReason::Affinity => "affinity",
            SelectionReason::Adopted => "adopted",
            SelectionReason::Synced => "synced",
            SelectionReason::SpillOver => "spill-over",
            SelectionReason::AskedElsewhere => "asked-elsewhere",
            SelectionReason::Failover => "failover",
        }
    }
}
