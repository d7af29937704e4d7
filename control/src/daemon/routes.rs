//! NAT rules, routes, and the choice of a backend.

use super::{Daemon, limit, protocol};
use crate::api::{Asker, Choice, Error, Few, NatRule, PassedOver, Route, Routes};
use crate::backend_status::Condition;
use crate::config::{Persistence, Service};
use crate::service_facts::scheduler;
use engine::scheduler::backend_group::Scheduler;
use engine::scheduler::transfer_limit::TransferLimit;
use engine::state::explain::SelectionTrace;
use engine::types::id::BackendId;
use std::sync::atomic::Ordering::Relaxed;

impl Daemon {
    /// The NAT rules for connections that servers open.
    pub(super) fn nat(&self) -> Vec<NatRule> {
        let snapshot = self.snapshot.borrow();
        let rules = snapshot.nat.iter().map(|rule| NatRule {
            from: rule.from,
            protocol: protocol(rule.protocol),
            source_port: rule.source_port,
            to: snapshot[rule.to].address,
            hits: rule.hits.load(Relaxed),
        });
        rules.collect()
    }

    /// The kernel's routes over our interfaces.
    pub(super) fn routes(&self, few: Few) -> Result<Routes, Error> {
        let limit = limit(few.limit)?;
        let (view, active) = (self.view.borrow(), self.active());
        let names = &active.config().interfaces;
        let ours = view.routes.iter().filter_map(|route| Some((route, route.interface?)));
        let routes = ours.clone().take(limit).map(|(route, interface)| Route {
            to: route.to,
            gateway: route.gateway,
            interface: names[usize::from(interface)].name.clone(),
            mac: route.mac.map(|mac| mac.to_string()),
        });
        Ok(Routes { matching: ours.clone().count(), routes: routes.collect() })
    }

    /// The backend that a client would get, and the reasons against those that would come before.
    pub(super) async fn hash(&self, asker: Asker) -> Result<Choice, Error> {
        let Asker { service, client } = asker;
        let id = self.service_id(&service)?;
        let (worker, look) = self.channels.look(SelectionTrace::new(client, id)).await?;
        let active = self.active();
        let written = active.services().find(|(known, _)| *known == id);
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
        if choice.by != ACCESS && choice.by != scheduler(Scheduler::FileHash) {
            choice.backend = look.chosen.map(|backend| self.name_of(backend));
            choice.passed_over = self.passed_over(&choice.service, &look);
        }
        Ok(choice)
    }

    /// The backends before the chosen one. If none is chosen: the one that the client is bound to, or all backends
    /// for this client.
    fn passed_over(&self, of: &str, look: &SelectionTrace) -> Vec<PassedOver> {
        let active = self.active();
        let all = active.backends().filter(|(_, service, backend)| {
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
        self.active().registry[backend].what.name.clone()
    }

    /// The reason why a backend is not chosen.
    fn why_not(&self, id: BackendId) -> String {
        let active = self.active();
        let Some((_, service, written)) = active.backends().find(|(known, ..)| *known == id) else {
            return "removed".to_owned();
        };
        let snapshot = self.snapshot.borrow();
        let backend = &snapshot[id];
        let (status, condition) = self.status_of(id, service, written);
        let full = backend.cap.as_ref().is_some_and(|cap: &TransferLimit| !cap.has_room());
        match condition {
            Condition::Up | Condition::Suspected if status.weight(written) == 0 => "weight 0",
            Condition::Up | Condition::Suspected if full => "full",
            Condition::Up | Condition::Suspected if backend.slow_start.is_some() => "warming up",
            condition => condition.name(),
        }
        .to_owned()
    }
}

/// The rule for clients that are not allowed.
const ACCESS: &str = "access";

/// The name of the rule that decides.
fn by(service: &Service, look: &SelectionTrace) -> &'static str {
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
        other => scheduler(other),
    }
}
