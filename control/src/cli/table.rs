//! Answers as tables that fit a screen.

use crate::api::{Backend, Check, Counts, Lost, Reload, Service, Stats, Status};
use comfy_table::{CellAlignment, Table, presets};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// `tidegate status`.
pub fn status(status: &Status) -> String {
    let mut workers = table(&["WORKER", "CORE", "RECEIVED", "TRANSMITTED", "DROPPED"], 0);
    for (number, worker) in status.workers.iter().enumerate() {
        workers.add_row([
            number.to_string(),
            worker.core.to_string(),
            worker.received.to_string(),
            worker.transmitted.to_string(),
            worker.dropped.to_string(),
        ]);
    }
    let header = [
        "INTERFACE",
        "DEVICE",
        "VLAN",
        "DRIVER",
        "MAC",
        "MTU",
        "QUEUES",
        "RSS",
        "LOST",
        "TO KERNEL",
        "FROM KERNEL",
    ];
    let mut interfaces = table(&header, 5);
    for interface in &status.interfaces {
        interfaces.add_row([
            interface.name.clone(),
            interface.device.clone(),
            vlans(&interface.vlans),
            interface.driver.clone(),
            interface.mac.clone(),
            interface.mtu.to_string(),
            interface.queues.to_string(),
            interface.rss.clone(),
            lost(&interface.lost).to_string(),
            interface.tap.to_kernel.to_string(),
            interface.tap.from_kernel.to_string(),
        ]);
    }
    format!(
        "tidegated {}, up {}, {} transfers and connections now\n\n{workers}\n\n{interfaces}",
        status.version,
        humantime::format_duration(Duration::from_secs(status.uptime)),
        status.transfers,
    )
}

fn vlans(ids: &[u16]) -> String {
    match ids {
        [] => "-".to_owned(),
        ids => ids.iter().map(u16::to_string).collect::<Vec<_>>().join("."),
    }
}

fn lost(lost: &Lost) -> u64 {
    lost.missed + lost.broken + lost.no_buffer + lost.oversized + lost.unsent
}

/// The columns that services and backends have in common, behind their own.
const TOTALS: [&str; 9] =
    ["NOW", "STARTED", "COMPLETED", "PROBES", "NO FILE", "FAILED", "SILENT", "IN", "OUT"];

/// `tidegate services`.
pub fn services(services: &Vec<Service>) -> String {
    let own = ["SERVICE", "VIP", "PROTOCOL", "MODE", "STATE"];
    let mut table = table(&[&own, &TOTALS[..]].concat(), own.len());
    for service in services {
        let mut row = vec![
            service.name.clone(),
            endpoints(&service.vips, service.port),
            service.protocol.clone(),
            service.mode.clone(),
            service.state.clone(),
        ];
        row.extend(totals(service.transfers, &service.totals));
        table.add_row(row);
    }
    table.to_string()
}

/// One on each line.
fn endpoints(addresses: &[IpAddr], port: u16) -> String {
    let endpoints = addresses.iter().map(|&address| endpoint(SocketAddr::new(address, port)));
    endpoints.collect::<Vec<_>>().join("\n")
}

/// With any port, or one that is not known yet, the address alone.
pub fn endpoint(endpoint: SocketAddr) -> String {
    match endpoint.port() {
        0 => endpoint.ip().to_string(),
        _ => endpoint.to_string(),
    }
}

/// `tidegate backends`.
pub fn backends(backends: &Vec<Backend>) -> String {
    let own = ["SERVICE", "BACKEND", "ADDRESS", "STATE", "WEIGHT"];
    let mut table = table(&[&own, &TOTALS[..], &["CHECK"]].concat(), 4);
    if let Some(last) = table.column_iter_mut().last() {
        last.set_cell_alignment(CellAlignment::Left);
    }
    for backend in backends {
        let mut row = vec![
            backend.service.clone(),
            backend.name.clone(),
            backend.address.to_string(),
            backend.state.clone(),
            weight(backend),
        ];
        row.extend(totals(backend.transfers, &backend.totals));
        row.push(backend.check.as_ref().map_or("-".to_owned(), check));
        table.add_row(row);
    }
    table.to_string()
}

/// `passed 5m`, `failed 12s: no answer within 1s`.
fn check(Check { verdict, since, last }: &Check) -> String {
    let since = since.map(|since| format!(" {}", coarse(since))).unwrap_or_default();
    let last = if last.is_empty() { String::new() } else { format!(": {last}") };
    format!("{verdict}{since}{last}")
}

/// A length of time in its largest unit.
pub fn coarse(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn weight(backend: &Backend) -> String {
    let Backend { weight, file_weight, .. } = backend;
    if weight == file_weight {
        weight.to_string()
    } else {
        format!("{weight} (file: {file_weight})")
    }
}

/// `tidegate reload`.
pub fn reload(reload: &Reload) -> String {
    let mut lines: Vec<_> = reload.changes.iter().map(ToString::to_string).collect();
    lines.extend(reload.kept.iter().map(|kept| format!("kept: {kept}")));
    lines.extend(reload.lost.iter().map(|lost| format!("kernel: {lost}")));
    lines.push(
        match (reload.changes.is_empty(), reload.applied) {
            (true, _) => "the file says nothing new",
            (false, true) => "reloaded",
            (false, false) => "only checked: nothing is changed",
        }
        .to_owned(),
    );
    lines.join("\n")
}

fn totals(now: u64, totals: &Counts) -> [String; 9] {
    let count = |name| number(totals, name).to_string();
    // One side or the other fell silent: before the first answer, the client from then on, or later.
    let silent = ["unanswered", "unheard", "timed_out"].map(|name| number(totals, name));
    [
        now.to_string(),
        count("started"),
        count("completed"),
        count("size_probes"),
        count("not_found"),
        count("failed"),
        silent.iter().sum::<u64>().to_string(),
        size(number(totals, "bytes_in")),
        size(number(totals, "bytes_out")),
    ]
}

/// `tidegate stats`: what has ever moved, and by how much since `before`.
pub fn stats(now: &Stats, before: Option<&Stats>) -> String {
    let sections = [
        ("PACKETS", &now.packets, before.map(|before| &before.packets)),
        ("DROPS", &now.drops, before.map(|before| &before.drops)),
        ("TRANSFERS", &now.transfers, before.map(|before| &before.transfers)),
        ("REFUSED", &now.refused, before.map(|before| &before.refused)),
    ];
    let shown = sections.map(|(title, now, before)| section(title, now, before));
    format!("{}\n\n{}", shown.join("\n\n"), inside(now))
}

/// How it goes inside: hand-over, and how long frames stay.
fn inside(stats: &Stats) -> String {
    let mut table = table(&["CORE", "TURNS", "P50", "P99", "P99.9", "MAX"], 1);
    let workers = stats.workers.iter().map(|worker| (worker.core.to_string(), &worker.latency));
    for (core, latency) in workers.chain([("all".to_owned(), &stats.latency)]) {
        let times = [latency.p50, latency.p99, latency.p99_9, latency.max];
        let mut row = vec![core, latency.turns.to_string()];
        row.extend(times.map(|time| format!("{:.1} µs", time as f64 / 1000.0)));
        table.add_row(row);
    }
    let share = stats.handed_over_share * 100.0;
    format!("{share:.1} % of the received frames were handed over to another worker.\n\n{table}")
}

fn section(title: &str, now: &Counts, before: Option<&Counts>) -> String {
    let mut header = vec![title, "TOTAL"];
    header.extend(before.map(|_| "PER SECOND"));
    let mut table = table(&header, 1);
    for name in now.keys().filter(|name| number(now, name) > 0) {
        let mut row = vec![name.replace('_', "-"), number(now, name).to_string()];
        row.extend(before.map(|before| (number(now, name) - number(before, name)).to_string()));
        table.add_row(row);
    }
    if table.is_empty() { format!("{title}\nnone") } else { table.to_string() }
}

fn number(counts: &Counts, name: &str) -> u64 {
    counts.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0)
}

/// As people read it.
pub fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).to_string()
}

/// An empty table without lines; the first `words` columns are left-aligned, the others numbers.
pub fn table(header: &[&str], words: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if number >= words {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_in_a_few_words() {
        for (since, last, shown) in [
            (None, "", "failed"),
            (Some(59), "", "failed 59s"),
            (Some(60), "port 69 is closed", "failed 1m: port 69 is closed"),
            (Some(7199), "", "failed 1h"),
            (Some(200_000), "", "failed 2d"),
        ] {
            assert_eq!(check(&Check { verdict: "failed".into(), since, last: last.into() }), shown);
        }
    }
}
