//! A transfer as an operator sees it: copied out of the tables by their worker, read by control.

use crate::tables::{BackendId, ServiceId};
use arrayvec::ArrayVec;
use std::net::{IpAddr, SocketAddr};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Bytes of a file name that are kept; longer ones keep their end, which tells them apart.
pub const FILE_NAME: usize = 23;

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u8)]
pub enum State {
    /// Asked; the backend has not answered.
    Requested,
    /// The TID is known.
    Established,
    /// Ended; kept for a lost last packet.
    Closing,
    /// The same, and both sides know that it is over.
    Completed,
}

impl State {
    /// Whether the transfer has ended.
    pub fn is_over(self) -> bool {
        matches!(self, State::Closing | State::Completed)
    }
}

/// Which way the file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u8)]
pub enum Kind {
    /// RRQ: from the server.
    Read,
    /// WRQ: to the server.
    Write,
}

/// One transfer.
#[derive(Debug, Clone)]
pub struct TransferView {
    /// Its service.
    pub service: ServiceId,
    /// Its backend.
    pub backend: BackendId,
    /// The client's endpoint.
    pub client: SocketAddr,
    /// The endpoint that the backend sees as the client; the client's own unless the source is
    /// translated.
    pub seen_as: SocketAddr,
    /// The server's port, once known.
    pub tid: Option<u16>,
    /// Where it stands.
    pub state: State,
    /// Which way the file goes.
    pub kind: Kind,
    /// The file's name as the client wrote it, or its end.
    pub file: ArrayVec<u8, FILE_NAME>,
    /// The number of the last block that the client has acknowledged or sent, counted on where that
    /// wraps.
    pub blocks: u32,
    /// Bytes of DATA seen, retransmissions included. In `dsr` only those of the client.
    pub bytes: u64,
    /// Ticks since its request.
    pub age: u32,
    /// Ticks since its last packet.
    pub idle: u32,
}

/// What a connection is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u8)]
pub enum ConnectionKind {
    /// A client's to a service.
    Client,
    /// One that carries data for another one.
    Data,
    /// A server's own, by a rule ([`crate::tables::NatRule`]).
    Policy,
}

/// Where a connection stands. Over UDP it is open from its first packet on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u8)]
pub enum Stage {
    /// It is yet to be opened, by one whose port is not known.
    Expected,
    /// One side has asked for it.
    HalfOpen,
    /// Both sides have spoken; in `dsr` the client, twice.
    Open,
    /// One side has said that it is done.
    Closing,
    /// Both have, or one has broken it off; kept for late packets.
    Closed,
}

/// One connection.
#[derive(Debug, Clone)]
pub struct ConnectionView {
    /// Its backend; `None`: it is of a rule.
    pub backend: Option<BackendId>,
    /// What it is to us.
    pub kind: ConnectionKind,
    /// The protocol of IP's; 0: all.
    pub protocol: u8,
    /// The client's endpoint: whoever talks to the VIP. Its port is 0 while it is not known.
    pub client: SocketAddr,
    /// The endpoint that the client talks to.
    pub vip: SocketAddr,
    /// The endpoint that the server sees as the client.
    pub seen_as: SocketAddr,
    /// The server's endpoint.
    pub server: SocketAddr,
    /// Where it stands.
    pub stage: Stage,
    /// Bytes from the client, as IP counts them.
    pub bytes_in: u64,
    /// Bytes from the server; none in `dsr`.
    pub bytes_out: u64,
    /// Ticks since its first packet.
    pub age: u32,
    /// Ticks since its last packet.
    pub idle: u32,
}

/// Which transfers are asked for, and those found so far.
#[derive(Debug, Clone)]
pub struct FlowQuery {
    /// Only this service's.
    pub service: Option<ServiceId>,
    /// Only this client's.
    pub client: Option<IpAddr>,
    /// The first ones found, never more than the capacity that it came with: the worker does not
    /// allocate.
    pub found: Vec<TransferView>,
    /// The same of connections.
    pub connections: Vec<ConnectionView>,
    /// All that match.
    pub matching: usize,
    /// How far the worker has looked; starts at 0.
    pub cursor: usize,
}
