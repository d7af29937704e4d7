//! Configuration of a device.

use engine::net::rss::Steer;
use engine::types::frame::BURST;

/// Queues, MTU and RSS of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortConfig {
    /// Transmit queues: one for each worker.
    pub transmit: u16,
    /// Receive queues: those of the first workers.
    pub receive: u16,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// Descriptors of each receive queue, unless the device needs another number.
    pub rx_ring: u16,
    /// Descriptors of each transmit queue, unless the device needs another number.
    pub tx_ring: u16,
    /// Frames that are received from a queue at once, at most [`BURST`].
    pub burst: u16,
    /// The address that decides which queue a frame arrives on.
    pub steer: Steer,
}

impl PortConfig {
    /// Descriptors of a queue by default.
    pub const RING: u16 = 1024;

    /// A configuration with so many pairs of queues and this MTU, and defaults for the rest.
    pub fn new(queues: u16, mtu: u16) -> PortConfig {
        PortConfig {
            transmit: queues,
            receive: queues,
            mtu,
            rx_ring: PortConfig::RING,
            tx_ring: PortConfig::RING,
            burst: BURST as u16,
            steer: Steer::BySource,
        }
    }
}
