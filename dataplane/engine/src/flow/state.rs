//! States of transfers and connections.

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// The state of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u8)]
pub enum TransferState {
    /// Requested; the backend has not answered.
    Requested,
    /// Answered; the TID is known.
    Established,
    /// Ended; kept in case the last packet was lost.
    Closing,
    /// Ended, and both sides know it.
    Completed,
}

impl TransferState {
    /// Whether the transfer has ended.
    pub fn is_over(self) -> bool {
        matches!(self, TransferState::Closing | TransferState::Completed)
    }
}

/// The operation of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u8)]
pub enum Operation {
    /// RRQ: the client downloads.
    Read,
    /// WRQ: the client uploads.
    Write,
}

/// The kind of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u8)]
pub enum ConnectionKind {
    /// From a client to a service.
    Client,
    /// A data connection of another connection.
    Data,
    /// From a server, by an egress NAT rule ([`crate::snapshot::NatRule`]).
    Policy,
}

/// The state of a connection. Over UDP a connection is open from its first packet on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u8)]
pub enum ConnectionState {
    /// Announced, but not opened; the opener's port is unknown.
    Expected,
    /// One side has sent a SYN.
    HalfOpen,
    /// Both sides have been heard; in `dsr` the client, twice.
    Open,
    /// One side has sent a FIN.
    Closing,
    /// Both sides have sent a FIN, or one a RST; kept for late packets.
    Closed,
}
