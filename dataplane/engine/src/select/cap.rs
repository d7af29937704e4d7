//! The most transfers that a backend has at a time. All workers count in one place, or they could only keep to
//! it by each keeping to a part. It is the one thing that they all write: once when a transfer of such a backend
//! begins and once when it ends, never for a packet.
//!
//! A worker can give up places of its own transfers alone. One that has none to give up asks the others for some: whoever
//! gives one up keeps it for those that asked.

use crate::count::Counters;
use crate::tables::Tables;
use crate::tick::{PER_SECOND, Tick};
use crossbeam::utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Ticks after which nobody waits any longer for places that were asked for: most clients have asked again by then.
const PATIENCE: u32 = 10 * PER_SECOND;

/// Places that are taken. Snapshots come and go, they stay.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<CachePadded<Counts>>);

/// Only `taken` has to be exact: the others may be wrong by a few when workers write at once.
#[derive(Debug, Default)]
struct Counts {
    taken: AtomicU32,
    /// Places that workers have asked the others for.
    wanted: AtomicU32,
    /// Places that were given up for them.
    kept: AtomicU32,
    /// The tick of the first of these wishes.
    since: AtomicU32,
}

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
        self.places.0.taken.load(Relaxed)
    }

    /// Whether another one can be taken.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.taken() < self.most_now()
    }

    /// Takes one, if there is one that is not kept for somebody.
    pub fn take(&self) -> bool {
        let most = self.most_now();
        let more = |taken| (taken < most).then_some(taken + 1);
        self.places.0.taken.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Takes so many for transfers that are there already.
    pub fn take_over(&self, transfers: u32) {
        self.places.0.taken.fetch_add(transfers, Relaxed);
    }

    /// Gives so many back.
    pub fn give_back(&self, transfers: u32) {
        self.places.0.taken.fetch_sub(transfers, Relaxed);
    }

    /// Asks other workers for one.
    pub fn ask(&self, now: Tick) {
        let Counts { wanted, kept, since, .. } = &**self.places.0;
        if wanted.load(Relaxed) == 0 && kept.load(Relaxed) == 0 {
            since.store(now.0, Relaxed);
        }
        let more = |wanted| (wanted < self.most).then_some(wanted + 1);
        let _ = wanted.fetch_update(Relaxed, Relaxed, more);
    }

    /// Ticks since the first of these was asked for, if there are any.
    pub fn waited(&self, now: Tick) -> Option<u32> {
        let Counts { wanted, since, .. } = &**self.places.0;
        (wanted.load(Relaxed) > 0).then(|| now.since(Tick(since.load(Relaxed))))
    }

    /// Keeps one for whoever asked, which is about to be given back. Answers whether anybody did.
    pub fn keep(&self) -> bool {
        let is_wanted = less(&self.places.0.wanted);
        self.places.0.kept.fetch_add(u32::from(is_wanted), Relaxed);
        is_wanted
    }

    /// One that is kept is for whoever comes now. Answers whether there was one.
    pub fn hand_out(&self) -> bool {
        less(&self.places.0.kept)
    }

    /// Nobody waits any longer for what was asked for long ago.
    pub fn forget_wishes(&self, now: Tick) {
        let Counts { wanted, kept, since, .. } = &**self.places.0;
        let is_any = wanted.load(Relaxed) > 0 || kept.load(Relaxed) > 0;
        if is_any && now.since(Tick(since.load(Relaxed))) >= PATIENCE {
            wanted.store(0, Relaxed);
            kept.store(0, Relaxed);
        }
    }

    /// How many can be taken by those who have not asked.
    #[inline]
    fn most_now(&self) -> u32 {
        self.most.saturating_sub(self.places.0.kept.load(Relaxed))
    }

    /// Whether these are the same places.
    pub fn is_same(&self, other: &Cap) -> bool {
        Arc::ptr_eq(&self.places.0, &other.places.0)
    }
}

/// One less, if there is one.
fn less(count: &AtomicU32) -> bool {
    count.fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1)).is_ok()
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
