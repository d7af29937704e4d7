//! Reports at the end of a run.

use crate::client::Outcome;
use crate::link::{Failure, Tally};
use bytesize::ByteSize;
use comfy_table::{CellAlignment, Table, presets};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// An hour in microseconds; longer times count as this.
const LONGEST: u64 = 3_600_000_000;

/// The results of a storm.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Completed transfers.
    pub completed: u64,
    /// Failed transfers, by kind.
    pub failed: BTreeMap<String, u64>,
    /// Bytes of completed transfers.
    pub bytes: u64,
    /// Seconds from the first request to the last end.
    pub seconds: f64,
    /// Completed transfers per second.
    pub transfers_per_second: f64,
    /// Bytes per second of completed transfers.
    pub bytes_per_second: f64,
    /// Durations of completed transfers.
    pub time_us: Times,
    /// Retransmissions.
    pub retransmissions: Retransmissions,
    /// Packets from other endpoints than the transfer's server.
    pub strays: u64,
    /// Completed transfers by server address.
    pub servers: BTreeMap<IpAddr, Share>,
}

/// A distribution of times, in microseconds.
#[derive(Debug, Default, Serialize)]
pub struct Times {
    /// 50th percentile.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p99_9: u64,
    /// Maximum.
    pub max: u64,
}

/// Retransmissions by clients.
#[derive(Debug, Default, Serialize)]
pub struct Retransmissions {
    /// Requests.
    pub requests: u64,
    /// Blocks and ACKs.
    pub blocks: u64,
}

/// The share of one server.
#[derive(Debug, Default, Serialize)]
pub struct Share {
    /// Completed transfers.
    pub completed: u64,
    /// Bytes of completed transfers.
    pub bytes: u64,
}

/// Accumulated outcomes.
pub struct Sum {
    report: Report,
    times: Histogram<u64>,
}

impl Sum {
    /// An empty sum.
    pub fn new() -> Sum {
        let times = Histogram::new_with_bounds(1, LONGEST, 3).expect("sound bounds");
        let report = Report {
            completed: 0,
            failed: BTreeMap::new(),
            bytes: 0,
            seconds: 0.0,
            transfers_per_second: 0.0,
            bytes_per_second: 0.0,
            time_us: Times::default(),
            retransmissions: Retransmissions::default(),
            strays: 0,
            servers: BTreeMap::new(),
        };
        Sum { report, times }
    }

    /// Adds an outcome.
    pub fn add(&mut self, outcome: &Outcome) {
        let report = &mut self.report;
        report.retransmissions.requests += outcome.tally.requests;
        report.retransmissions.blocks += outcome.tally.blocks;
        report.strays += outcome.tally.strays;
        match outcome.result {
            Ok(bytes) => {
                report.completed += 1;
                report.bytes += bytes;
                self.times.saturating_record(outcome.time.as_micros() as u64);
                if let Some(server) = outcome.server {
                    let share = report.servers.entry(server.ip()).or_default();
                    share.completed += 1;
                    share.bytes += bytes;
                }
            }
            Err(failure) => *report.failed.entry(failure.name()).or_default() += 1,
        }
    }

    /// Numbers of completed and failed transfers.
    pub fn counts(&self) -> (u64, u64) {
        (self.report.completed, self.report.failed())
    }

    /// The report after a run of `time`.
    pub fn report(mut self, time: Duration) -> Report {
        let seconds = time.as_secs_f64();
        self.report.seconds = seconds;
        self.report.transfers_per_second = self.report.completed as f64 / seconds;
        self.report.bytes_per_second = self.report.bytes as f64 / seconds;
        let at = |quantile| self.times.value_at_quantile(quantile);
        self.report.time_us = Times {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: self.times.max(),
        };
        self.report
    }
}

impl Default for Sum {
    fn default() -> Sum {
        Sum::new()
    }
}

impl Report {
    /// Number of failed transfers.
    pub fn failed(&self) -> u64 {
        self.failed.values().sum()
    }

    /// A table for humans.
    pub fn table(&self) -> String {
        let mut table = table();
        let mut row = |name: &str, value: String| {
            table.add_row([name.to_owned(), value]);
        };
        row("completed", self.completed.to_string());
        for (kind, count) in &self.failed {
            row(&format!("failed, {kind}"), count.to_string());
        }
        row("seconds", format!("{:.2}", self.seconds));
        row("transfers a second", format!("{:.1}", self.transfers_per_second));
        row("bytes a second", ByteSize(self.bytes_per_second as u64).to_string());
        let Times { p50, p90, p99, p99_9, max } = self.time_us;
        for (name, time) in
            [("p50", p50), ("p90", p90), ("p99", p99), ("p99.9", p99_9), ("longest", max)]
        {
            row(&format!("time, {name}"), format!("{:.2} ms", time as f64 / 1000.0));
        }
        row("requests sent again", self.retransmissions.requests.to_string());
        row("blocks and ACKs sent again", self.retransmissions.blocks.to_string());
        row("strays", self.strays.to_string());
        for (server, share) in &self.servers {
            let bytes = ByteSize(share.bytes);
            row(&format!("from {server}"), format!("{} ({bytes})", share.completed));
        }
        table.to_string()
    }
}

/// The work of a server.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Served {
    /// Begun transfers.
    pub started: u64,
    /// Completed transfers.
    pub completed: u64,
    /// Failed transfers.
    pub failed: u64,
    /// Bytes of completed transfers.
    pub bytes: u64,
    /// Retransmissions.
    pub retransmissions: u64,
}

impl Served {
    /// Adds an ended transfer.
    pub fn add(&mut self, result: Result<u64, Failure>, tally: &Tally) {
        self.retransmissions += tally.blocks;
        match result {
            Ok(bytes) => {
                self.completed += 1;
                self.bytes += bytes;
            }
            Err(_) => self.failed += 1,
        }
    }
}

/// A table of servers' work, for humans.
pub fn served(servers: &BTreeMap<String, Served>) -> String {
    let mut table = table();
    table.set_header(["SERVER", "STARTED", "COMPLETED", "FAILED", "BYTES", "SENT AGAIN"]);
    for (address, served) in servers {
        table.add_row([
            address.clone(),
            served.started.to_string(),
            served.completed.to_string(),
            served.failed.to_string(),
            ByteSize(served.bytes).to_string(),
            served.retransmissions.to_string(),
        ]);
    }
    align(&mut table);
    table.to_string()
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn align(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
