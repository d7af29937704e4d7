//! The direction of a packet.

use crate::types::id::VipId;

/// The direction of a packet, by its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a client to a server, by this VIP.
    ToServer(VipId),
    /// From a server to a client, by a SNAT address.
    ToSnat,
    /// From a server to a host behind the gate, possibly a client.
    ToClient,
}

impl Direction {
    /// Whether a client sent the packet.
    #[inline(always)]
    pub fn is_to_server(self) -> bool {
        matches!(self, Direction::ToServer(_))
    }

    /// The kind of key that finds the packet's flow.
    #[inline]
    pub fn key_kind(self) -> KeyKind {
        match self {
            Direction::ToServer(_) => KeyKind::Client,
            Direction::ToSnat | Direction::ToClient => KeyKind::Server,
        }
    }
}

/// The kind of a key: the same bits have a different meaning in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// The client's endpoint and the VIP.
    Client,
    /// The endpoint that the server sees, and the server.
    Server,
}
