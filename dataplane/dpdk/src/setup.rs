//! How a device is set up.

use engine::frame::BURST;
use engine::steer::Steer;

/// What a device is started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Queues that frames are sent on: one for each worker.
    pub transmit: u16,
    /// Queues that frames arrive on: the first of these workers'.
    pub receive: u16,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// Places in each receive queue, unless the device wants it otherwise.
    pub rx_ring: u16,
    /// Places in each transmit queue, likewise.
    pub tx_ring: u16,
    /// Frames that are taken from a queue at once, at most [`BURST`].
    pub burst: u16,
    /// Whose address decides which queue a frame arrives on.
    pub steer: Steer,
}

impl Setup {
    /// Places in a queue, unless asked otherwise.
    pub const RING: u16 = 1024;

    /// So many pairs of queues of this MTU, all else as it is by default.
    pub fn new(queues: u16, mtu: u16) -> Setup {
        Setup {
            transmit: queues,
            receive: queues,
            mtu,
            rx_ring: Setup::RING,
            tx_ring: Setup::RING,
            burst: BURST as u16,
            steer: Steer::BySource,
        }
    }
}
