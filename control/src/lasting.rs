//! What outlives a snapshot: each hands it on to the next.

use crate::config::{Backend, Service};
use engine::select::cap::Places;
use engine::select::maglev::Maglevs;
use std::collections::HashMap;

/// All of it.
#[derive(Debug, Default)]
pub struct Lasting {
    /// Tables for hashes, while their backends stay the same.
    pub maglevs: Maglevs,
    places: HashMap<(String, String), Places>,
}

impl Lasting {
    /// The places that transfers have taken at this backend.
    pub fn places(&mut self, service: &Service, backend: &Backend) -> Places {
        self.places.entry((service.name.clone(), backend.name.clone())).or_default().clone()
    }
}
