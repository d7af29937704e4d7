//! The contents of the screens, computed from the last two samples.

use super::history::History;
use super::log::Lines;
use super::rows::{self, BackendRow, DropRow, InterfaceRow, ServiceRow, WorkerRow};
use super::transfers::{self, Transfer};
use crate::api::{Clients, Flows};
use crate::cli::sample::Sample;
use std::time::{Instant, SystemTime};

/// The contents of all screens.
#[derive(Debug, Default)]
pub struct Model {
    /// The daemon in a few words.
    pub daemon: String,
    /// The services.
    pub services: Vec<ServiceRow>,
    /// The workers.
    pub workers: Vec<WorkerRow>,
    /// The interfaces.
    pub interfaces: Vec<InterfaceRow>,
    /// The backends.
    pub backends: Vec<BackendRow>,
    /// Transfers and connections, youngest first.
    pub transfers: Vec<Transfer>,
    /// Transfers and connections that there are, even if fewer are listed.
    pub matching: usize,
    /// Clients that ask again and again, and those with the most bytes; `None` before the first list.
    pub clients: Option<Clients>,
    /// The last lines of the log.
    pub log: Lines,
    /// All reasons of drops.
    pub drops: Vec<DropRow>,
    /// The end of the daemon's answers; `None` while it answers.
    pub lost: Option<Lost>,
    history: History,
    before: Option<Sample>,
    flows_at: Option<Instant>,
}

/// A daemon that does not answer.
#[derive(Debug, Clone)]
pub struct Lost {
    /// The time of the first failure.
    pub since: SystemTime,
    /// The latest failure.
    pub why: String,
}

impl Model {
    /// Takes a new sample.
    pub fn take(&mut self, now: Sample) {
        let restarted =
            |before: &Sample| before.status.uptime > now.status.uptime || before.at >= now.at;
        if self.before.as_ref().is_some_and(restarted) {
            (self.before, self.history) = (None, History::default());
            self.log = Lines::default();
        }
        self.history.push(&now);
        let before = self.before.as_ref();
        self.daemon = rows::daemon(&now.status);
        self.services = rows::services(before, &now, &self.history);
        self.workers = rows::workers(before, &now);
        self.interfaces = rows::interfaces(before, &now);
        self.backends = rows::backends(before, &now);
        self.drops = rows::drops(before, &now, &self.history);
        (self.before, self.lost) = (Some(now), None);
    }

    /// Takes a new list of transfers and connections, which came at this time.
    pub fn take_flows(&mut self, at: Instant, flows: &Flows) {
        let seconds = self.flows_at.replace(at).map(|before| (at - before).as_secs_f64());
        self.transfers = transfers::rows(flows, &self.transfers, seconds);
        self.matching = flows.matching;
    }

    /// Notes that the daemon did not answer. What it said last stays.
    pub fn lose(&mut self, at: SystemTime, why: String) {
        let since = self.lost.take().map_or(at, |lost| lost.since);
        self.lost = Some(Lost { since, why });
    }
}
