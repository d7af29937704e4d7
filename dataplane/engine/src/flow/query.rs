//! Flows as operators see them: copied from the tables by their worker, read by control.

use crate::flow::state::{ConnectionKind, ConnectionState, Operation, TransferState};
use crate::types::id::{BackendId, ServiceId};
use crate::types::selection_reason::SelectionReason;
use arrayvec::ArrayVec;
use std::net::{IpAddr, SocketAddr};

/// Kept bytes of a file name; of longer names, the end is kept, as it differs more.
pub const FILE_NAME: usize = 23;

/// A transfer.
#[derive(Debug, Clone)]
pub struct TransferView {
    /// Service.
    pub service: ServiceId,
    /// Backend.
    pub backend: BackendId,
    /// The client's endpoint.
    pub client: SocketAddr,
    /// The endpoint that the backend sees as the client; the client's own unless the source is translated.
    pub seen_as: SocketAddr,
    /// The server's TID, once known.
    pub tid: Option<u16>,
    /// State.
    pub state: TransferState,
    /// Read or write.
    pub operation: Operation,
    /// The file name as sent, or its end.
    pub file: ArrayVec<u8, FILE_NAME>,
    /// The last block that the client has acknowledged or sent, counted on beyond 65535.
    pub blocks: u32,
    /// Bytes of a full block.
    pub blksize: u16,
    /// Blocks an ACK.
    pub windowsize: u16,
    /// The file's size, if the server told it: its lower 32 bits.
    pub size: Option<u32>,
    /// Bytes of DATA, retransmissions included. In `dsr` only the client's.
    pub bytes: u64,
    /// Ticks since the request.
    pub age: u32,
    /// Ticks since the last packet.
    pub idle: u32,
    /// Milliseconds from the request to the first answer, once there was one.
    pub answer: Option<u32>,
    /// Requests, blocks and ACKs that the client has repeated.
    pub repeats: u16,
    /// Backends that the transfer had before this one.
    pub moves: u8,
    /// The first backend, if there was another one before.
    pub first_backend: Option<BackendId>,
    /// Why the backend was chosen.
    pub reason: SelectionReason,
}

/// A connection.
#[derive(Debug, Clone)]
pub struct ConnectionView {
    /// Backend; `None`: an egress NAT connection.
    pub backend: Option<BackendId>,
    /// Kind.
    pub kind: ConnectionKind,
    /// IP protocol; 0: all.
    pub protocol: u8,
    /// The client's endpoint. Port 0: not known yet.
    pub client: SocketAddr,
    /// The endpoint that the client connects to.
    pub vip: SocketAddr,
    /// The endpoint that the server sees as the client.
    pub seen_as: SocketAddr,
    /// The server's endpoint.
    pub server: SocketAddr,
    /// State.
    pub state: ConnectionState,
    /// Bytes from the client, by IP length.
    pub bytes_in: u64,
    /// Bytes from the server; none in `dsr`.
    pub bytes_out: u64,
    /// Ticks since the first packet.
    pub age: u32,
    /// Ticks since the last packet.
    pub idle: u32,
}

/// A query for flows, and its results so far.
#[derive(Debug, Clone)]
pub struct FlowQuery {
    /// Restricts the query to this service.
    pub service: Option<ServiceId>,
    /// Restricts the query to this client.
    pub client: Option<IpAddr>,
    /// The first matching transfers, up to the initial capacity: the worker does not allocate.
    pub found: Vec<TransferView>,
    /// The first matching connections, up to the initial capacity.
    pub connections: Vec<ConnectionView>,
    /// Number of all matching flows.
    pub matching: usize,
    /// The worker's position in its tables; initially 0.
    pub cursor: usize,
}
