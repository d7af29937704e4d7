//! The most transfers that a backend has at a time. All workers count in one place, or they could only keep to
//! it by each keeping to a part. It is the one thing that they all write: once when a transfer of such a backend
//! begins and once when it ends, never for a packet.

use crate::count::Counters;
use crate::tables::Tables;
use crossbeam::utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Places that are taken. Snapshots come and go, they stay.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<CachePadded<AtomicU32>>);

/// A backend's limit.
#[derive(Debug, Clone)]
pub struct Cap {
    most: u32,
    places: Places,
}

impl Cap {
    /// At most so many of these places.
    pub fn new(most: u32, places: Places) -> Cap {
        Cap { most, places }
    }

    /// How many are taken.
    pub fn taken(&self) -> u32 {
        self.places.0.load(Relaxed)
    }

    /// Whether another one can be taken.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.taken() < self.most
    }

    /// Takes one, if there is one.
    pub fn take(&self) -> bool {
        let more = |taken| (taken < self.most).then_some(taken + 1);
        self.places.0.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Takes so many for transfers that are there already.
    pub fn take_over(&self, transfers: u32) {
        self.places.0.fetch_add(transfers, Relaxed);
    }

    /// Gives so many back.
    pub fn give_back(&self, transfers: u32) {
        self.places.0.fetch_sub(transfers, Relaxed);
    }

    /// Whether these are the same places.
    pub fn is_same(&self, other: &Cap) -> bool {
        Arc::ptr_eq(&self.places.0, &other.places.0)
    }
}

/// Control may give a backend a limit that it had not, or take it away: transfers of this worker's that are
/// there have places from then on, or none.
pub fn recount(old: &Tables, new: &Tables, counters: &Counters) {
    let backends = old.backends.iter().zip(&new.backends).zip(&counters.backends);
    for ((old, new), transfers) in backends {
        match (&old.cap, &new.cap) {
            (Some(old), Some(new)) if old.is_same(new) => {}
            (old, new) => {
                let now = transfers.now() as u32;
                old.iter().for_each(|cap| cap.give_back(now));
                new.iter().for_each(|cap| cap.take_over(now));
            }
        }
    }
}
