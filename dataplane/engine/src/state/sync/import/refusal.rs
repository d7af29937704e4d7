//! Reasons for which rows of the peer's are refused.

/// Why a row of the peer's is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncRefusal {
    /// This gate holds the VIP, or the address that the server sees.
    Held,
    /// No such service, VIP, backend or interface.
    Unknown,
    /// The row contradicts itself or the configuration.
    Malformed,
    /// The service does not admit the client.
    Client,
    /// The port that the server sees is another flow's.
    Port,
    /// The table is full.
    Full,
}

impl SyncRefusal {
    /// All reasons, in the order of their numbers.
    pub const ALL: [SyncRefusal; 6] = [
        SyncRefusal::Held,
        SyncRefusal::Unknown,
        SyncRefusal::Malformed,
        SyncRefusal::Client,
        SyncRefusal::Port,
        SyncRefusal::Full,
    ];

    /// The name that operators see.
    pub fn name(self) -> &'static str {
        match self {
            SyncRefusal::Held => "held",
            SyncRefusal::Unknown => "unknown",
            SyncRefusal::Malformed => "malformed",
            SyncRefusal::Client => "client",
            SyncRefusal::Port => "port",
            SyncRefusal::Full => "full",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_stand_at_their_numbers() {
        for (number, reason) in SyncRefusal::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number, "{}", reason.name());
        }
    }
}
