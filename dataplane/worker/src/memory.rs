//! A port made of memory, for tests and benchmarks: frames are put in at one end and taken out at
//! the other.

use crate::port::{Pool, Port};
use crossbeam::queue::ArrayQueue;
use engine::types::frame::{Burst, Frame};
use std::sync::Arc;

/// Bytes that a frame can grow to.
const ROOM: usize = 2048;

/// A frame with room behind it, as a device's buffer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryFrame(Vec<u8>);

impl MemoryFrame {
    /// A copy of these bytes, which fit 2 KiB.
    pub fn new(bytes: &[u8]) -> MemoryFrame {
        let mut frame = Vec::with_capacity(ROOM.max(bytes.len()));
        frame.extend_from_slice(bytes);
        MemoryFrame(frame)
    }
}

impl Frame for MemoryFrame {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn set_len(&mut self, len: usize) -> bool {
        let fits = len <= self.0.capacity();
        if fits {
            self.0.resize(len, 0);
        }
        fits
    }
}

/// Both ends of a port; cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryPort {
    /// Frames that arrive.
    pub wire_in: Arc<ArrayQueue<MemoryFrame>>,
    /// Frames that were sent. While the ring is full, the port takes no more.
    pub wire_out: Arc<ArrayQueue<MemoryFrame>>,
}

impl MemoryPort {
    /// A port that holds so many frames at each end.
    pub fn new(room: usize) -> MemoryPort {
        let ring = || Arc::new(ArrayQueue::new(room));
        MemoryPort { wire_in: ring(), wire_out: ring() }
    }
}

impl Port for MemoryPort {
    type Buffer = MemoryFrame;

    fn receive(&mut self, burst: &mut Burst<MemoryFrame>) {
        while !burst.is_full()
            && let Some(frame) = self.wire_in.pop()
        {
            burst.push(frame);
        }
    }

    fn transmit(&mut self, burst: &mut Burst<MemoryFrame>) {
        let room = self.wire_out.capacity() - self.wire_out.len();
        let sent = room.min(burst.len());
        for frame in burst.drain(..sent) {
            self.wire_out.force_push(frame);
        }
    }

    fn frame(&mut self, frame: &[u8]) -> Option<MemoryFrame> {
        MemoryPool.frame(frame)
    }
}

/// A pool that never runs out of buffers.
#[derive(Debug, Clone, Copy)]
pub struct MemoryPool;

impl Pool for MemoryPool {
    type Buffer = MemoryFrame;

    fn frame(&self, frame: &[u8]) -> Option<MemoryFrame> {
        (frame.len() <= ROOM).then(|| MemoryFrame::new(frame))
    }
}
