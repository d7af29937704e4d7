//! Entering a configuration: its services, backends and addresses find their numbers again, or get new ones.

use super::entries::{Backend, BackendGroup, Entry, Means, Presence, Service, Vip};
use super::{Numbered, Numbers, Registry, number};
use crate::config::{self, Addresses, Held, Mode};
use engine::types::id::{BackendId, GroupId, ServiceId, SnatId, VipId};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// The identity of a service: its name, protocol, port and means.
type ServiceKey = (String, &'static str, u16, Means);

/// The identity of a backend.
type BackendKey = (u16, String, IpAddr, Vec<IpAddr>);

/// The indices of all entries, by their identities.
struct Places {
    services: HashMap<ServiceKey, usize>,
    backends: HashMap<BackendKey, usize>,
    vips: HashMap<IpAddr, usize>,
    snat: HashMap<IpAddr, usize>,
    servers: HashMap<IpAddr, usize>,
    groups: HashMap<BackendGroup, usize>,
}

impl Registry {
    /// Gives everything in a configuration its number; all other entries are leaving, or gone already.
    pub(super) fn take_in(&mut self, services: &[config::Service]) -> Numbers {
        self.vips.iter_mut().for_each(leave);
        self.snat.iter_mut().for_each(leave);
        self.backends.iter_mut().for_each(leave);
        let mut places = self.places();
        let numbers = services.iter().map(|service| self.service(service, &mut places)).collect();
        services.iter().for_each(|service| self.note_addresses(service));
        self.make_way();
        numbers
    }

    /// Notes who adds a service's addresses. Of a removed one it stays as it was.
    fn note_addresses(&mut self, service: &config::Service) {
        for Held { address, .. } in service.held() {
            match service.addresses {
                Addresses::Ours => self.elsewhere.remove(address),
                Addresses::Elsewhere => self.elsewhere.insert(*address),
            };
        }
    }

    fn places(&self) -> Places {
        Places {
            services: places(self.services.iter().map(service_key)),
            backends: places(self.backends.iter().map(|entry| key(&entry.what))),
            vips: places(self.vips.iter().map(|entry| entry.what.held.address)),
            snat: places(self.snat.iter().map(|entry| entry.what.address)),
            servers: places(self.servers.iter().copied()),
            groups: places(self.groups.iter().copied()),
        }
    }

    fn service(&mut self, written: &config::Service, places: &mut Places) -> Numbered {
        let pool = match &written.mode {
            Mode::Dsr | Mode::Nat => &[][..],
            Mode::Snat(pool) => pool,
        };
        let service = Service {
            name: written.name.clone(),
            protocol: written.protocol,
            port: written.port,
            means: Means::of(&written.mode),
            idle_timeout: written.idle_timeout,
            transitory_timeout: written.transitory_timeout,
            allow_clients: written.access.allow_clients.clone(),
        };
        let key = service_key(&service);
        let id = ServiceId(number(put(&mut self.services, &mut places.services, key, service)));
        let mut group = |rule: Option<usize>| {
            let group = BackendGroup { service: id.0, rule: rule.map(number) };
            GroupId(number(put(&mut self.groups, &mut places.groups, group, group)))
        };
        let groups =
            (group(None), (0..written.rules.len()).map(|place| group(Some(place))).collect());
        let vips: Vec<_> = written.vips.iter().map(|&vip| self.vip(vip, written, places)).collect();
        let backends = written.backends.iter().map(|one| {
            let data = one.passive_ports.clone().map(|ports| {
                let both = written.vips.iter().zip(&vips);
                let leading = both.filter(|(vip, _)| written.leads_to(vip.address, one));
                (ports, leading.map(|(_, id)| id.0).collect())
            });
            self.backend(id, one, data, places)
        });
        Numbered {
            id,
            backends: backends.collect(),
            group: groups.0,
            rules: groups.1,
            pool: pool.iter().map(|&held| self.snat_address(held, places)).collect(),
            vips,
        }
    }

    /// Enters a VIP. It may have several services; one of them accepts broadcasts.
    fn vip(&mut self, held: Held, written: &config::Service, places: &mut Places) -> VipId {
        let before = places.vips.get(&held.address).map(|&place| &self.vips[place]);
        let is_said =
            before.is_some_and(|vip| vip.presence == Presence::Configured && vip.what.broadcast);
        let broadcast = is_said || written.broadcast && held.address.is_ipv4();
        let vip = configured(Vip { held, broadcast });
        VipId(number(put(&mut self.vips, &mut places.vips, held.address, vip)))
    }

    fn snat_address(&mut self, held: Held, places: &mut Places) -> SnatId {
        SnatId(number(put(&mut self.snat, &mut places.snat, held.address, configured(held))))
    }

    fn backend(
        &mut self,
        service: ServiceId,
        written: &config::Backend,
        data: Option<(RangeInclusive<u16>, Vec<u16>)>,
        places: &mut Places,
    ) -> BackendId {
        let address = written.address;
        let server = number(put(&mut self.servers, &mut places.servers, address, address));
        let backend = Backend {
            service: service.0,
            name: written.name.clone(),
            address,
            aliases: written.aliases.clone(),
            server,
            data,
            fixed: written.mac.map(|mac| (written.interface as u8, mac.0)),
            also_from: written.also_from.iter().map(|mac| mac.0).collect(),
        };
        let key = key(&backend);
        BackendId(number(put(&mut self.backends, &mut places.backends, key, configured(backend))))
    }

    /// Releases removed addresses that have another use in this configuration.
    fn make_way(&mut self) {
        let vips = configured_ones(&self.vips).map(|vip| vip.held.address);
        let snat = configured_ones(&self.snat).map(|held| held.address);
        let servers = configured_ones(&self.backends)
            .flat_map(|one| [one.address].into_iter().chain(one.aliases.clone()));
        let taken: HashSet<IpAddr> = vips.chain(snat).chain(servers).collect();
        for vip in &mut self.vips {
            vip.release(!taken.contains(&vip.what.held.address));
        }
        for snat in &mut self.snat {
            snat.release(!taken.contains(&snat.what.address));
        }
    }
}

fn service_key(service: &Service) -> ServiceKey {
    (service.name.clone(), service.protocol.name(), service.port, service.means)
}

fn key(backend: &Backend) -> BackendKey {
    let Backend { service, name, address, aliases, .. } = backend;
    (*service, name.clone(), *address, aliases.clone())
}

fn places<K: Eq + Hash>(keys: impl Iterator<Item = K>) -> HashMap<K, usize> {
    keys.zip(0..).collect()
}

/// Puts an entry at its old index, or behind all others; returns the index.
fn put<K: Eq + Hash, T>(
    list: &mut Vec<T>,
    places: &mut HashMap<K, usize>,
    key: K,
    what: T,
) -> usize {
    let place = *places.entry(key).or_insert(list.len());
    if place == list.len() {
        list.push(what);
    } else {
        list[place] = what;
    }
    place
}

fn configured<T>(what: T) -> Entry<T> {
    Entry { what, presence: Presence::Configured }
}

fn configured_ones<T>(list: &[Entry<T>]) -> impl Iterator<Item = &T> {
    let ones = list.iter().filter(|entry| entry.presence == Presence::Configured);
    ones.map(|entry| &entry.what)
}

fn leave<T>(entry: &mut Entry<T>) {
    if entry.presence == Presence::Configured {
        entry.presence = Presence::Leaving;
    }
}
