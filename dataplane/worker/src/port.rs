//! The devices of a worker: one receive queue, one transmit queue, bursts.

use engine::frame::{Burst, Frame};

/// One worker's own pair of queues on one device.
pub trait Port {
    /// The device's packet buffer.
    type Buffer: Frame;

    /// Fills `burst`, which is empty, with what has arrived; never waits.
    fn receive(&mut self, burst: &mut Burst<Self::Buffer>);

    /// Sends from the front of `burst` and removes what the device took; what it had no room for
    /// stays.
    fn transmit(&mut self, burst: &mut Burst<Self::Buffer>);

    /// A buffer holding a copy of `frame`; `None` when none is free.
    fn frame(&mut self, frame: &[u8]) -> Option<Self::Buffer>;
}

/// Where control gets buffers for frames that the kernel sends.
pub trait Pool: Send + Sync {
    /// The same buffer as the ports'.
    type Buffer: Frame;

    /// A buffer holding a copy of `frame`; `None` when the pool is empty or the frame too long for
    /// one buffer.
    fn frame(&self, frame: &[u8]) -> Option<Self::Buffer>;
}
