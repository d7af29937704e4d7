//! Who may be chosen at the moment.

use crate::here::Here;
use crate::tables::BackendId;

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
        self.avoid != Some(backend) && self.here.takes(backend)
    }

    /// Chooses this one, if it can be.
    pub fn take(&self, backend: BackendId) -> bool {
        self.has(backend)
    }
}
