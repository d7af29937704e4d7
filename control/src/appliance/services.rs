//! The services and their backends, as they stand.

use super::Appliance;
use crate::api::{Backend, Check, Service};
use crate::config::{Held, Mode};
use crate::registry;
use crate::standing::{self, Conduct, Order, Standing, Verdict};
use crate::stats::Sum;
use engine::tables::{BackendId, Owner, Tables};

impl Appliance {
    pub(super) fn services(&self) -> Vec<Service> {
        let tables = self.tables.borrow();
        let in_force = self.in_force();
        let services = in_force.services().map(|(id, written)| {
            let totals = self.totals(&tables, |backend| backend.service == id);
            let refused = self.counters().map(|counters| &*counters.refusals[usize::from(id)]);
            Service {
                name: written.name.clone(),
                vips: written.vips.iter().map(|vip| vip.address).collect(),
                port: written.port,
                protocol: written.protocol.name().to_owned(),
                mode: mode(&written.mode).to_owned(),
                state: state(&written.vips, &tables).to_owned(),
                transfers: totals.now(),
                totals: totals.named(),
                refused: Sum::of(refused).named(),
            }
        });
        services.collect()
    }

    /// The configuration's backends, and removed ones as long as they have transfers.
    pub(super) fn backends(&self) -> Vec<Backend> {
        let (in_force, standings) = (self.in_force(), self.standings.borrow());
        let configured = in_force.backends().map(|(id, service, backend)| {
            let standing = standings.of(service, backend);
            let row = self.backend(id, &service.name, &backend.name);
            let state = state_of_backend(&standing, row.next_hop.is_some()).to_owned();
            let (weight, file_weight) = (standing.weight(backend), backend.weight);
            let check = service.health.is_some().then(|| check(standing.check));
            Backend { state, weight, file_weight, check, ..row }
        });
        let removed = (0..).zip(in_force.registry.backends()).filter(|(_, one)| one.is_leaving());
        let removed = removed.map(|(id, registry::Entry { what, .. })| {
            let service = &in_force.registry.services()[usize::from(what.service)].name;
            self.backend(id, service, &what.name)
        });
        configured.chain(removed.filter(|row| row.transfers > 0)).collect()
    }

    /// One that was removed.
    fn backend(&self, id: BackendId, service: &str, name: &str) -> Backend {
        let backend = &self.tables.borrow().backends[usize::from(id)];
        let totals = self.counters().map(|counters| &*counters.backends[usize::from(id)]);
        let totals = Sum::of(totals);
        Backend {
            service: service.to_owned(),
            name: name.to_owned(),
            address: backend.address,
            weight: 0,
            file_weight: 0,
            state: "removed".to_owned(),
            check: None,
            next_hop: backend.hop.map(|hop| hop.mac.to_string()),
            transfers: totals.now(),
            totals: totals.named(),
        }
    }
}

/// A backend's state; the operator's order comes first.
pub(super) fn state_of_backend(standing: &Standing, is_reached: bool) -> &'static str {
    match (standing.order, standing.check.verdict, standing.conduct) {
        (Order::Disabled, _, _) => "disabled",
        (Order::Draining, _, _) => "draining",
        _ if !is_reached => "unresolved",
        (Order::Enabled, Verdict::Failed, _) => "down",
        (Order::Enabled, Verdict::Pending | Verdict::Passed, conduct) => match conduct {
            Conduct::Answers => "up",
            Conduct::Suspected => "suspected",
            Conduct::Ejected => "ejected",
        },
    }
}

fn state(vips: &[Held], tables: &Tables) -> &'static str {
    let is_live = |vip: &&Held| matches!(tables.addresses.get(vip.address), Some(Owner::Vip(_)));
    match vips.iter().filter(is_live).count() {
        0 => "vip down",
        live if live == vips.len() => "live",
        _ => "partly live",
    }
}

fn check(check: standing::Check) -> Check {
    let verdict = match check.verdict {
        Verdict::Pending => "pending",
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
    };
    let since = check.since.map(|since| since.elapsed().as_secs());
    Check { verdict: verdict.to_owned(), since, last: check.last }
}

fn mode(mode: &Mode) -> &'static str {
    match mode {
        Mode::Dsr => "dsr",
        Mode::Nat => "nat",
        Mode::Snat(_) => "nat + snat",
    }
}
