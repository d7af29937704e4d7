//! Transfers and connections, as they are asked for and answered.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Which transfers and connections are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Only this service's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Only this client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// At most so many; [`DEFAULT_LIMIT`] if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Transfers and connections in an answer, unless asked otherwise.
pub const DEFAULT_LIMIT: usize = 100;
/// In an answer at the most.
pub const MAX_LIMIT: usize = 10_000;

/// Transfers and connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flows {
    /// All that match, even if fewer are listed.
    pub matching: usize,
    /// Transfers, youngest first.
    pub flows: Vec<Flow>,
    /// Connections, likewise. Those of both lists are at most as many as were asked for.
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
    /// `requested`, `established`, `closing` or `completed`.
    pub state: String,
    /// `read` or `write`.
    pub kind: String,
    /// The file's name, or its end; what is not UTF-8 is replaced.
    pub file: String,
    /// The last block that the client has acknowledged or sent.
    pub blocks: u32,
    /// Bytes of DATA seen. In `dsr` only those of the client.
    pub bytes: u64,
    /// Seconds since its request.
    pub age: f64,
    /// Seconds since its last packet.
    pub idle: f64,
}

/// A connection of a service that is not TFTP's, or of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// `client`: a client's to a service; `data`: one that carries data for another one; `policy`: a server's own, by
    /// a rule.
    pub kind: String,
    /// The connection's service; `null`: the connection is of a rule.
    pub service: Option<String>,
    /// The connection's backend; `null` likewise.
    pub backend: Option<String>,
    /// `tcp`, `udp`, `any`, or another one's number.
    pub protocol: String,
    /// The endpoint of whoever talks to the VIP. Its port is 0 while that is not known.
    pub client: SocketAddr,
    /// The endpoint that the client talks to.
    pub vip: SocketAddr,
    /// The endpoint that the server sees as the client.
    pub seen_as: SocketAddr,
    /// The server's endpoint.
    pub server: SocketAddr,
    /// `expected`, `half-open`, `open`, `closing` or `closed`.
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
