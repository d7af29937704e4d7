//! Services with their VIPs, backends and pictures of the last hour.

use super::chart;
use super::elements::{Column, section as titled, state, table, text};
use super::view::{Backend, Service};
use super::words::{grouped, span};
use crate::api::Check;
use crate::service_facts::ServiceFacts;
use maud::{Markup, html};
use std::time::Duration;

/// The section of the services.
pub fn section(services: &[Service]) -> Markup {
    titled(
        "services",
        html! {
            @for (number, service) in services.iter().enumerate() {
                article aria-labelledby={ "service-" (number) } {
                    (heading(number, service))
                    (vips(service))
                    (chart::hour(&service.facts.name, number, &service.hour))
                    (backends(service))
                }
            }
        },
    )
}

fn heading(number: usize, service: &Service) -> Markup {
    let up = service.backends.iter().filter(|one| one.row.state == "up").count();
    let ServiceFacts { name, protocol, mode, scheduler, port } = &service.facts;
    let port = if *port == 0 { "all ports".into() } else { format!("port {port}") };
    html! {
        h3 id={ "service-" (number) } { (name) }
        p.about {
            (protocol) ", " (port) ", " (mode) ", " (scheduler) "; "
            (up) " of " (service.backends.len()) " backends up"
        }
    }
}

fn vips(service: &Service) -> Markup {
    html! {
        ul.vips aria-label={ "VIPs of " (service.facts.name) } {
            @for vip in &service.vips {
                li {
                    "VIP " (vip.facts.address) " "
                    (state(vip.facts.state()))
                    " for " (span(vip.since))
                    @if let Some(fault) = vip.fault() { ": " (fault) }
                }
            }
        }
    }
}

fn backends(service: &Service) -> Markup {
    let columns = [
        Column::Text("backend"),
        Column::Text("state"),
        Column::Text("since"),
        Column::Text("reason"),
        Column::Number("now / most"),
        Column::Number("weight"),
        Column::Text("last check"),
        Column::Text("address"),
    ];
    let rows = service.backends.iter().map(row).collect();
    table(&format!("Backends of {}", service.facts.name), &columns, rows)
}

fn row(backend: &Backend) -> Vec<Markup> {
    let Backend { row, reason, since } = backend;
    let now = grouped(row.transfers);
    let now = match row.max_transfers {
        Some(most) => format!("{now} / {}", grouped(most.into())),
        None => now,
    };
    let weight = match (row.weight, row.file_weight) {
        (weight, file) if weight == file || row.state == "removed" => weight.to_string(),
        (weight, file) => format!("{weight} (file: {file})"),
    };
    vec![
        html! { (row.name) },
        state(&row.state),
        html! { (span(*since)) },
        text(reason),
        html! { (now) },
        html! { (weight) },
        text(&row.check.as_ref().map_or_else(|| "none".to_owned(), check)),
        html! { (row.address) },
    ]
}

fn check(check: &Check) -> String {
    let since = check.since.map(|since| format!(" for {}", span(Duration::from_secs(since))));
    let last = if check.last.is_empty() { String::new() } else { format!(": {}", check.last) };
    format!("{}{}{last}", check.verdict, since.unwrap_or_default())
}
