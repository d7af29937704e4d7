//! The circumstances that a burst is handled in.

use crate::own::Own;
use crate::tables::{BackendId, InterfaceId, Tables};
use crate::tick::Tick;
use wire::ethernet::Mac;

/// The circumstances of a burst.
pub struct Here<'a> {
    /// What control says of the world.
    pub tables: &'a Tables,
    /// The time.
    pub now: Tick,
    /// The interface that the burst came in by.
    pub from: InterfaceId,
    /// Our hardware address there.
    pub mac: Mac,
    /// This worker's number.
    pub worker: u16,
    /// How many workers there are.
    pub workers: u16,
}

impl<'a> Here<'a> {
    /// `now`, at an interface, for a worker.
    pub fn new(tables: &'a Tables, now: Tick, from: InterfaceId, own: &Own) -> Here<'a> {
        let mac = tables.interfaces[usize::from(from)].mac;
        Here { tables, now, from, mac, worker: own.worker, workers: own.workers }
    }

    /// Whether the backend's next hop is known.
    pub fn reaches(&self, backend: BackendId) -> bool {
        self.tables.backends[usize::from(backend)].hop.is_some()
    }
}
