//! Hand-over between workers: each has one bounded inbox. Frames are handed over in whole bursts, so that the order
//! within a flow is kept.

use crossbeam::queue::ArrayQueue;
use engine::types::frame::{BURST, Burst};
use engine::types::id::InterfaceId;
use std::sync::Arc;

/// Frames that one worker hands to another at once.
#[derive(Debug)]
pub struct Batch<B> {
    /// The interface that received the frames.
    pub from: InterfaceId,
    /// The frames.
    pub frames: Burst<B>,
}

/// Batches that an inbox holds.
const DEPTH: usize = 128;

/// Frames that an inbox can hold.
pub const FRAMES: usize = DEPTH * BURST;

/// The inboxes of all workers.
#[derive(Debug)]
pub struct Inboxes<B>(Arc<[ArrayQueue<Batch<B>>]>);

impl<B> Inboxes<B> {
    /// Creates empty inboxes for so many workers.
    pub fn new(workers: u16) -> Inboxes<B> {
        Inboxes((0..workers).map(|_| ArrayQueue::new(DEPTH)).collect())
    }

    /// The number of workers.
    pub fn workers(&self) -> u16 {
        self.0.len() as u16
    }

    /// Pushes a batch into a worker's inbox; returns the batch when the inbox is full.
    pub fn hand_over(&self, worker: u16, batch: Batch<B>) -> Result<(), Batch<B>> {
        self.0[usize::from(worker)].push(batch)
    }

    /// Pops the oldest batch from this worker's inbox.
    pub fn take_over(&self, worker: u16) -> Option<Batch<B>> {
        self.0[usize::from(worker)].pop()
    }
}

// Not derived: that would ask for buffers that can be copied.
impl<B> Clone for Inboxes<B> {
    fn clone(&self) -> Inboxes<B> {
        Inboxes(Arc::clone(&self.0))
    }
}
