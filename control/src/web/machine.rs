//! Drops, workers and links.

use super::elements::{Column, section, state, table};
use super::view::{Drop, Worker};
use super::words::{grouped, rate};
use crate::api::Lost;
use crate::metrics::Interface;
use maud::{Markup, html};

/// The section of drops.
pub fn drops(drops: &[Drop]) -> Markup {
    let columns = [
        Column::Text("reason"),
        Column::Number("last minute"),
        Column::Number("in all"),
        Column::Text("meaning"),
    ];
    let rows = drops.iter().map(|one| {
        vec![
            html! { code { (one.reason.name()) } },
            html! { (grouped(one.minute)) },
            html! { (grouped(one.total)) },
            html! { (one.reason.meaning()) },
        ]
    });
    let content = if drops.is_empty() {
        html! { p { "No packet was dropped." } }
    } else {
        table("Dropped packets by reason", &columns, rows.collect())
    };
    section("drops", content)
}

/// The section of workers.
pub fn workers(workers: &[Worker]) -> Markup {
    let columns = [
        Column::Text("worker"),
        Column::Number("core"),
        Column::Number("busy"),
        Column::Number("received / s"),
        Column::Number("forwarded / s"),
        Column::Number("dropped / s"),
    ];
    let rows = workers.iter().enumerate().map(|(number, worker)| {
        let mut cells = vec![html! { (number) }, html! { (worker.core) }];
        let Some(load) = worker.load else {
            cells.extend((0..4).map(|_| html! { "not known yet" }));
            return cells;
        };
        cells.push(busy(load.busy));
        cells.extend(load.packets.map(|packets| html! { (rate(packets)) }));
        cells
    });
    section("workers", table("Load of the last second", &columns, rows.collect()))
}

fn busy(share: f64) -> Markup {
    let percent = share * 100.0;
    html! {
        meter min="0" max="100" high="90" optimum="0" value={ (format!("{percent:.1}")) } {}
        " " (format!("{percent:.1} %"))
    }
}

/// The section of links.
pub fn links(interfaces: &[Interface]) -> Markup {
    let columns = [
        Column::Text("interface"),
        Column::Text("link"),
        Column::Text("speed"),
        Column::Number("lost"),
        Column::Text("device"),
        Column::Text("driver"),
        Column::Text("MAC"),
    ];
    let rows = interfaces.iter().map(|one| {
        let Lost { missed, broken, no_buffer, oversized, unsent } = one.lost;
        let speed = one.link.speed.map(|bytes| format!("{} Mbit/s", grouped(bytes / 125_000)));
        vec![
            html! { (one.name) },
            state(if one.link.is_up { "up" } else { "down" }),
            html! { (speed.as_deref().unwrap_or("not known")) },
            html! { (grouped(missed + broken + no_buffer + oversized + unsent)) },
            html! { (one.device) },
            html! { (one.driver) },
            html! { (one.mac) },
        ]
    });
    section("links", table("Devices and their links", &columns, rows.collect()))
}
