//! For whom a port is allocated.

use crate::net::rss::RssEntry;
use crate::types::tick::Tick;

/// The RSS entry of the client that a port is for, and the time.
#[derive(Debug, Clone, Copy)]
pub struct Taker {
    /// The client's entry.
    pub entry: RssEntry,
    /// The time.
    pub now: Tick,
}
