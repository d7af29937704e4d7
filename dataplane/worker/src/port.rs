//! Ports: the devices as a worker sees them, with one receive and one transmit queue each.

use engine::types::frame::{Burst, Frame};

/// One worker's pair of queues on one device.
pub trait Port {
    /// The device's packet buffer.
    type Buffer: Frame;

    /// Fills `burst`, which is empty, with frames that have arrived; never waits.
    fn receive(&mut self, burst: &mut Burst<Self::Buffer>);

    /// Sends from the front of `burst` and removes the frames that the device took; the others stay.
    fn transmit(&mut self, burst: &mut Burst<Self::Buffer>);

    /// A buffer holding a copy of `frame`; `None` when none is free.
    fn frame(&mut self, frame: &[u8]) -> Option<Self::Buffer>;
}

/// A pool of buffers, for frames that the kernel sends.
pub trait Pool: Send + Sync {
    /// The ports' packet buffer.
    type Buffer: Frame;

    /// A buffer holding a copy of `frame`; `None` when the pool is empty or the frame too long for
    /// one buffer.
    fn frame(&self, frame: &[u8]) -> Option<Self::Buffer>;
}
