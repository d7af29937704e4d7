//! State that outlives a snapshot: each hands it on to the next.

use crate::config::{Backend, NatRule, Service};
use crate::kernel::{Route, Source};
use crate::registry::Registry;
use crate::standing::Order;
use engine::flow::ports::SnatAddress;
use engine::own::uses::Uses;
use engine::routes::{self, Routes, Sought};
use engine::select::cap::Places;
use engine::select::maglev::Maglevs;
use engine::select::slow_start::SlowStart;
use engine::tables::{self, BackendId};
use engine::tick::{Tick, ticks};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Time that a removed backend is remembered for at least. A server that is reached by plain `nat` may go on with
/// transfers that other servers have taken over, and only its address tells that the kernel is not to route that.
const LAST_WORDS: Duration = Duration::from_secs(64);
/// Time that datagrams still go to a removed backend: what was asked is answered.
const GRACE: Duration = Duration::from_secs(5);

/// All of it. Backends go by the names of their services and their own, which outlive a change of the
/// configuration.
#[derive(Debug, Default)]
pub struct Lasting {
    /// Tables for hashes, while their backends stay the same.
    pub maglevs: Maglevs,
    /// To whom workers have found no way.
    pub sought: Sought,
    places: HashMap<(String, String), Places>,
    lives: HashMap<(String, String), Life>,
    hits: HashMap<NatRule, Arc<AtomicU64>>,
    snat: HashMap<IpAddr, SnatAddress>,
    routes: (Arc<[Route]>, Routes),
    sources: HashMap<IpAddr, Source>,
    drained: HashMap<(String, String), Tick>,
    removed: HashMap<BackendId, Tick>,
}

impl Lasting {
    /// The places that transfers have taken at this backend.
    pub fn places(&mut self, service: &Service, backend: &Backend) -> Places {
        self.places.entry(names(service, backend)).or_default().clone()
    }

    /// The SNAT address, with the ports that transfers have taken of it.
    pub fn snat(&mut self, address: IpAddr) -> SnatAddress {
        self.snat.entry(address).or_insert_with(|| address.into()).clone()
    }

    /// The counter of what has left by this rule.
    pub fn hits(&mut self, rule: &NatRule) -> Arc<AtomicU64> {
        Arc::clone(self.hits.entry(*rule).or_default())
    }

    /// Whether there is a rule, or was one.
    pub fn has_rules(&self) -> bool {
        !self.hits.is_empty()
    }

    /// The routes, arranged for the workers. That is done again only when they have changed.
    pub fn routes(&mut self, seen: &Arc<[Route]>) -> Routes {
        if !Arc::ptr_eq(&self.routes.0, seen) {
            let all = seen.iter().map(|route| routes::Route {
                to: route.to,
                gateway: route.gateway,
                hop: route.hop(),
            });
            self.routes = (Arc::clone(seen), Routes::new(all));
        }
        self.routes.1.clone()
    }

    /// Where an address is, or was when the kernel knew it last: a server that does not answer it for a while may go on
    /// with what it has.
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

    /// When clients' datagrams go to this backend no longer, if it is drained: its service says how long that lasts.
    pub fn leave_drained(
        &mut self,
        service: &Service,
        backend: &Backend,
        order: Order,
        now: Tick,
    ) -> Option<Tick> {
        let names = names(service, backend);
        if order != Order::Draining {
            self.drained.remove(&names);
            return None;
        }
        let since = *self.drained.entry(names).or_insert(now);
        Some(since.after(ticks(service.drain_timeout?)))
    }

    /// When they go to those no longer that are removed by now.
    pub fn leave_removed(&mut self, registry: &Registry, now: Tick) -> Vec<(BackendId, Tick)> {
        self.note_removed(registry, now);
        self.removed.iter().map(|(&id, since)| (id, since.after(ticks(GRACE)))).collect()
    }

    /// Marks backends as used that were removed lately.
    pub fn keep_removed(&mut self, registry: &Registry, uses: &mut Uses, now: Tick) {
        self.note_removed(registry, now);
        for (&id, &since) in &self.removed {
            uses.backends[usize::from(id)] |= now.since(since) < ticks(LAST_WORDS);
        }
    }

    fn note_removed(&mut self, registry: &Registry, now: Tick) {
        let leaving: HashSet<_> = registry.leaving_backends().collect();
        self.removed.retain(|id, _| leaving.contains(id));
        for id in leaving {
            self.removed.entry(id).or_insert(now);
        }
    }

    /// Whether this backend has come back a short while ago; `made` says how it is now.
    pub fn slow_start(
        &mut self,
        service: &Service,
        backend: &Backend,
        made: &tables::Backend,
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

/// The life of a backend.
#[derive(Debug)]
struct Life {
    /// When it was first seen.
    known: Tick,
    /// Whether it has ever got transfers.
    has_taken: bool,
    is_gone: bool,
    /// When it came back, if it may still be cold.
    back: Option<Tick>,
}

impl Life {
    fn new(now: Tick) -> Life {
        Life { known: now, has_taken: false, is_gone: false, back: None }
    }

    fn goes_on(&mut self, made: &tables::Backend, now: Tick, length: u32) {
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
