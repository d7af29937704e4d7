//! Rows of the screens: two samples become states and rates.

use super::history::{History, Outcomes};
use crate::api::{Backend, Counts, Interface, Link, Status, Worker};
use crate::cli::sample::{Sample, grown};
use crate::cli::table::{self, number};
use engine::types::drop_reason::DropReason;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

/// A rate per second; `None` before the second sample.
pub type Rate = Option<f64>;

/// A service.
#[derive(Debug)]
pub struct ServiceRow {
    pub name: String,
    pub vips: String,
    pub state: String,
    pub requests: Rate,
    pub now: u64,
    pub outcomes: Outcomes,
}

/// A worker.
#[derive(Debug)]
pub struct WorkerRow {
    pub core: u16,
    /// The share of the time since the sample before that it moved frames.
    pub busy: Option<f64>,
    pub received: Rate,
    pub bytes_received: Rate,
    pub bytes_transmitted: Rate,
    pub drops: Rate,
    /// The 99th percentile of the latency since the daemon's start, in nanoseconds.
    pub p99: u64,
}

/// An interface.
#[derive(Debug)]
pub struct InterfaceRow {
    pub name: String,
    pub link: Link,
    pub device: String,
    pub lost: u64,
    pub losing: Rate,
    pub to_kernel: Rate,
    pub from_kernel: Rate,
}

/// A backend.
#[derive(Debug)]
pub struct BackendRow {
    pub backend: Backend,
    pub requests: Rate,
    pub bytes_out: Rate,
    pub silent: u64,
}

/// A reason of drops.
#[derive(Debug)]
pub struct DropRow {
    pub reason: DropReason,
    pub total: u64,
    pub rate: Rate,
    /// The totals of each worker.
    pub workers: Vec<(u16, u64)>,
    /// Rates of the last minute, the oldest first.
    pub minute: Vec<u64>,
}

/// The daemon in a few words.
pub fn daemon(status: &Status) -> String {
    let uptime = table::coarse(status.uptime);
    let reload = status.last_reload.filter(|last| !last.successful);
    let reload = reload.map_or("", |_| ", the last reload was refused");
    format!("tidegated {}, up {uptime}{reload}", status.version)
}

/// The services, with the outcomes of the last minute.
pub fn services(before: Option<&Sample>, now: &Sample, history: &History) -> Vec<ServiceRow> {
    let old = by_name(before, |sample| &sample.services, |one| one.name.clone());
    let rows = now.services.iter().map(|one| {
        let old = old.get(&one.name).copied();
        let vips = one.vips.iter().map(|&vip| table::endpoint(SocketAddr::new(vip, one.port)));
        ServiceRow {
            name: one.name.clone(),
            vips: vips.collect::<Vec<_>>().join(" "),
            state: one.state.clone(),
            requests: rate(before, now, old, one, |one| number(&one.totals, "started")),
            now: one.transfers,
            outcomes: history.outcomes(&one.name),
        }
    });
    rows.collect()
}

/// The workers.
pub fn workers(before: Option<&Sample>, now: &Sample) -> Vec<WorkerRow> {
    let old = by_name(before, |sample| &sample.stats.workers, |one| one.core);
    let loads = by_name(Some(now), |sample| &sample.status.workers, |one| one.core);
    let old_loads = by_name(before, |sample| &sample.status.workers, |one| one.core);
    let rows = now.stats.workers.iter().map(|one| {
        let old = old.get(&one.core).copied();
        let packets =
            |name: &'static str| rate(before, now, old, one, move |one| number(&one.packets, name));
        WorkerRow {
            core: one.core,
            busy: busy(old_loads.get(&one.core).copied(), loads.get(&one.core).copied()),
            received: packets("received"),
            bytes_received: packets("bytes_received"),
            bytes_transmitted: packets("bytes_transmitted"),
            drops: rate(before, now, old, one, |one| sum(&one.drops)),
            p99: one.latency.p99,
        }
    });
    rows.collect()
}

fn busy(before: Option<&Worker>, now: Option<&Worker>) -> Option<f64> {
    let (before, now) = (before?, now?);
    let busy = (now.busy - before.busy).max(0.0);
    table::share(busy, busy + (now.idle - before.idle).max(0.0))
}

/// The interfaces.
pub fn interfaces(before: Option<&Sample>, now: &Sample) -> Vec<InterfaceRow> {
    let old = by_name(before, |sample| &sample.status.interfaces, |one| one.name.clone());
    let rows = now.status.interfaces.iter().map(|one| {
        let old = old.get(&one.name).copied();
        let rate = |count: fn(&Interface) -> u64| rate(before, now, old, one, count);
        InterfaceRow {
            name: one.name.clone(),
            link: one.link,
            device: one.device.clone(),
            lost: table::lost(&one.lost),
            losing: rate(|one| table::lost(&one.lost)),
            to_kernel: rate(|one| one.tap.to_kernel),
            from_kernel: rate(|one| one.tap.from_kernel),
        }
    });
    rows.collect()
}

/// The backends.
pub fn backends(before: Option<&Sample>, now: &Sample) -> Vec<BackendRow> {
    let name = |one: &Backend| (one.service.clone(), one.name.clone());
    let old = by_name(before, |sample| &sample.backends, name);
    let rows = now.backends.iter().map(|one| {
        let old = old.get(&name(one)).copied();
        let rate =
            |name: &'static str| rate(before, now, old, one, move |one| number(&one.totals, name));
        BackendRow {
            requests: rate("started"),
            bytes_out: rate("bytes_out"),
            silent: table::silent(&one.totals),
            backend: one.clone(),
        }
    });
    rows.collect()
}

/// All reasons of drops.
pub fn drops(before: Option<&Sample>, now: &Sample, history: &History) -> Vec<DropRow> {
    let rows = DropReason::ALL.iter().map(|&reason| {
        let count = |counts: &Counts| number(counts, reason.name());
        let workers = now.stats.workers.iter();
        DropRow {
            reason,
            total: count(&now.stats.drops),
            rate: rate(before, now, before, now, |sample| count(&sample.stats.drops)),
            workers: workers.map(|worker| (worker.core, count(&worker.drops))).collect(),
            minute: history.drops(reason),
        }
    });
    rows.collect()
}

/// The rows of the sample before, by their names.
fn by_name<'a, T, K: std::hash::Hash + Eq>(
    before: Option<&'a Sample>,
    rows: impl Fn(&'a Sample) -> &'a Vec<T>,
    name: impl Fn(&T) -> K,
) -> HashMap<K, &'a T> {
    before.into_iter().flat_map(rows).map(|one| (name(one), one)).collect()
}

/// The growth of a row's counter per second. A row that was not there before has no rate yet.
fn rate<T>(
    before: Option<&Sample>,
    now: &Sample,
    old: Option<&T>,
    new: &T,
    count: impl Fn(&T) -> u64,
) -> Rate {
    let seconds = (now.at - before?.at).max(Duration::from_millis(1)).as_secs_f64();
    Some(grown(count(old?), count(new)) as f64 / seconds)
}

fn sum(counts: &Counts) -> u64 {
    counts.values().filter_map(serde_json::Value::as_u64).sum()
}
