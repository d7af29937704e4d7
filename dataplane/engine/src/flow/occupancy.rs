//! Occupancy of a worker's tables, which the worker publishes every tick.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A value with one writing thread and any number of reading ones.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets the value. Only the owning worker may call it.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The current value.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Rows of one worker's tables that are in use; each row counts once.
#[derive(Debug, Default)]
pub struct Occupancy {
    /// Transfers, ended ones included as long as their rows are kept for late packets.
    pub transfers: Gauge,
    /// Connections that are open, closing or closed.
    pub connections: Gauge,
    /// Data connections that were announced and not yet opened.
    pub expected: Gauge,
    /// Connections of which one side has sent a SYN.
    pub half_open: Gauge,
}
