//! The registry of the numbers that flows hold, and of their owners. Services, backends and addresses keep their
//! numbers from one configuration to the next; new ones get the next number. A removed one keeps its number for the
//! life of the process, with everything that its transfers need to finish.

mod enter;
mod entries;
mod sound;
mod stored_protocol;

pub use entries::{Backend, Entry, Means, Presence, Service, Vip, present};

use crate::config::{self, Held};
use crate::kernel::Wanted;
use engine::snapshot::MOST_SNAT;
use engine::state::references::References;
use engine::types::id::{BackendId, GroupId, ServiceId, SnatId, VipId};
use entries::BackendGroup;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::ops::Index;

/// The owners of all numbers. A number is an index into the list of its kind. The registry is part of the saved
/// state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    services: Vec<Service>,
    backends: Vec<Entry<Backend>>,
    vips: Vec<Entry<Vip>>,
    snat: Vec<Entry<Held>>,
    /// Addresses that somebody else adds to the kernel, and removes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    elsewhere: BTreeSet<IpAddr>,
    servers: Vec<IpAddr>,
    /// The backend groups, under the name that saved state has for them since the first version.
    #[serde(rename = "rotas")]
    groups: Vec<BackendGroup>,
}

/// The numbers of a configuration's services, in its order.
pub type Numbers = Vec<Numbered>;

/// The numbers of everything that belongs to one service, each list in the configuration's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The service's number.
    pub id: ServiceId,
    /// Numbers of the VIPs.
    pub vips: Vec<VipId>,
    /// Numbers of the SNAT addresses.
    pub pool: Vec<SnatId>,
    /// Numbers of the backends.
    pub backends: Vec<BackendId>,
    /// The group of requests without a rule.
    pub group: GroupId,
    /// The groups of the rules.
    pub rules: Vec<GroupId>,
}

/// The most numbers of a process. Workers' counters are made at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// The most services.
    pub services: usize,
    /// The most backends.
    pub backends: usize,
}

impl Capacity {
    /// The capacity of a process that has yet to start.
    pub const ANY: Capacity = Capacity { services: MOST_NUMBERS, backends: MOST_NUMBERS };
}

/// The most numbers of a kind: they have 16 bits, and the last one stands for none.
const MOST_NUMBERS: usize = u16::MAX as usize;

/// The error that there are not enough numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Full {
    what: &'static str,
    capacity: usize,
    needed: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Full { what, capacity, needed } = self;
        write!(
            f,
            "{needed} {what} since the start, and there is room for {capacity}: removed ones keep their numbers"
        )
    }
}

impl Registry {
    /// Enters a configuration: returns the new registry, and the configuration's numbers.
    ///
    /// # Errors
    ///
    /// There is no capacity for everything new.
    pub fn enter(
        &self,
        services: &[config::Service],
        capacity: Capacity,
    ) -> Result<(Registry, Numbers), Full> {
        let mut next = self.clone();
        let numbers = next.take_in(services);
        for (what, needed, capacity) in [
            ("services", next.services.len(), capacity.services),
            ("backends", next.backends.len(), capacity.backends),
            ("VIPs", next.vips.len(), MOST_NUMBERS),
            ("SNAT addresses", next.snat.len(), MOST_SNAT),
            ("rules", next.groups.len(), MOST_NUMBERS),
        ] {
            if needed > capacity {
                return Err(Full { what, capacity, needed });
            }
        }
        Ok((next, numbers))
    }

    /// The services, by number.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The backends, by number.
    pub fn backends(&self) -> &[Entry<Backend>] {
        &self.backends
    }

    /// The backends with their ids.
    pub fn numbered_backends(&self) -> impl Iterator<Item = (BackendId, &Entry<Backend>)> {
        (0..).map(BackendId).zip(&self.backends)
    }

    /// The VIPs, by number.
    pub fn vips(&self) -> &[Entry<Vip>] {
        &self.vips
    }

    /// The SNAT addresses, by number.
    pub fn snat(&self) -> &[Entry<Held>] {
        &self.snat
    }

    /// The number of backend groups.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The group of a service's requests without a rule.
    pub fn group_of(&self, service: ServiceId) -> GroupId {
        let of = |group: &BackendGroup| group.service == service.0 && group.rule.is_none();
        GroupId(self.groups.iter().position(of).map_or(0, number))
    }

    /// Whether somebody else adds the address to the kernel.
    pub fn is_elsewhere(&self, address: IpAddr) -> bool {
        self.elsewhere.contains(&address)
    }

    /// Whether a removed entry may still have transfers.
    pub fn is_anything_leaving(&self) -> bool {
        self.vips.iter().any(Entry::is_leaving)
            || self.snat.iter().any(Entry::is_leaving)
            || self.backends.iter().any(Entry::is_leaving)
    }

    /// Removed backends that may still have transfers.
    pub fn leaving_backends(&self) -> impl Iterator<Item = BackendId> {
        self.numbered_backends().filter(|(_, backend)| backend.is_leaving()).map(|(id, _)| id)
    }

    /// Releases removed entries without transfers. Returns our addresses among them.
    pub fn release(&mut self, uses: &References) -> Vec<IpAddr> {
        for (backend, &used) in self.backends.iter_mut().zip(&uses.backends) {
            backend.release(used);
        }
        let vips = self.vips.iter_mut().zip(&uses.vips);
        let vips = vips.filter_map(|(vip, &used)| vip.release(used).then_some(vip.what.held));
        let snat = self.snat.iter_mut().zip(&uses.snat);
        let snat = snat.filter_map(|(snat, &used)| snat.release(used).then_some(snat.what));
        vips.chain(snat).map(|held| held.address).collect()
    }

    /// The address of each server.
    pub fn servers(&self) -> &[IpAddr] {
        &self.servers
    }

    /// The addresses that the kernel must hold and watch, for all entries that are not gone.
    pub fn wanted(&self) -> Wanted {
        let vips = present(VipId, &self.vips).map(|(_, vip)| vip.held);
        let snat = present(SnatId, &self.snat).map(|(_, &held)| held);
        let served: Vec<_> = vips.chain(snat).collect();
        let is_ours = |held: &&Held| !self.elsewhere.contains(&held.address);
        let backends =
            present(BackendId, &self.backends).filter(|(_, backend)| backend.fixed.is_none());
        Wanted {
            held: served.iter().filter(is_ours).copied().collect(),
            withdrawn: HashSet::new(),
            served: served.iter().map(|held| held.address).collect(),
            backends: backends.map(|(_, backend)| backend.address).collect(),
            aliases: present(BackendId, &self.backends)
                .flat_map(|(_, one)| one.aliases.clone())
                .collect(),
            subnets: vec![],
        }
    }
}

impl Index<ServiceId> for Registry {
    type Output = Service;

    fn index(&self, id: ServiceId) -> &Service {
        &self.services[id.index()]
    }
}

impl Index<BackendId> for Registry {
    type Output = Entry<Backend>;

    fn index(&self, id: BackendId) -> &Entry<Backend> {
        &self.backends[id.index()]
    }
}

/// The number for an index; a list that is too long is refused before its numbers are used.
fn number(place: usize) -> u16 {
    u16::try_from(place).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
