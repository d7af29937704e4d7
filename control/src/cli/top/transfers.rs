//! Transfers and connections as rows, with the rates that two lists of them give.

use super::rows::Rate;
use crate::api::{Connection, Flow, Flows};
use crate::cli::sample::grown;
use crate::cli::table::{self, endpoint};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

/// A transfer or a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    pub client: String,
    pub address: IpAddr,
    pub service: String,
    pub backend: String,
    pub state: String,
    /// True once the transfer is over, and its row only waits for late packets.
    pub is_over: bool,
    /// The file, or the protocol and kind of a connection. A client chooses the name: it is escaped.
    pub what: String,
    pub bytes: u64,
    /// Bytes per second; `None` until two answers had the row.
    pub rate: Rate,
    pub age: f64,
    /// Seconds since the last packet.
    pub idle: f64,
    /// Facts that only the details show.
    pub more: Vec<(&'static str, String)>,
}

/// An order of transfers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// The oldest first.
    #[default]
    Age,
    /// The fastest first.
    Rate,
    /// The one that is without a packet for longest first.
    Stall,
}

impl Sort {
    /// The next order, for the key that changes it.
    pub fn next(self) -> Sort {
        match self {
            Sort::Age => Sort::Rate,
            Sort::Rate => Sort::Stall,
            Sort::Stall => Sort::Age,
        }
    }

    /// The order's name.
    pub fn name(self) -> &'static str {
        match self {
            Sort::Age => "age",
            Sort::Rate => "rate",
            Sort::Stall => "stall",
        }
    }
}

impl Transfer {
    /// Whether this is the same transfer at another time. An endpoint that begins again has a lower age.
    pub fn is(&self, other: &Transfer) -> bool {
        self.key() == other.key()
    }

    fn key(&self) -> (&str, &str, &str) {
        (&self.client, &self.service, &self.what)
    }

    fn contains(&self, lowercase: &str) -> bool {
        let texts = [&self.client, &self.service, &self.backend, &self.state, &self.what];
        texts.iter().any(|text| text.to_lowercase().contains(lowercase))
    }
}

/// Makes rows of a list; `before` are those of some seconds ago.
pub fn rows(flows: &Flows, before: &[Transfer], seconds: Option<f64>) -> Vec<Transfer> {
    let old: HashMap<_, _> = before.iter().map(|one| (one.key(), one)).collect();
    let transfers = flows.flows.iter().map(transfer);
    let rows = transfers.chain(flows.connections.iter().map(connection)).map(|mut row| {
        let old = old.get(&row.key()).filter(|old| old.age <= row.age);
        row.rate = seconds
            .zip(old)
            .map(|(seconds, old)| grown(old.bytes, row.bytes) as f64 / seconds.max(0.001));
        row
    });
    rows.collect()
}

/// The rows that match a filter, in order, those that are over last.
pub fn chosen<'a>(all: &'a [Transfer], filter: &str, sort: Sort) -> Vec<&'a Transfer> {
    let filter = filter.to_lowercase();
    let mut rows: Vec<_> = all.iter().filter(|one| one.contains(&filter)).collect();
    // In milliseconds and bytes, as floats have no order.
    let number = |value: f64| (value * 1000.0) as u64;
    rows.sort_by_key(|one| {
        let measure = match sort {
            Sort::Age => one.age,
            Sort::Rate => one.rate.unwrap_or_default(),
            Sort::Stall => one.idle,
        };
        (one.is_over, Reverse(number(measure)))
    });
    rows
}

fn transfer(flow: &Flow) -> Transfer {
    Transfer {
        client: flow.client.to_string(),
        address: flow.client.ip(),
        service: flow.service.clone(),
        backend: flow.backend.clone(),
        state: flow.state.clone(),
        is_over: flow.is_over(),
        what: format!("{} {}", flow.kind, flow.file.escape_debug()),
        bytes: flow.bytes,
        rate: None,
        age: flow.age,
        idle: flow.idle,
        more: history(flow),
    }
}

/// Facts about the course of a transfer, for its details.
fn history(flow: &Flow) -> Vec<(&'static str, String)> {
    let tid = flow.tid.map_or("not known yet".to_owned(), |tid| tid.to_string());
    let answer = flow.answer.map_or("none seen".to_owned(), |answer| format!("{answer:.3}s"));
    let moves = match &flow.first_backend {
        Some(first) => format!("{}, the first backend was {first}", flow.moves),
        None => "none".to_owned(),
    };
    let size = flow.size.map_or("not told".to_owned(), |bytes| table::size(bytes.into()));
    vec![
        ("server sees", flow.seen_as.to_string()),
        ("server's TID", tid),
        ("chosen by", flow.why.clone()),
        ("first answer", answer),
        ("moves", moves),
        ("repeats", format!("{} by the client", flow.repeats_client)),
        ("blocks", flow.blocks.to_string()),
        ("options", format!("blksize={} windowsize={}", flow.blksize, flow.windowsize)),
        ("file's size", size),
    ]
}

fn connection(one: &Connection) -> Transfer {
    let name = |name: &Option<String>| name.clone().unwrap_or("-".to_owned());
    Transfer {
        client: endpoint(one.client),
        address: one.client.ip(),
        service: name(&one.service),
        backend: name(&one.backend),
        state: one.state.clone(),
        is_over: one.is_over(),
        what: format!("{} {} {}", one.protocol, one.kind, endpoint(one.vip)),
        bytes: one.bytes_in + one.bytes_out,
        rate: None,
        age: one.age,
        idle: one.idle,
        more: vec![
            ("server sees", endpoint(one.seen_as)),
            ("server", endpoint(one.server)),
            ("bytes in", one.bytes_in.to_string()),
            ("bytes out", one.bytes_out.to_string()),
        ],
    }
}
