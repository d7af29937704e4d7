//! The state of services and backends.

use super::Daemon;
use super::facts::BackendFacts;
use crate::api::{Backend, Check, Service};
use crate::backend_status::{self, CheckVerdict};
use crate::config::{self, Addresses};
use crate::service_facts::{ServiceFacts, VipFacts};
use crate::stats::Sum;

impl Daemon {
    pub(super) fn services(&self) -> Vec<Service> {
        let active = self.active();
        let mut transfers = self.transfers_by_service();
        let services = active.services().map(|(id, written)| {
            let totals = Sum::of(transfers.remove(&id).unwrap_or_default());
            let refused = self.counters().map(|counters| counters.service(id));
            let ServiceFacts { name, protocol, mode, port, .. } = ServiceFacts::of(written);
            let vips = self.vip_facts(written);
            Service {
                name,
                port,
                protocol: protocol.to_owned(),
                mode: mode.to_owned(),
                addresses: written.addresses.name().to_owned(),
                state: self.state(written, &vips).to_owned(),
                conflicts: self.conflicts_of(|held| written.held().any(|one| one == held)),
                vips: vips.into_iter().map(|vip| vip.address).collect(),
                transfers: totals.now(),
                totals: totals.named(),
                refused: Sum::of(refused).named(),
            }
        });
        services.collect()
    }

    fn state(&self, service: &config::Service, vips: &[VipFacts]) -> &'static str {
        match (vips.iter().filter(|vip| vip.is_live).count(), service.addresses) {
            (0, Addresses::Ours) if vips.iter().all(|vip| vip.is_withdrawn) => "withdrawn",
            (0, Addresses::Ours) => "vip down",
            (0, Addresses::Elsewhere) => "elsewhere",
            _ if self.lacks_pool(service) => "pool down",
            (live, _) if live == vips.len() => "live",
            _ => "partly live",
        }
    }

    /// The configuration's backends, and removed ones as long as they have transfers.
    pub(super) fn backends(&self) -> Vec<Backend> {
        self.backend_facts().into_iter().map(|facts| self.backend(facts)).collect()
    }

    pub(super) fn backend(&self, facts: BackendFacts) -> Backend {
        let snapshot = self.snapshot.borrow();
        let backend = &snapshot[facts.id];
        let totals = Sum::of(self.counters().map(|counters| counters.backend(facts.id)));
        Backend {
            service: facts.service,
            name: facts.name,
            address: backend.address,
            weight: facts.weight,
            file_weight: facts.file_weight,
            max_transfers: facts.max_transfers,
            state: facts.condition.name().to_owned(),
            check: facts.check.map(check),
            next_hop: backend.hop.map(|hop| hop.mac.to_string()),
            transfers: totals.now(),
            totals: totals.named(),
        }
    }
}

fn check(check: backend_status::Check) -> Check {
    let verdict = match check.verdict {
        CheckVerdict::Pending => "pending",
        CheckVerdict::Passed => "passed",
        CheckVerdict::Failed => "failed",
    };
    let since = check.since.map(|since| since.elapsed().as_secs());
    Check { verdict: verdict.to_owned(), since, last: check.last }
}
