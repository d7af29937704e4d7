//! The modes of a service.

use crate::types::id::SnatId;

/// How packets reach a service's backends, and how answers return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Direct server return: only the destination MAC is rewritten.
    Dsr,
    /// Destination NAT: the backend sees the client's address and answers through the gate.
    Nat,
    /// Full NAT: the backend sees one of these SNAT addresses, which the kernel holds.
    Snat(Vec<SnatId>),
}
