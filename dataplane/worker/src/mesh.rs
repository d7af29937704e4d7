//! Hand-over between workers: each has one bounded inbox, and frames come in whole bursts, so that
//! the order within a flow is kept.

use crossbeam::queue::ArrayQueue;
use engine::frame::{BURST, Burst};
use engine::tables::InterfaceId;
use std::sync::Arc;

/// Frames that one worker hands to another in one go.
#[derive(Debug)]
pub struct Batch<B> {
    /// The interface that they came in by.
    pub from: InterfaceId,
    /// The frames.
    pub frames: Burst<B>,
}

/// Batches that an inbox holds.
const DEPTH: usize = 128;

/// Frames that an inbox holds at the most.
pub const FRAMES: usize = DEPTH * BURST;

/// All workers' inboxes, by worker.
#[derive(Debug)]
pub struct Mesh<B>(Arc<[ArrayQueue<Batch<B>>]>);

impl<B> Mesh<B> {
    /// Empty inboxes for so many workers.
    pub fn new(workers: u16) -> Mesh<B> {
        Mesh((0..workers).map(|_| ArrayQueue::new(DEPTH)).collect())
    }

    /// How many workers there are.
    pub fn workers(&self) -> u16 {
        self.0.len() as u16
    }

    /// Leaves a batch to a worker; gives it back when the worker's inbox is full.
    pub fn hand_over(&self, worker: u16, batch: Batch<B>) -> Result<(), Batch<B>> {
        self.0[usize::from(worker)].push(batch)
    }

    /// The oldest batch left to this worker.
    pub fn take_over(&self, worker: u16) -> Option<Batch<B>> {
        self.0[usize::from(worker)].pop()
    }
}

// Not derived: that would ask for buffers that can be copied.
impl<B> Clone for Mesh<B> {
    fn clone(&self) -> Mesh<B> {
        Mesh(Arc::clone(&self.0))
    }
}
