//! Validation of a registry from saved state: every number in it must be that of an entry. Snapshots
//! ([`crate::snapshot`]) index by these numbers without checking.

use super::Registry;
use super::entries::{Backend, Entry};
use crate::config::Held;
use engine::snapshot::MOST_SNAT;

impl Registry {
    /// Whether all numbers are those of entries, with so many interfaces.
    pub fn is_sound(&self, interfaces: usize) -> bool {
        let is_held = |held: &Held| held.interface < interfaces;
        self.snat.len() <= MOST_SNAT
            && self.backends.iter().all(|entry| self.is_backend_sound(entry, interfaces))
            && self.vips.iter().all(|entry| is_held(&entry.what.held))
            && self.snat.iter().all(|entry| is_held(&entry.what))
            && self.groups.iter().all(|group| usize::from(group.service) < self.services.len())
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
