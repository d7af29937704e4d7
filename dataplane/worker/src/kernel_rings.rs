//! The rings between a worker's port and the kernel's TAP of the same interface. They are
//! bounded: a flood towards the kernel fills a ring, not the worker.

use crossbeam::queue::ArrayQueue;
use std::sync::Arc;

/// Frames that each ring holds.
pub const DEPTH: usize = 1024;

/// Frames that the ring of urgent frames holds.
pub const URGENT: usize = 256;

/// The rings of one worker and one interface. No side ever waits: a frame that finds its ring full is dropped by the
/// side that pushes it.
#[derive(Debug)]
pub struct KernelRings<B> {
    /// Frames from the worker's port to the kernel.
    pub to_kernel: Arc<ArrayQueue<B>>,
    /// Frames to the kernel that overtake all others ([`engine::stage::urgent`]).
    pub urgent: Arc<ArrayQueue<B>>,
    /// Frames from the kernel, to be sent by the worker's port.
    pub from_kernel: Arc<ArrayQueue<B>>,
}

impl<B> KernelRings<B> {
    /// Creates empty rings.
    pub fn new() -> KernelRings<B> {
        KernelRings {
            to_kernel: Arc::new(ArrayQueue::new(DEPTH)),
            urgent: Arc::new(ArrayQueue::new(URGENT)),
            from_kernel: Arc::new(ArrayQueue::new(DEPTH)),
        }
    }
}

impl<B> Default for KernelRings<B> {
    fn default() -> KernelRings<B> {
        KernelRings::new()
    }
}

// Not derived: that would ask for buffers that can be copied.
impl<B> Clone for KernelRings<B> {
    fn clone(&self) -> KernelRings<B> {
        KernelRings {
            to_kernel: Arc::clone(&self.to_kernel),
            urgent: Arc::clone(&self.urgent),
            from_kernel: Arc::clone(&self.from_kernel),
        }
    }
}
