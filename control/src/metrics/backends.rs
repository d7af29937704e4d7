//! Metrics of the backends.

use super::buckets::Buckets;
use super::checks;
use super::page::Page;
use crate::backend_status::{CheckCounts, Condition};
use engine::counters::Transfers;
use engine::types::end_reason::EndReason;
use std::fmt;

/// A backend.
#[derive(Debug)]
pub struct Backend {
    /// The service's name.
    pub service: String,
    /// The backend's name.
    pub name: String,
    /// The condition, as operators see it.
    pub condition: Condition,
    /// The weight in force.
    pub weight: u16,
    /// The most transfers at a time, if there is a limit.
    pub max: Option<u32>,
    /// The kind of flows that the service's clients have: `transfer` or `connection`.
    pub kind: &'static str,
    /// The counters of all workers.
    pub transfers: Transfers,
    /// Seconds from requests to the first answers.
    pub answers: Buckets,
    /// The backend's health checks, if there are any.
    pub checks: Option<CheckCounts>,
}

/// The labels of a backend.
type Labels<'a> = [(&'a str, &'a str); 2];

impl Backend {
    fn labels(&self) -> Labels<'_> {
        [("service", &self.service), ("backend", &self.name)]
    }

    fn with<'a>(&'a self, name: &'a str, value: &'a str) -> [(&'a str, &'a str); 3] {
        [("service", &*self.service), ("backend", &*self.name), (name, value)]
    }
}

pub(super) fn encode(backends: &[&Backend], page: &mut Page) -> fmt::Result {
    let states = backends.iter().flat_map(|it| {
        Condition::ALL.map(|one| (it.with("state", one.name()), u64::from(it.condition == one)))
    });
    page.gauge("backend_state", "Whether the backend is in this state", states)?;
    let weights = backends.iter().map(|it| (it.labels(), it.weight.into()));
    page.gauge("backend_weight", "Weight in force", weights)?;
    let most = backends.iter().filter_map(|it| Some((it.labels(), it.max?.into())));
    page.gauge("backend_transfers_max", "Most transfers or connections at a time", most)?;
    let now = backends.iter().map(|it| (it.with("kind", it.kind), it.transfers.now()));
    page.gauge("backend_transfers", "Transfers or connections now", now)?;
    counters(backends, page)?;
    ends(backends, page)?;
    traffic(backends, page)?;
    let answers = backends.iter().map(|it| (it.labels(), it.answers.clone()));
    let help = "Time from requests to the first answer";
    page.histogram("backend_answer_seconds", help, answers)?;
    let checked = backends.iter().filter_map(|it| Some((it.labels(), it.checks.as_ref()?)));
    checks::encode(&checked.collect::<Vec<_>>(), page)
}

fn counters(backends: &[&Backend], page: &mut Page) -> fmt::Result {
    let mut lone = |name: &str, help: &str, of: fn(&Transfers) -> u64| {
        page.counter(name, help, backends.iter().map(|it| (it.labels(), of(&it.transfers))))
    };
    lone("backend_transfers_started", "Transfers begun", |it| it.started.value())?;
    let help = "Begun transfers that were restored from an earlier process";
    lone("backend_transfers_inherited", help, |it| it.inherited.value())?;
    let help = "Transfers adopted in their middle, which another gate saw begin";
    lone("backend_transfers_adopted", help, |it| it.adopted.value())?;
    let help = "Transfers that the other gate of the pair has told of";
    lone("backend_transfers_synced", help, |it| it.synced.value())?;
    let help = "Downloads taken over from a backend that died";
    lone("backend_transfers_resumed", help, |it| it.resumed.value())?;
    let help = "Unanswered transfers whose request went to another backend";
    lone("backend_transfers_asked_elsewhere", help, |it| it.asked_elsewhere.value())?;
    let help = "Requests that the backend answered, in whatever way";
    lone("backend_requests_answered", help, |it| it.responded.value())?;
    let help =
        "Clients that were heard and that the backend left without an answer, once a minute each";
    lone("backend_silences", help, |it| it.silences.value())?;
    let help = "Packets from a TID that is not the transfer's; none of them reached a client";
    lone("backend_stray_packets", help, |it| it.strays.value())?;
    let help = "Client packets to the service's port instead of the TID, forwarded to the TID";
    lone("backend_service_port_packets", help, |it| it.to_service_port.value())?;
    let help = "ICMP port-unreachable errors from the backend's host";
    lone("backend_unreachable", help, |it| it.unreachable.value())?;
    let repeated = backends.iter().flat_map(|it| {
        let Transfers { retransmitted, ignored, .. } = &it.transfers;
        let ignored = ignored.value();
        let others = retransmitted.value().saturating_sub(ignored);
        [(it.with("ignored", "true"), ignored), (it.with("ignored", "false"), others)]
    });
    let help = "Requests repeated before they were answered, by whether the backend had had time to answer";
    page.counter("backend_requests_repeated", help, repeated)
}

fn ends(backends: &[&Backend], page: &mut Page) -> fmt::Result {
    let ended = backends.iter().flat_map(|it| {
        let all = &it.transfers;
        EndReason::ALL.map(|end| (it.with("outcome", end.name()), all.of(end).value()))
    });
    page.counter("backend_transfers_ended", "Transfers ended, by outcome", ended)
}

fn traffic(backends: &[&Backend], page: &mut Page) -> fmt::Result {
    let bytes = backends.iter().flat_map(|it| {
        let Transfers { bytes_in, bytes_out, .. } = &it.transfers;
        [
            (it.with("direction", "in"), bytes_in.value()),
            (it.with("direction", "out"), bytes_out.value()),
        ]
    });
    let help = "Bytes from clients (in) and from the backend (out), by IP length";
    page.counter("backend_bytes", help, bytes)?;
    let packets = backends.iter().flat_map(|it| {
        let Transfers { packets_in, packets_out, .. } = &it.transfers;
        let both = [("in", packets_in.value()), ("out", packets_out.value())];
        both.map(|(direction, count)| (it.with("direction", direction), count))
    });
    page.counter("backend_packets", "Packets from clients (in) and from the backend (out)", packets)
}
