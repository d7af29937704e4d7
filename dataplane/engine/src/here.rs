//! The circumstances that a burst is handled in.

use crate::tables::{Backend, BackendId, InterfaceId, Tables};
use crate::tick::Tick;
use wire::ethernet::Mac;

/// How frames come to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// From the device.
    Device,
    /// From a worker that does not own them.
    Worker,
    /// They were held ([`crate::verdict::Verdict::Hold`]), and are let go.
    Release,
}

/// The circumstances of a burst.
pub struct Here<'a> {
    /// What control says of the world.
    pub tables: &'a Tables,
    /// The time.
    pub now: Tick,
    /// The interface that the burst came in by.
    pub from: InterfaceId,
    /// How it came here from there.
    pub by: By,
    /// Our hardware address there.
    pub mac: Mac,
    /// An IP packet of so many bytes goes out by any interface.
    pub least_mtu: usize,
    /// This worker's number.
    pub worker: u16,
    /// How many workers there are.
    pub workers: u16,
}

impl Here<'_> {
    /// The backend with this number.
    #[inline]
    pub fn backend(&self, id: BackendId) -> &Backend {
        &self.tables.backends[usize::from(id)]
    }
}
