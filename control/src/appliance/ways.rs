//! Where packets go, and why.

use super::services::state_of_backend;
use super::{Appliance, limit, protocol};
use crate::api::{Asker, Choice, Error, Few, NatRule, PassedOver, Route, Routes};
use crate::config::{Persistence, Service};
use engine::select::cap::Cap;
use engine::select::look::Look;
use engine::select::rota::Scheduler;
use engine::tables::BackendId;
use std::sync::atomic::Ordering::Relaxed;

impl Appliance {
    /// The rules for servers' own connections.
    pub(super) fn nat(&self) -> Vec<NatRule> {
        let tables = self.tables.borrow();
        let rules = tables.nat.iter().map(|rule| NatRule {
            from: rule.from,
            protocol: protocol(rule.protocol),
            source_port: rule.source_port,
            to: tables.vips[usize::from(rule.to)].address,
            hits: rule.hits.load(Relaxed),
        });
        rules.collect()
    }

    /// The kernel's routes over our interfaces.
    pub(super) fn routes(&self, few: Few) -> Result<Routes, Error> {
        let limit = limit(few.limit)?;
        let (view, in_force) = (self.view.borrow(), self.in_force());
        let names = &in_force.config().interfaces;
        let ours = view.routes.iter().filter_map(|route| Some((route, route.interface?)));
        let routes = ours.clone().take(limit).map(|(route, interface)| Route {
            to: route.to,
            gateway: route.gateway,
            interface: names[usize::from(interface)].name.clone(),
            mac: route.mac.map(|mac| mac.to_string()),
        });
        Ok(Routes { matching: ours.clone().count(), routes: routes.collect() })
    }

    /// Which backend this client would get, and what speaks against others that would come before.
    pub(super) async fn hash(&self, asker: Asker) -> Result<Choice, Error> {
        let Asker { service, client } = asker;
        let id = self.service_id(&service)?;
        let (worker, look) = self.desks.look(Look::new(client, id)).await?;
        let in_force = self.in_force();
        let written = in_force.services().find(|(known, _)| *known == id);
        let (_, written) = written.ok_or_else(|| Error::Unknown("it was removed".into()))?;
        if written.vips.iter().all(|vip| vip.address.is_ipv6() != client.is_ipv6()) {
            let ip = if client.is_ipv6() { "IPv6" } else { "IPv4" };
            return Err(Error::Refused(format!("service `{service}` is not there over {ip}")));
        }
        let mut choice = Choice {
            by: by(written, &look).to_owned(),
            backend: None,
            passed_over: vec![],
            service,
            client,
            worker,
        };
        if choice.by != ACCESS && choice.by != FILES {
            choice.backend = look.chosen.map(|backend| self.name_of(backend));
            choice.passed_over = self.passed_over(&choice.service, &look);
        }
        Ok(choice)
    }

    /// The backends before the chosen one; if none is, the one that the client is bound to, or all of the service's
    /// for this client.
    fn passed_over(&self, of: &str, look: &Look) -> Vec<PassedOver> {
        let in_force = self.in_force();
        let all = in_force.backends().filter(|(_, service, backend)| {
            service.name == *of && service.leads_to(look.client, backend)
        });
        let mut before: Vec<BackendId> = match look.chosen {
            None => match look.bound {
                Some(bound) => vec![bound],
                None => all.map(|(id, ..)| id).collect(),
            },
            Some(chosen) if [look.bound, look.remembered].contains(&Some(chosen)) => vec![],
            Some(chosen) => {
                let before = [look.remembered, look.turn].into_iter().flatten();
                before.filter(|&backend| backend != chosen).collect()
            }
        };
        before.dedup();
        let why =
            |backend| PassedOver { backend: self.name_of(backend), why: self.why_not(backend) };
        before.into_iter().map(why).collect()
    }

    fn name_of(&self, backend: BackendId) -> String {
        self.in_force().registry.backends()[usize::from(backend)].what.name.clone()
    }

    /// The reason against a backend.
    fn why_not(&self, id: BackendId) -> String {
        let in_force = self.in_force();
        let Some((_, service, written)) = in_force.backends().find(|(known, ..)| *known == id)
        else {
            return "removed".to_owned();
        };
        let tables = self.tables.borrow();
        let backend = &tables.backends[usize::from(id)];
        let standing = self.standings.borrow().of(service, written);
        let state = state_of_backend(&standing, backend.hop.is_some());
        let full = backend.cap.as_ref().is_some_and(|cap: &Cap| !cap.has_room());
        match state {
            "up" | "suspected" if standing.weight(written) == 0 => "weight 0",
            "up" | "suspected" if full => "full",
            "up" | "suspected" if backend.slow_start.is_some() => "warming up",
            state => state,
        }
        .to_owned()
    }
}

/// No client of the service.
const ACCESS: &str = "access";
/// Each file has its own backend.
const FILES: &str = "file-hash";

/// The name of the rule that decides.
fn by(service: &Service, look: &Look) -> &'static str {
    let of_networks = |one: Persistence| one.is_of_networks(look.client.is_ipv6());
    if !service.access.admits(look.client) {
        return ACCESS;
    }
    if look.bound.is_some() {
        return "bound";
    }
    if look.remembered.is_some() && look.remembered == look.chosen {
        return "persistence";
    }
    match service.scheduler {
        _ if service.persistence.is_some_and(of_networks) => "source-hash",
        Scheduler::RoundRobin => "round-robin",
        Scheduler::LeastTransfers => "least-transfers",
        Scheduler::SourceHash => "source-hash",
        Scheduler::FileHash => FILES,
    }
}
