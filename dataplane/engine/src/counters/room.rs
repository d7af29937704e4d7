//! The size of a worker's counters.

use super::counter::Counter;
use super::histogram::{Answers, ServiceHistograms};
use super::sets::{Drops, Load, Packets, Refusals, Transfers};
use crate::snapshot::Snapshot;

/// The number of backends and services that counters have room for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Backends.
    pub backends: usize,
    /// Services.
    pub services: usize,
}

impl Room {
    /// Room for the backends and services of a snapshot, and `more` of each.
    pub fn of(snapshot: &Snapshot, more: usize) -> Room {
        let (backends, services) = (snapshot.backends.len(), snapshot.services.len());
        Room { backends: backends + more, services: services + more }
    }

    /// Bytes of each part, in the order of the memory.
    pub(super) fn parts(self) -> [usize; 8] {
        let Room { backends, services } = self;
        [
            size_of::<Packets>(),
            size_of::<Drops>(),
            size_of::<Load>(),
            size_of::<Counter>(),
            backends * size_of::<Transfers>(),
            backends * size_of::<Answers>(),
            services * size_of::<Refusals>(),
            services * size_of::<ServiceHistograms>(),
        ]
    }

    /// Bytes of one worker's counters.
    pub fn size(self) -> usize {
        self.parts().iter().sum()
    }
}
