//! State that outlives a snapshot, and is carried over to the next.

use crate::backend_status::AdminState;
use crate::config::{Backend, NatRule, Service};
use crate::kernel::{Route, Source};
use crate::registry::Registry;
use engine::flow::port_allocator::SnatAddress;
use engine::net::route_table::{self, RouteTable, Unresolved};
use engine::scheduler::maglev::Maglevs;
use engine::scheduler::slow_start::SlowStart;
use engine::scheduler::transfer_limit::Places;
use engine::snapshot;
use engine::state::references::References;
use engine::types::id::BackendId;
use engine::types::tick::{Tick, ticks};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Minimum time that a removed backend is remembered. A server in plain `nat` may go on sending after other servers
/// have taken over its transfers, and only its address tells that the kernel must not route that.
const LAST_WORDS: Duration = Duration::from_secs(64);
/// Time for which datagrams still go to a removed backend, so that open requests are answered.
const GRACE: Duration = Duration::from_secs(5);

/// The state that is carried over. Backends go by the names of service and backend, which outlive a change of the
/// configuration.
#[derive(Debug, Default)]
pub struct CarryOver {
    /// Maglev tables, reused while their backends stay the same.
    pub maglevs: Maglevs,
    /// Hosts that workers found no next hop to.
    pub unresolved: Unresolved,
    places: HashMap<(String, String), Places>,
    lives: HashMap<(String, String), Life>,
    hits: HashMap<NatRule, Arc<AtomicU64>>,
    snat: HashMap<IpAddr, SnatAddress>,
    routes: (Arc<[Route]>, RouteTable),
    sources: HashMap<IpAddr, Source>,
    drained: HashMap<(String, String), Tick>,
    removed: HashMap<BackendId, Tick>,
}

impl CarryOver {
    /// The places that transfers have taken at this backend.
    pub fn places(&mut self, service: &Service, backend: &Backend) -> Places {
        self.places.entry(names(service, backend)).or_default().clone()
    }

    /// The SNAT address, with the ports that transfers have taken of it.
    pub fn snat(&mut self, address: IpAddr) -> SnatAddress {
        self.snat.entry(address).or_insert_with(|| address.into()).clone()
    }

    /// The counter of connections under this rule.
    pub fn hits(&mut self, rule: &NatRule) -> Arc<AtomicU64> {
        Arc::clone(self.hits.entry(*rule).or_default())
    }

    /// Whether there is or was a NAT rule.
    pub fn has_rules(&self) -> bool {
        !self.hits.is_empty()
    }

    /// The route table for the workers, built again only when the routes have changed.
    pub fn routes(&mut self, seen: &Arc<[Route]>) -> RouteTable {
        if !Arc::ptr_eq(&self.routes.0, seen) {
            let all = seen.iter().map(|route| route_table::Route {
                to: route.to,
                gateway: route.gateway,
                hop: route.hop(),
            });
            self.routes = (Arc::clone(seen), RouteTable::new(all));
        }
        self.routes.1.clone()
    }

    /// The origin of packets from an address, or the last one that the kernel knew: a server that does not answer the
    /// kernel for a while may go on with its transfers.
    pub fn source(&mut self, address: IpAddr, seen: Option<&Source>) -> Option<Source> {
        let before = self.sources.get(&address).copied();
        let now = match (seen.copied(), before) {
            (Some(Source::OnLink(link, None)), Some(Source::OnLink(known, mac)))
                if link == known =>
            {
                Some(Source::OnLink(link, mac))
            }
            (seen, before) => seen.or(before),
        };
        if let Some(now) = now {
            self.sources.insert(address, now);
        }
        now
    }

    /// The time from which datagrams no longer go to this backend, if it is drained and its service has a time limit.
    pub fn leave_drained(
        &mut self,
        service: &Service,
        backend: &Backend,
        admin: AdminState,
        now: Tick,
    ) -> Option<Tick> {
        let names = names(service, backend);
        if admin != AdminState::Draining {
            self.drained.remove(&names);
            return None;
        }
        let since = *self.drained.entry(names).or_insert(now);
        Some(since.after(ticks(service.drain_timeout?)))
    }

    /// The times from which datagrams no longer go to removed backends.
    pub fn leave_removed(&mut self, registry: &Registry, now: Tick) -> Vec<(BackendId, Tick)> {
        self.note_removed(registry, now);
        self.removed.iter().map(|(&id, since)| (id, since.after(ticks(GRACE)))).collect()
    }

    /// Marks recently removed backends as used.
    pub fn keep_removed(&mut self, registry: &Registry, uses: &mut References, now: Tick) {
        self.note_removed(registry, now);
        for (&id, &since) in &self.removed {
            uses.backends[id.index()] |= now.since(since) < ticks(LAST_WORDS);
        }
    }

    fn note_removed(&mut self, registry: &Registry, now: Tick) {
        let leaving: HashSet<_> = registry.leaving_backends().collect();
        self.removed.retain(|id, _| leaving.contains(id));
        for id in leaving {
            self.removed.entry(id).or_insert(now);
        }
    }

    /// The slow start of a backend that has come back recently; `made` is the backend in the new snapshot.
    pub fn slow_start(
        &mut self,
        service: &Service,
        backend: &Backend,
        made: &snapshot::Backend,
        now: Tick,
    ) -> Option<SlowStart> {
        let length = ticks(service.slow_start?);
        let life = match self.lives.entry(names(service, backend)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Life::new(now)),
        };
        life.goes_on(made, now, length);
        life.back.map(|since| SlowStart { since, ticks: length })
    }
}

fn names(service: &Service, backend: &Backend) -> (String, String) {
    (service.name.clone(), backend.name.clone())
}

/// The history of a backend, for its slow start.
#[derive(Debug)]
struct Life {
    /// The time when the backend was first seen.
    known: Tick,
    /// Whether the backend has ever got transfers.
    has_taken: bool,
    is_gone: bool,
    /// The time when the backend came back, if its slow start still lasts.
    back: Option<Tick>,
}

impl Life {
    fn new(now: Tick) -> Life {
        Life { known: now, has_taken: false, is_gone: false, back: None }
    }

    fn goes_on(&mut self, made: &snapshot::Backend, now: Tick, length: u32) {
        self.back = self.back.filter(|&since| now.since(since) < length);
        self.is_gone |= !made.serves();
        if made.takes() {
            // At the start it takes the kernel a moment to resolve those that were there all the time.
            let is_new = !self.has_taken && now.since(self.known) < length;
            if self.is_gone && !is_new {
                self.back = Some(now);
            }
            (self.has_taken, self.is_gone) = (true, false);
        }
    }
}

#[cfg(test)]
mod tests;
