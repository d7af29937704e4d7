//! Requests for transfers and connections, and the answers.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// A filter for transfers and connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Only transfers and connections of this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Only transfers and connections of this client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// The most transfers and connections to list; [`DEFAULT_LIMIT`] if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Transfers and connections in an answer by default.
pub const DEFAULT_LIMIT: usize = 100;
/// The most transfers and connections in an answer.
pub const MAX_LIMIT: usize = 10_000;

/// Transfers and connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flows {
    /// The number of matches, even if fewer are listed.
    pub matching: usize,
    /// Transfers, youngest first.
    pub flows: Vec<Flow>,
    /// Connections, youngest first. The limit counts both lists together.
    pub connections: Vec<Connection>,
}

/// A transfer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flow {
    /// The transfer's service.
    pub service: String,
    /// The transfer's backend.
    pub backend: String,
    /// The client's endpoint.
    pub client: SocketAddr,
    /// The endpoint that the backend sees as the client.
    pub seen_as: SocketAddr,
    /// The server's port, once known.
    pub tid: Option<u16>,
    /// The state: `requested`, `established`, `closing` or `completed`.
    pub state: String,
    /// The operation: `read` or `write`.
    pub kind: String,
    /// The file's name, or its end; bytes that are not UTF-8 are replaced.
    pub file: String,
    /// The last block that the client has acknowledged or sent.
    pub blocks: u32,
    /// Bytes of a full block.
    #[serde(default)]
    pub blksize: u16,
    /// Blocks an ACK.
    #[serde(default)]
    pub windowsize: u16,
    /// The file's size, if the server told it (`tsize`): its lower 32 bits; else `null`.
    #[serde(default)]
    pub size: Option<u32>,
    /// Bytes of DATA messages; in `dsr` only the client's.
    pub bytes: u64,
    /// Seconds since its request.
    pub age: f64,
    /// Seconds since its last packet.
    pub idle: f64,
    /// Seconds from its request to the first answer, once there was one; `null` after a restart, too.
    #[serde(default)]
    pub answer: Option<f64>,
    /// Requests, blocks and ACKs that the client has repeated.
    #[serde(default)]
    pub repeats_client: u16,
    /// Backends before this one.
    #[serde(default)]
    pub moves: u8,
    /// The first backend, if there was another one before; else `null`.
    #[serde(default)]
    pub first_backend: Option<String>,
    /// Why the backend was chosen, as in the log of transfers.
    #[serde(default)]
    pub why: String,
}

/// A connection of a service other than TFTP, or of a NAT rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// The kind: `client`, from a client to a service; `data`, an FTP data connection; `policy`, opened by a server
    /// under a NAT rule.
    pub kind: String,
    /// The connection's service; `null` for a connection under a NAT rule.
    pub service: Option<String>,
    /// The connection's backend; `null` for a connection under a NAT rule.
    pub backend: Option<String>,
    /// The protocol: `tcp`, `udp`, `any`, or the number of another one.
    pub protocol: String,
    /// The client's endpoint, which talks to the VIP. Its port is 0 while unknown.
    pub client: SocketAddr,
    /// The endpoint that the client talks to.
    pub vip: SocketAddr,
    /// The endpoint that the server sees as the client.
    pub seen_as: SocketAddr,
    /// The server's endpoint.
    pub server: SocketAddr,
    /// The state: `expected`, `half-open`, `open`, `closing` or `closed`.
    pub state: String,
    /// Bytes from the client, as IP counts them.
    pub bytes_in: u64,
    /// Bytes from the server; none in `dsr`.
    pub bytes_out: u64,
    /// Seconds since its first packet.
    pub age: f64,
    /// Seconds since its last packet.
    pub idle: f64,
}
impl Flow {
    /// Whether the transfer is over, and its row only waits for late packets.
    pub fn is_over(&self) -> bool {
        ["closing", "completed"].contains(&&*self.state)
    }
}

impl Connection {
    /// Whether the connection is over, and its row only waits for late packets.
    pub fn is_over(&self) -> bool {
        self.state == "closed"
    }
}
