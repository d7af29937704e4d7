//! Facts about services and backends, gathered from the active configuration, the snapshot, the statuses and the
//! workers' counters. They are read at one moment: nothing here waits.

use super::Daemon;
use crate::api::Conflict;
use crate::backend_status::{BackendStatus, Check, Condition};
use crate::config::{self, Held, Mode};
use crate::metrics::Facts;
use crate::service_facts::VipFacts;
use engine::counters::Transfers;
use engine::net::address_map::Owner;
use engine::types::id::{BackendId, ServiceId};
use std::collections::HashMap;
use std::net::IpAddr;

/// Facts about a backend of the configuration, or of a removed one.
pub(super) struct BackendFacts {
    /// The backend's id.
    pub id: BackendId,
    /// The name of its service.
    pub service: String,
    /// The backend's name.
    pub name: String,
    /// The condition.
    pub condition: Condition,
    /// The weight in force.
    pub weight: u16,
    /// The weight in the file.
    pub file_weight: u16,
    /// The most transfers at a time, if there is a limit.
    pub max_transfers: Option<u32>,
    /// The health checks, if there are any.
    pub check: Option<Check>,
}

impl Daemon {
    /// Facts about the daemon as a whole.
    pub(super) fn daemon_facts(&self) -> Facts {
        let mut facts = self.facts.borrow().clone();
        let lost = self.counters().map(|counters| counters.lost_records.value());
        facts.lost_records = lost.sum::<u64>() + self.flow_log.lost();
        facts.lost_frames = self.capture_lost();
        facts.reloads.is_last_successful =
            self.last_reload.get().is_none_or(|last| last.successful);
        facts
    }

    /// Whether the kernel holds a VIP.
    pub(super) fn is_live(&self, vip: IpAddr) -> bool {
        matches!(self.snapshot.borrow().addresses.get(vip), Some(Owner::Vip(_)))
    }

    /// Whether a service has a live VIP, but the kernel holds no address of its SNAT pool, of one of the pool's address
    /// families.
    pub(super) fn lacks_pool(&self, service: &config::Service) -> bool {
        let Mode::Snat(pool) = &service.mode else { return false };
        let snapshot = self.snapshot.borrow();
        let is_live =
            |held: &&Held| matches!(snapshot.addresses.get(held.address), Some(Owner::Snat(_)));
        let is_away = |v6| {
            let mut family = pool.iter().filter(|held| held.address.is_ipv6() == v6).peekable();
            family.peek().is_some() && !family.any(|held| is_live(&held))
        };
        service.vips.iter().any(|vip| self.is_live(vip.address))
            && [false, true].into_iter().any(is_away)
    }

    /// The conflicts about some of our addresses.
    pub(super) fn conflicts_of(&self, which: impl Fn(&Held) -> bool) -> Vec<Conflict> {
        let conflicts = self.conflicts.borrow();
        let some = conflicts.iter().filter(|(held, _)| which(held));
        some.map(|(held, mac)| Conflict { address: held.address, mac: mac.to_string() }).collect()
    }

    /// The VIPs of a service, in the configuration's order.
    pub(super) fn vip_facts(&self, service: &config::Service) -> Vec<VipFacts> {
        let active = self.active();
        let interfaces = &active.config().interfaces;
        let facts = service.vips.iter().map(|vip| VipFacts {
            address: vip.address,
            interface: interfaces[vip.interface].name.clone(),
            is_live: self.is_live(vip.address),
            is_withdrawn: self.view.borrow().withdrawn.contains(&vip.address),
            addresses: service.addresses,
        });
        facts.collect()
    }

    /// The status of a configured backend, and the condition that follows from it.
    pub(super) fn status_of(
        &self,
        id: BackendId,
        service: &config::Service,
        backend: &config::Backend,
    ) -> (BackendStatus, Condition) {
        let status = self.statuses.borrow().of(service, backend);
        let condition = Condition::of(&status, self.snapshot.borrow()[id].hop.is_some());
        (status, condition)
    }

    /// The configuration's backends, and removed ones as long as they have transfers. A backend whose address has
    /// changed is a new one with the old names.
    pub(super) fn backend_facts(&self) -> Vec<BackendFacts> {
        let active = self.active();
        let configured = active.backends().map(|(id, service, backend)| {
            let (status, condition) = self.status_of(id, service, backend);
            BackendFacts {
                id,
                service: service.name.clone(),
                name: backend.name.clone(),
                condition,
                weight: status.weight(backend),
                file_weight: backend.weight,
                max_transfers: backend.max_transfers,
                check: service.health.is_some().then_some(status.check),
            }
        });
        let removed = active.registry.leaving_backends().filter(|&id| self.has_transfers(id));
        let removed = removed.map(|id| {
            let backend = &active.registry[id].what;
            BackendFacts {
                id,
                service: active.registry[backend.service()].name.clone(),
                name: backend.name.clone(),
                condition: Condition::Removed,
                weight: 0,
                file_weight: 0,
                max_transfers: None,
                check: None,
            }
        });
        configured.chain(removed).collect()
    }

    /// Whether a backend has transfers.
    pub(super) fn has_transfers(&self, id: BackendId) -> bool {
        let transfers = Transfers::sum(self.counters().map(|counters| counters.backend(id)));
        transfers.now() > 0
    }

    /// The counters of each service's backends, those of removed ones too.
    pub(super) fn transfers_by_service(&self) -> HashMap<ServiceId, Vec<&Transfers>> {
        let snapshot = self.snapshot.borrow();
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for counters in self.counters() {
            for (backend, transfers) in snapshot.backends.iter().zip(&counters.backends) {
                all.entry(backend.service).or_default().push(transfers);
            }
        }
        all
    }
}
