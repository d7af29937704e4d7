//! Problems: what an operator should look at first, in a line each.

use super::view::{Service, View};
use super::words::{count, span};
use crate::api::Conflict;
use crate::foreign_text::escaped;
use crate::service_facts::ServiceFacts;

/// The problems of a view, the worst first.
pub fn of(view: &View) -> Vec<String> {
    let mut problems = vec![];
    for service in &view.services {
        for vip in &service.vips {
            if let Some(fault) = vip.fault() {
                let (address, name) = (vip.facts.address, &service.facts.name);
                problems.push(format!("VIP {address} of {name} is down: {fault}"));
            }
        }
        if service.lacks_pool {
            problems
                .push(format!("The kernel holds no address of the pool of {}", service.facts.name));
        }
        problems.extend(backends(service));
    }
    let conflicts = view.interfaces.iter().flat_map(|one| &one.conflicts);
    problems.extend(conflicts.map(|Conflict { address, mac }| {
        format!("Another host claims {address}: it is also at {mac}")
    }));
    let down = view.interfaces.iter().filter(|one| !one.link.is_up);
    problems.extend(down.map(|one| format!("The link of {} is down", one.name)));
    if !view.daemon.reloads.is_last_successful {
        let what = "The last reload was refused: the file is not what is in force";
        problems.push(what.to_owned());
    }
    problems
}

fn backends(service: &Service) -> Vec<String> {
    let Service { facts: ServiceFacts { name, .. }, backends, .. } = service;
    let up = backends.iter().filter(|one| one.row.state == "up").count();
    let none = (up == 0).then(|| format!("{name} has no backend that is up"));
    let bad = |state: &str| ["down", "unresolved", "suspected", "ejected"].contains(&state);
    let bad: Vec<_> = backends.iter().filter(|one| bad(&one.row.state)).collect();
    let mut lines: Vec<String> = none.into_iter().collect();
    if bad.len() > MOST {
        lines.push(format!("{} of {name} are not well", count(bad.len(), "backend")));
        return lines;
    }
    lines.extend(bad.into_iter().map(|one| {
        let (row, since) = (&one.row, span(one.since));
        let reason = escaped(&one.reason);
        format!("Backend {} of {name} is {} for {since}: {reason}", row.name, row.state)
    }));
    lines
}

/// Backends of a service that have a line each.
const MOST: usize = 5;
