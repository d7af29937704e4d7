//! Requests for the last records of the log, and for the clients in them. Workers make records of everything from the first
//! such request on, until ten seconds after the last one.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A request for lines of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newer {
    /// Only lines behind the one with this number.
    #[serde(default)]
    pub after: u64,
    /// The most lines; [`super::DEFAULT_LIMIT`] if left out. The daemon keeps 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The last lines of the log.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Log {
    /// The time from which all ends and refusals are kept, in seconds since 1970. Lines from before are failures that the
    /// web page has.
    pub since: u64,
    /// The lines, the latest first.
    pub lines: Vec<LogLine>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The line's number since the daemon's start. Gaps are lines that later ones have pushed out.
    pub seq: u64,
    /// The time of the end or refusal, by RFC 3339, in UTC.
    pub time: String,
    /// The line's readable form.
    pub text: String,
}

/// The clients with the most requests that did not complete, and those with the most bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Clients {
    /// The time from which clients are counted, in seconds since 1970.
    pub since: u64,
    /// The clients with the most requests that did not complete.
    pub unfinished: Vec<ClientRow>,
    /// The most requests of one client that may be missing in `unfinished`, as others needed the room.
    pub missed: u64,
    /// The clients with the most bytes.
    pub talkers: Vec<ClientRow>,
    /// The most bytes of one client that may be missing in `talkers`.
    pub missed_bytes: u64,
}

/// A client, with the outcomes of its requests: in `unfinished`, of those since its first one that did not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRow {
    /// The client's address.
    pub client: IpAddr,
    /// The outcomes.
    #[serde(flatten)]
    pub counts: ClientCounts,
}

/// The outcomes of one client's requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCounts {
    /// Transfers and connections that completed.
    pub completed: u64,
    /// Files that no server had.
    pub not_found: u64,
    /// Transfers and connections that failed in another way.
    pub failed: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Requests, blocks and ACKs that the client repeated.
    pub repeats: u64,
    /// Bytes of transfers and connections.
    pub bytes: u64,
    /// The last request that did not complete, as in `timed-out pxelinux.0`; empty: all did.
    pub last: String,
}
