//! Who may be chosen at the moment.

use super::slow_start::{WHOLE, lot};
use crate::here::Here;
use crate::reason::Reason;
use crate::select::cap::Cap;
use crate::tables::{Backend, BackendId};
use std::cell::Cell;

/// What there is to choose from for one request.
pub struct Candidates<'a> {
    here: &'a Here<'a>,
    avoid: Option<BackendId>,
    /// The first one that had its turn, but has only just come back.
    passed_over: Cell<Option<BackendId>>,
}

impl<'a> Candidates<'a> {
    /// All but one.
    pub fn new(here: &'a Here<'a>, avoid: Option<BackendId>) -> Candidates<'a> {
        Candidates { here, avoid, passed_over: Cell::new(None) }
    }

    /// Whether this one can take the transfer.
    pub fn has(&self, backend: BackendId) -> bool {
        self.would_have(backend) && self.backend(backend).cap.as_ref().is_none_or(Cap::has_room)
    }

    /// Chooses this one, if it can be, and takes a place there.
    #[inline]
    pub fn take(&self, backend: BackendId) -> bool {
        self.would_have(backend) && self.backend(backend).take_place()
    }

    /// The same, if this turn is among those that are its share: a lot is drawn, which is always the same for this
    /// number.
    #[inline]
    pub fn take_turn(&self, backend: BackendId, number: u64) -> bool {
        match self.backend(backend).slow_start {
            Some(start) if start.share(self.here.now) <= lot(number) => {
                self.pass_over(backend);
                false
            }
            Some(_) | None => self.take(backend),
        }
    }

    fn pass_over(&self, backend: BackendId) {
        if self.passed_over.get().is_none() && self.has(backend) {
            self.passed_over.set(Some(backend));
        }
    }

    /// The backend's share of its turns, of [`WHOLE`].
    pub fn share(&self, backend: BackendId) -> u32 {
        self.backend(backend).slow_start.map_or(WHOLE, |start| start.share(self.here.now))
    }

    /// Chooses one that was passed over: it is better than none.
    pub fn take_passed_over(&self) -> Option<BackendId> {
        self.passed_over.get().filter(|&backend| self.take(backend))
    }

    /// Why none of these was chosen.
    pub fn why_none(&self, mut backends: impl Iterator<Item = BackendId>) -> Reason {
        let full = backends.any(|backend| self.would_have(backend));
        if full { Reason::BackendsFull } else { Reason::NoBackend }
    }

    /// Whether it could take the transfer if it had a place.
    fn would_have(&self, backend: BackendId) -> bool {
        self.avoid != Some(backend) && self.here.takes(backend)
    }

    fn backend(&self, backend: BackendId) -> &Backend {
        &self.here.tables.backends[usize::from(backend)]
    }
}
