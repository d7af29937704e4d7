//! Answers as tables that fit a screen.

use crate::api::{
    Backend, Check, Conflict, Counts, LastReload, Link, Lost, Reload, Service, Stats, Status,
    Worker,
};
use comfy_table::{CellAlignment, Table, presets};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

/// Shows the answer of `tidegate status`.
pub fn status(status: &Status) -> String {
    let mut workers = table(&["WORKER", "CORE", "BUSY", "RECEIVED", "TRANSMITTED", "DROPPED"], 0);
    for (number, worker) in status.workers.iter().enumerate() {
        workers.add_row([
            number.to_string(),
            worker.core.to_string(),
            busy(worker),
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
        "LINK",
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
            link(interface.link),
            lost(&interface.lost).to_string(),
            interface.tap.to_kernel.to_string(),
            interface.tap.from_kernel.to_string(),
        ]);
    }
    format!(
        "tidegated {}, up {}, {} transfers and connections now{}\n\n{workers}\n\n{interfaces}",
        status.version,
        humantime::format_duration(Duration::from_secs(status.uptime)),
        status.transfers,
        status.last_reload.map(last_reload).unwrap_or_default()
            + drained(status)
            + &conflicts(status),
    )
}

/// The share of its time since the start that a worker moved frames.
fn busy(Worker { busy, idle, .. }: &Worker) -> String {
    share(*busy, busy + idle).map_or("-".to_owned(), percent)
}

/// A part of a whole, 0 to 1; `None`: there is no whole yet.
pub fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A link, as in `up 10 Gb/s`.
pub fn link(Link { is_up, speed }: Link) -> String {
    let state = if is_up { "up" } else { "down" };
    match speed {
        Some(bytes) => format!("{state} {} Gb/s", bytes as f64 * 8.0 / 1e9),
        None => state.to_owned(),
    }
}

fn drained(status: &Status) -> &'static str {
    if status.drained { "\nthe gate is drained" } else { "" }
}

/// The conflicts of all interfaces, a line each.
fn conflicts(status: &Status) -> String {
    let conflicts = status.interfaces.iter().flat_map(|one| {
        one.conflicts.iter().map(|found| format!("\n{}: {}", one.name, conflict(found)))
    });
    conflicts.collect()
}

fn last_reload(LastReload { successful, at }: LastReload) -> String {
    let at = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(at));
    let outcome =
        if successful { "done" } else { "refused, the configuration before it is in force" };
    format!("\nlast reload {at}: {outcome}")
}

fn vlans(ids: &[u16]) -> String {
    match ids {
        [] => "-".to_owned(),
        ids => ids.iter().map(u16::to_string).collect::<Vec<_>>().join("."),
    }
}

/// All frames that a device lost.
pub fn lost(lost: &Lost) -> u64 {
    lost.missed + lost.broken + lost.no_buffer + lost.oversized + lost.unsent
}

/// The last columns of services and backends, which they have in common.
const TOTALS: [&str; 9] =
    ["NOW", "STARTED", "COMPLETED", "PROBES", "NO FILE", "FAILED", "SILENT", "IN", "OUT"];

/// Shows the answer of `tidegate services`.
pub fn services(services: &Vec<Service>) -> String {
    let columns = ["SERVICE", "VIP", "PROTOCOL", "MODE", "STATE"];
    let mut table = table(&[&columns, &TOTALS[..]].concat(), columns.len());
    for service in services {
        let mut row = vec![
            service.name.clone(),
            endpoints(&service.vips, service.port),
            service.protocol.clone(),
            service.mode.clone(),
            state(service),
        ];
        row.extend(totals(service.transfers, &service.totals));
        table.add_row(row);
    }
    table.to_string()
}

/// The state of a service, and conflicts about its addresses.
fn state(service: &Service) -> String {
    let conflicts = service.conflicts.iter().map(conflict);
    [service.state.clone()].into_iter().chain(conflicts).collect::<Vec<_>>().join("\n")
}

/// A conflict in words.
pub fn conflict(Conflict { address, mac }: &Conflict) -> String {
    format!("conflict: {address} is also at {mac}")
}

/// Endpoints, one on each line.
fn endpoints(addresses: &[IpAddr], port: u16) -> String {
    let endpoints = addresses.iter().map(|&address| endpoint(SocketAddr::new(address, port)));
    endpoints.collect::<Vec<_>>().join("\n")
}

/// An endpoint; the address alone if the port is 0, which stands for any or unknown.
pub fn endpoint(endpoint: SocketAddr) -> String {
    match endpoint.port() {
        0 => endpoint.ip().to_string(),
        _ => endpoint.to_string(),
    }
}

/// Shows the answer of `tidegate backends`.
pub fn backends(backends: &Vec<Backend>) -> String {
    let columns = ["SERVICE", "BACKEND", "ADDRESS", "STATE", "WEIGHT"];
    let mut table = table(&[&columns, &TOTALS[..], &["CHECK"]].concat(), 4);
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

/// A check's verdict, as in `passed 5m` or `failed 12s: no answer within 1s`.
pub fn check(Check { verdict, since, last }: &Check) -> String {
    let since = since.map(|since| format!(" {}", coarse(since))).unwrap_or_default();
    let last = if last.is_empty() { String::new() } else { format!(": {last}") };
    format!("{verdict}{since}{last}")
}

/// A time span, with tenths of seconds below a minute. Connections may last for days.
pub fn time(seconds: f64) -> String {
    if seconds < 60.0 { format!("{seconds:.1}s") } else { coarse(seconds as u64) }
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

/// The weight in force, and the file's if that is another one.
pub fn weight(backend: &Backend) -> String {
    let Backend { weight, file_weight, .. } = backend;
    if weight == file_weight {
        weight.to_string()
    } else {
        format!("{weight} (file: {file_weight})")
    }
}

/// Shows the answer of `tidegate reload`.
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
    [
        now.to_string(),
        count("started"),
        count("completed"),
        count("size_probes"),
        count("not_found"),
        failed(totals).to_string(),
        silent(totals).to_string(),
        size(number(totals, "bytes_in")),
        size(number(totals, "bytes_out")),
    ]
}

/// Transfers that failed: by an ERROR, with their server, or as there was no room.
pub fn failed(totals: &Counts) -> u64 {
    ["failed", "lost", "evicted"].iter().map(|name| number(totals, name)).sum()
}

/// Transfers in which one side or the other fell silent: before the first answer, the client from then on, or later.
pub fn silent(totals: &Counts) -> u64 {
    ["unanswered", "unheard", "timed_out"].iter().map(|name| number(totals, name)).sum()
}

/// Shows the answer of `tidegate stats`: all counters above zero, and their growth since `before`.
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

/// The share of frames handed over, and the latencies.
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

/// A counter by its name; 0 if there is none.
pub fn number(counts: &Counts, name: &str) -> u64 {
    counts.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0)
}

/// A number of bytes in a readable unit.
pub fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).to_string()
}

/// An empty table without lines; the first `words` columns are left-aligned, the others hold numbers.
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
    fn links_and_shares_in_a_few_words() {
        let link = |is_up, megabits: Option<u64>| {
            link(Link { is_up, speed: megabits.map(|megabits| megabits * 125_000) })
        };
        let speeds = [None, Some(100), Some(2500), Some(100_000)].map(|speed| link(true, speed));
        assert_eq!(speeds, ["up", "up 0.1 Gb/s", "up 2.5 Gb/s", "up 100 Gb/s"]);
        assert_eq!(link(false, None), "down");
        assert_eq!(share(1.0, 8.0).map(percent).as_deref(), Some("12.5 %"));
        assert_eq!(share(0.0, 0.0), None);
    }

    #[test]
    fn status_has_the_link_and_the_busy_share() {
        let mut all = crate::cli::fixture::status();
        all.interfaces[0].link = Link { is_up: false, speed: None };
        let shown = status(&all);
        let worker =
            shown.lines().find(|line| line.trim_start().starts_with("1 ")).expect("a worker");
        assert_eq!(worker.split_whitespace().collect::<Vec<_>>()[..4], ["1", "2", "25.0", "%"]);
        let lan = shown.lines().find(|line| line.starts_with("lan")).expect("an interface");
        assert!(lan.contains("by source") && lan.contains("down"), "{shown}");
    }

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
