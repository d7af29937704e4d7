//! Who may be chosen at the moment.

use crate::here::Here;
use crate::reason::Reason;
use crate::select::cap::Cap;
use crate::tables::{Backend, BackendId};

/// What there is to choose from for one request.
pub struct Candidates<'a> {
    here: &'a Here<'a>,
    avoid: Option<BackendId>,
}

impl<'a> Candidates<'a> {
    /// All but one.
    pub fn new(here: &'a Here<'a>, avoid: Option<BackendId>) -> Candidates<'a> {
        Candidates { here, avoid }
    }

    /// Whether this one can take the transfer.
    pub fn has(&self, backend: BackendId) -> bool {
        self.would_have(backend) && self.backend(backend).cap.as_ref().is_none_or(Cap::has_room)
    }

    /// Chooses this one, if it can be, and takes a place there.
    pub fn take(&self, backend: BackendId) -> bool {
        self.would_have(backend) && self.backend(backend).take_place()
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
