//! How much of an address's ports is in use, for control.

use super::PortAllocator;
use super::blocks::{BLOCKS, FIRST, IN_BLOCK, bit};
use crate::types::tick::Tick;
use std::sync::atomic::Ordering::Relaxed;

/// The number of ports of one address and protocol.
pub const PORTS: u32 = (1 << 16) - FIRST as u32;

/// Ports of one address and protocol that are not at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Ports in use.
    pub taken: u32,
    /// Free ports that packets of their last transfer may still come to.
    pub resting: u32,
}

impl PortAllocator {
    /// Counts the ports that are in use or rest. Workers go on meanwhile.
    pub fn usage(&self, now: Tick) -> Usage {
        let mut usage = Usage::default();
        for block in FIRST / IN_BLOCK..BLOCKS as u16 {
            let first = block * IN_BLOCK;
            let taken = self.block(first, Relaxed).taken();
            let free = (first..=first + (IN_BLOCK - 1)).filter(|&port| taken & bit(port) == 0);
            usage.taken += taken.count_ones();
            usage.resting += free.filter(|&port| self.rest(port).is_pending(now)).count() as u32;
        }
        usage
    }
}
