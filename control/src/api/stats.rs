//! Answers with counters and latencies.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Counters by name, in the order of the dataplane's list.
pub type Counts = serde_json::Map<String, Value>;

/// Counters, which go on over a restart. Packets received, taken over and from the kernel add up to those transmitted, answered,
/// passed to the kernel, handed over and dropped.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stats {
    /// Packets, of all workers.
    pub packets: Counts,
    /// Dropped packets by reason, of all workers.
    pub drops: Counts,
    /// Counters of each worker.
    pub workers: Vec<WorkerStats>,
    /// Outcomes of transfers, of all services.
    pub transfers: Counts,
    /// Requests that services refused, by reason.
    pub refused: Counts,
    /// Latency over all workers.
    pub latency: Latency,
    /// The share of received frames that another worker owned, 0 to 1.
    pub handed_over_share: f64,
}

/// Latency of frames in a worker: from before the receive call that brought them until after the device has taken the
/// frames that left. In nanoseconds, to two digits, one value for each turn with frames: a burst, or up to four while
/// they are full.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Turns with frames.
    pub turns: u64,
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile.
    pub p99_9: u64,
    /// The longest latency.
    pub max: u64,
}

/// One worker's counters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerStats {
    /// The worker's CPU core.
    pub core: u16,
    /// The worker's packets.
    pub packets: Counts,
    /// The worker's dropped packets, by reason.
    pub drops: Counts,
    /// Latency of the worker's frames.
    pub latency: Latency,
}
