//! The most concurrent transfers of a backend. Workers share one count; otherwise each could only keep to a part of the
//! limit. It is the only thing that all workers write: once when a transfer of such a backend begins and once when it
//! ends, never per packet.
//!
//! A worker can evict only its own transfers. A worker that has none to evict asks the others: the next eviction
//! elsewhere is then reserved for the asking clients.

use crate::types::tick::{PER_SECOND, Tick};
use crossbeam::utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// Ticks after which a wish expires: most clients have repeated their request by then.
const PATIENCE: u32 = 10 * PER_SECOND;

/// Transfers in use, shared by all snapshots.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<CachePadded<Counts>>);

/// Shared counts. Only `taken` must be exact: the others may be off by a few when workers write at once.
#[derive(Debug, Default)]
struct Counts {
    taken: AtomicU32,
    /// Transfers that workers have asked the others to evict.
    wanted: AtomicU32,
    /// Evicted transfers reserved for the asking clients.
    kept: AtomicU32,
    /// Tick of the oldest wish.
    since: AtomicU32,
}

/// A backend's limit.
#[derive(Debug, Clone)]
pub struct TransferLimit {
    most: u32,
    places: Places,
}

impl TransferLimit {
    /// A limit of `most` transfers on a shared count.
    pub fn new(most: u32, places: Places) -> TransferLimit {
        TransferLimit { most, places }
    }

    /// Transfers in use.
    pub fn taken(&self) -> u32 {
        self.places.0.taken.load(Relaxed)
    }

    /// Whether another transfer is within the limit.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.taken() < self.most_now()
    }

    /// Counts a transfer, if one is left that is not reserved.
    pub fn take(&self) -> bool {
        let most = self.most_now();
        let more = |taken| (taken < most).then_some(taken + 1);
        self.places.0.taken.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Counts transfers that exist already, even above the limit.
    pub fn take_over(&self, transfers: u32) {
        self.places.0.taken.fetch_add(transfers, Relaxed);
    }

    /// Uncounts transfers.
    pub fn give_back(&self, transfers: u32) {
        self.places.0.taken.fetch_sub(transfers, Relaxed);
    }

    /// Asks other workers to evict a transfer.
    pub fn ask(&self, now: Tick) {
        let Counts { wanted, kept, since, .. } = &**self.places.0;
        if wanted.load(Relaxed) == 0 && kept.load(Relaxed) == 0 {
            since.store(now.0, Relaxed);
        }
        let more = |wanted| (wanted < self.most).then_some(wanted + 1);
        let _ = wanted.fetch_update(Relaxed, Relaxed, more);
    }

    /// Ticks since the oldest wish, if there is one.
    pub fn waited(&self, now: Tick) -> Option<u32> {
        let Counts { wanted, since, .. } = &**self.places.0;
        (wanted.load(Relaxed) > 0).then(|| now.since(Tick(since.load(Relaxed))))
    }

    /// Reserves a transfer that is about to end for an asking client. Returns whether there was a wish.
    pub fn keep(&self) -> bool {
        let is_wanted = less(&self.places.0.wanted);
        self.places.0.kept.fetch_add(u32::from(is_wanted), Relaxed);
        is_wanted
    }

    /// Releases one reservation to the current client. Returns whether there was one.
    pub fn hand_out(&self) -> bool {
        less(&self.places.0.kept)
    }

    /// Drops expired wishes and reservations.
    pub fn forget_wishes(&self, now: Tick) {
        let Counts { wanted, kept, since, .. } = &**self.places.0;
        let is_any = wanted.load(Relaxed) > 0 || kept.load(Relaxed) > 0;
        if is_any && now.since(Tick(since.load(Relaxed))) >= PATIENCE {
            wanted.store(0, Relaxed);
            kept.store(0, Relaxed);
        }
    }

    /// The limit for clients without reservation.
    #[inline]
    fn most_now(&self) -> u32 {
        self.most.saturating_sub(self.places.0.kept.load(Relaxed))
    }

    /// Whether both limits share one count.
    pub fn is_same(&self, other: &TransferLimit) -> bool {
        Arc::ptr_eq(&self.places.0, &other.places.0)
    }
}

/// Decrements a count above zero. Returns whether it did.
fn less(count: &AtomicU32) -> bool {
    count.fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1)).is_ok()
}
