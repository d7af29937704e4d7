//! Whether a registry that was read back makes sense: every number in it is that of something that there is. What is
//! built from it ([`crate::tables`]) indexes by these numbers without asking.

use super::{Backend, Entry, Registry};
use crate::config::Held;
use engine::tables::MOST_SNAT;

impl Registry {
    /// Whether all numbers are of things that there are, with so many interfaces.
    pub fn is_sound(&self, interfaces: usize) -> bool {
        let is_held = |held: &Held| held.interface < interfaces;
        self.snat.len() <= MOST_SNAT
            && self.backends.iter().all(|entry| self.is_backend_sound(entry, interfaces))
            && self.vips.iter().all(|entry| is_held(&entry.what.held))
            && self.snat.iter().all(|entry| is_held(&entry.what))
            && self.rotas.iter().all(|rota| usize::from(rota.service) < self.services.len())
    }

    fn is_backend_sound(&self, entry: &Entry<Backend>, interfaces: usize) -> bool {
        let Backend { service, server, address, data, fixed, .. } = &entry.what;
        let on = data.iter().flat_map(|(_, on)| on);
        usize::from(*service) < self.services.len()
            && self.servers.get(usize::from(*server)) == Some(address)
            && on.copied().all(|vip| usize::from(vip) < self.vips.len())
            && fixed.is_none_or(|(interface, _)| usize::from(interface) < interfaces)
    }
}
