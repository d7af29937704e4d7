//! NAT rules, routes and the choice of a backend: `tidegate nat`, `routes` and `hash`.

use super::table::table;
use crate::api::{Choice, NatRule, PassedOver, Routes};

/// Shows the answer of `tidegate nat`.
pub fn nat(rules: &Vec<NatRule>) -> String {
    let mut table = table(&["FROM", "PROTOCOL", "SOURCE PORT", "LEAVES AS", "HITS"], 4);
    for rule in rules {
        table.add_row([
            rule.from.to_string(),
            rule.protocol.clone(),
            rule.source_port.map_or("any".to_owned(), |port| port.to_string()),
            rule.to.to_string(),
            rule.hits.to_string(),
        ]);
    }
    table.to_string()
}

/// Shows the answer of `tidegate routes`.
pub fn routes(answer: &Routes) -> String {
    if answer.matching == 0 {
        return "no routes".to_owned();
    }
    let mut table = table(&["TO", "GATEWAY", "INTERFACE", "MAC"], 4);
    for route in &answer.routes {
        let is_network = route.to.prefix_len() < route.to.max_prefix_len();
        let unknown = if route.gateway.is_none() && is_network { "-" } else { "unresolved" };
        table.add_row([
            route.to.to_string(),
            route.gateway.map_or("-".to_owned(), |gateway| gateway.to_string()),
            route.interface.clone(),
            route.mac.clone().unwrap_or(unknown.to_owned()),
        ]);
    }
    let (shown, matching) = (answer.routes.len(), answer.matching);
    let rest = if shown < matching {
        format!("\n{shown} of {matching}; --limit shows more")
    } else {
        String::new()
    };
    format!("{table}{rest}")
}

/// Shows the answer of `tidegate hash`.
pub fn hash(choice: &Choice) -> String {
    let Choice { service, client, worker, backend, by, passed_over } = choice;
    let why = match by.as_str() {
        "bound" => format!("it is bound to it in worker {worker}"),
        "persistence" => format!("worker {worker} remembers it"),
        "round-robin" => format!("by round-robin, it is the next one in worker {worker}"),
        "least-transfers" => format!("it has the fewest for its weight in worker {worker}"),
        other => format!("by {other}"),
    };
    let first = match (backend, by.as_str()) {
        (Some(backend), _) => format!("{client} gets {backend} of {service}: {why}"),
        (None, "access") => {
            format!("{client} gets nothing of {service}: it is not among its clients")
        }
        (None, "file-hash") => {
            format!("{client} gets a backend of {service} by the file that it asks for")
        }
        (None, "bound") => {
            format!("{client} gets nothing of {service}: the backend that it is bound to is full")
        }
        (None, _) => format!("{client} gets nothing of {service}: no backend can be had"),
    };
    let others = passed_over
        .iter()
        .map(|PassedOver { backend, why }| format!("passed over: {backend}, {why}"));
    [first].into_iter().chain(others).collect::<Vec<_>>().join("\n")
}
