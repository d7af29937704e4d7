//! `tidegate check`: the appliance's state as a Nagios plugin tells it.
//!
//! A plugin has no memory, so drops are judged by two samples, an interval apart: what was dropped last night is no
//! reason for an alarm now.

use super::client::{self, Failure};
use super::sample::{Sample, grown};
use super::table::{self, number};
use crate::api::{Backend, Conflict, Counts, Interface, Service, Stats, Status};
use engine::types::drop_reason::DropReason;
use serde::Serialize;
use std::fmt;
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, UNIX_EPOCH};

/// Reasons of drops that an operator must act on: something is missing, full or too slow.
const SERIOUS: [DropReason; 9] = [
    DropReason::NoBackend,
    DropReason::BackendsFull,
    DropReason::FlowTableFull,
    DropReason::SnatPoolEmpty,
    DropReason::SnatDown,
    DropReason::SessionsFull,
    DropReason::TransmitFull,
    DropReason::KernelFull,
    DropReason::HandOverFull,
];

/// The state of a service for Nagios. The variant is the plugin's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// All is well.
    Ok,
    /// Clients are served, but somebody should look.
    Warning,
    /// Some clients are not served.
    Critical,
    /// The state cannot be found out.
    Unknown,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Ok => "OK",
            Level::Warning => "WARNING",
            Level::Critical => "CRITICAL",
            Level::Unknown => "UNKNOWN",
        })
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    level: Level,
    text: String,
}

impl Finding {
    fn new(level: Level, text: impl Into<String>) -> Finding {
        // A plugin's output has figures behind the bar.
        let text = text.into().replace('|', "/").replace('\n', " ");
        Finding { level, text }
    }
}

/// The plugin's answer.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The worst level of all findings.
    pub level: Level,
    /// The state in a few words, for the first line if nothing is wrong.
    summary: String,
    /// The worst finding first.
    findings: Vec<Finding>,
    /// Figures by name, with the largest possible value where there is one.
    figures: Vec<(&'static str, f64, Option<usize>)>,
}

impl fmt::Display for Report {
    /// Writes the plugin's output: state and figures in one line, then a line for each finding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.findings.first().map_or(&self.summary, |worst| &worst.text);
        write!(f, "TIDEGATE {} - {first}", self.level)?;
        if self.findings.len() > 1 {
            write!(f, " (and {} more)", self.findings.len() - 1)?;
        }
        for (number, (name, value, most)) in self.figures.iter().enumerate() {
            let separator = if number == 0 { " | " } else { " " };
            write!(f, "{separator}{name}={value};;;0")?;
            most.map_or(Ok(()), |most| write!(f, ";{most}"))?;
        }
        self.findings.iter().try_for_each(|Finding { level, text }| write!(f, "\n{level}: {text}"))
    }
}

/// Checks the daemon on this socket, by two samples.
pub fn check(socket: &Path, interval: Duration) -> Report {
    let samples = sample(socket).and_then(|before| {
        sleep(interval);
        Ok((before, sample(socket)?))
    });
    match samples {
        Ok((before, now)) => judge(&before, &now),
        Err(failure) => no_answer(&failure),
    }
}

fn sample(socket: &Path) -> Result<Sample, Failure> {
    client::ask_all(socket, Sample::REQUESTS.each_ref()).and_then(Sample::read)
}

/// The report on a daemon that gives no answer. Without it nobody is served; without the right to ask, nobody knows.
fn no_answer(failure: &Failure) -> Report {
    let level = match failure {
        Failure::NoDaemon(_, error) if error.kind() != io::ErrorKind::PermissionDenied => {
            Level::Critical
        }
        _ => Level::Unknown,
    };
    let findings = vec![Finding::new(level, failure.to_string())];
    Report { level, summary: String::new(), findings, figures: vec![] }
}

/// Judges the state now, and what was dropped since the sample before.
fn judge(before: &Sample, now: &Sample) -> Report {
    let seconds = (now.at - before.at).as_secs_f64().max(0.001);
    let mut findings = findings(before, now, seconds);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let rate = |count: fn(&Stats) -> u64| {
        let rate = grown(count(&before.stats), count(&now.stats)) as f64 / seconds;
        (rate * 10.0).round() / 10.0
    };
    let available = now.backends.iter().filter(|backend| is_available(backend)).count();
    let (services, backends) = (now.services.len(), now.backends.len());
    let transfers = now.status.transfers;
    Report {
        level: findings.first().map_or(Level::Ok, |worst| worst.level),
        summary: format!(
            "services: {services}, backends available: {available} of {backends}, transfers: {transfers}"
        ),
        findings,
        figures: vec![
            ("transfers", transfers as f64, None),
            ("backends_available", available as f64, Some(backends)),
            ("requests_per_second", rate(|stats| number(&stats.transfers, "started")), None),
            ("drops_per_second", rate(|stats| total(&stats.drops)), None),
        ],
    }
}

fn findings(before: &Sample, now: &Sample, seconds: f64) -> Vec<Finding> {
    let mut findings = vec![];
    findings.extend(now.services.iter().flat_map(|service| of_service(service, &now.backends)));
    findings.extend(now.backends.iter().filter_map(of_backend));
    findings.extend(SERIOUS.iter().filter_map(|reason| {
        let count = |sample: &Sample| number(&sample.stats.drops, reason.name());
        let dropped = grown(count(before), count(now));
        let text = || format!("{dropped} packets dropped in {seconds:.1} s: {}", reason.name());
        (dropped > 0).then(|| warning(text()))
    }));
    let interfaces = now.status.interfaces.iter().zip(&before.status.interfaces);
    findings.extend(interfaces.filter_map(|(now, before)| {
        let count = |interface: &Interface| interface.lost.missed + interface.lost.no_buffer;
        let lost = grown(count(before), count(now));
        let text = || format!("interface {} has lost {lost} frames in {seconds:.1} s", now.name);
        (lost > 0).then(|| warning(text()))
    }));
    findings.extend(now.status.interfaces.iter().flat_map(|one| {
        let text = |found: &Conflict| format!("interface {}: {}", one.name, table::conflict(found));
        one.conflicts.iter().map(move |found| warning(text(found)))
    }));
    findings.extend(of_gate(&now.status));
    findings.extend(of_reload(&now.status));
    findings
}

fn total(counts: &Counts) -> u64 {
    counts.values().filter_map(serde_json::Value::as_u64).sum()
}

fn warning(text: impl Into<String>) -> Finding {
    Finding::new(Level::Warning, text)
}

fn of_service(service: &Service, backends: &[Backend]) -> Vec<Finding> {
    let name = &service.name;
    let vips = match service.state.as_str() {
        "live" | "elsewhere" | "withdrawn" => None,
        // Another gate may have the others.
        "partly live" if service.addresses == "elsewhere" => None,
        "partly live" => Some(format!("service {name}: a VIP is down")),
        "pool down" => {
            Some(format!("service {name}: the kernel holds no address of its SNAT pool"))
        }
        _ => Some(format!("service {name}: no VIP is live")),
    };
    let is_served = backends.iter().any(|one| one.service == *name && is_available(one));
    let unserved = (!is_served).then(|| format!("service {name}: no backend is available"));
    let critical = vips.into_iter().chain(unserved);
    critical.map(|text| Finding::new(Level::Critical, text)).collect()
}

/// The findings about the gate as a whole and the other gate of its pair.
fn of_gate(status: &Status) -> impl Iterator<Item = Finding> {
    let drained = status.drained.then(|| warning("the gate is drained"));
    let both = (status.pair_conflicts > 0).then(|| {
        let count = status.pair_conflicts;
        Finding::new(Level::Critical, format!("both gates of the pair hold {count} addresses"))
    });
    drained.into_iter().chain(both)
}

/// Whether a backend gets new transfers.
fn is_available(backend: &Backend) -> bool {
    matches!(backend.state.as_str(), "up" | "suspected") && backend.weight > 0
}

/// The finding about a backend in trouble. States that an operator ordered are none.
fn of_backend(backend: &Backend) -> Option<Finding> {
    let Backend { service, name, state, check, .. } = backend;
    if !matches!(state.as_str(), "down" | "unresolved" | "suspected" | "ejected") {
        return None;
    }
    let why = check.as_ref().filter(|check| check.verdict == "failed" && !check.last.is_empty());
    let why = why.map(|check| format!(": {}", check.last)).unwrap_or_default();
    Some(warning(format!("backend {name} of {service} is {state}{why}")))
}

fn of_reload(status: &Status) -> Option<Finding> {
    let refused = status.last_reload.filter(|last| !last.successful)?;
    let at = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(refused.at));
    Some(warning(format!(
        "the last reload was refused at {at}; `tidegate reload --check` says why"
    )))
}

#[cfg(test)]
mod tests;
