//! The worker that allocates a port.

use crate::types::tick::Tick;

/// The worker that allocates a port, and the time.
#[derive(Debug, Clone, Copy)]
pub struct Taker {
    /// Worker number.
    pub worker: u16,
    /// Number of workers.
    pub workers: u16,
    /// The time.
    pub now: Tick,
}
