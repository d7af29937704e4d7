//! Clients by the outcomes of their requests, counted from records: those that ask and get nothing, and those that get most.

use super::Outcome;
use super::heaviest::Heaviest;
use crate::api::ClientCounts;
use crate::foreign_text::percent_encoded;
use engine::flow::saved_request::SavedRequest;
use engine::state::flow_log::{FlowEvent, FlowRecord, RefusedRequest};
use engine::types::end_reason::EndReason;
use std::cmp::Reverse;
use std::net::IpAddr;

/// Clients that are counted in each of the two lists.
const ROOM: usize = 1024;

/// The clients, by two measures.
#[derive(Debug)]
pub struct Clients {
    unfinished: Heaviest<IpAddr, ClientCounts>,
    talkers: Heaviest<IpAddr, ClientCounts>,
}

/// The first clients of each list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranking {
    /// Clients with the most requests that did not complete.
    pub unfinished: Vec<(IpAddr, ClientCounts)>,
    /// The most requests of a client that may be missing there.
    pub missed: u64,
    /// Clients with the most bytes.
    pub talkers: Vec<(IpAddr, ClientCounts)>,
    /// The most bytes of a client that may be missing there.
    pub missed_bytes: u64,
}

impl Default for Clients {
    fn default() -> Clients {
        Clients { unfinished: Heaviest::with_room(ROOM), talkers: Heaviest::with_room(ROOM) }
    }
}

impl Clients {
    /// Counts a record of a service whose protocol is without an end or not.
    pub fn add(&mut self, record: &FlowRecord, is_without_end: bool) {
        let one = counts(record, is_without_end);
        let client = record.client.ip();
        for (list, weight) in
            [(&mut self.unfinished, one.unfinished()), (&mut self.talkers, one.bytes)]
        {
            if let Some(counts) = list.add(client, weight) {
                counts.add(&one);
            }
        }
    }

    /// The first clients of each list.
    pub fn ranking(&self, most: usize) -> Ranking {
        Ranking {
            unfinished: first(&self.unfinished, most, ClientCounts::unfinished),
            missed: self.unfinished.missed(),
            talkers: first(&self.talkers, most, |counts| counts.bytes),
            missed_bytes: self.talkers.missed(),
        }
    }
}

impl ClientCounts {
    /// Requests that did not complete, for whatever reason.
    pub fn unfinished(&self) -> u64 {
        self.not_found + self.failed + self.refused
    }

    fn add(&mut self, other: &ClientCounts) {
        self.completed += other.completed;
        self.not_found += other.not_found;
        self.failed += other.failed;
        self.refused += other.refused;
        self.repeats += other.repeats;
        self.bytes += other.bytes;
        if !other.last.is_empty() {
            self.last.clone_from(&other.last);
        }
    }
}

/// The counts of one record.
fn counts(record: &FlowRecord, is_without_end: bool) -> ClientCounts {
    let (bytes, repeats, request) = match &record.event {
        FlowEvent::Transfer(end, about) => (about.bytes, end.history.repeats, Some(&about.request)),
        FlowEvent::Connection(end, about) => (about.bytes.iter().sum(), end.history.repeats, None),
        FlowEvent::Refused(RefusedRequest { request, .. }) => (0, 0, request.as_ref()),
    };
    let mut counts = ClientCounts { bytes, repeats: repeats.into(), ..ClientCounts::default() };
    let outcome = Outcome::of(record);
    match outcome {
        Outcome::Refused => counts.refused = 1,
        Outcome::Ended(EndReason::Completed) => counts.completed = 1,
        Outcome::Ended(EndReason::NotFound) => counts.not_found = 1,
        Outcome::AskedElsewhere => {}
        Outcome::Ended(_) => counts.failed = u64::from(outcome.is_failure(is_without_end)),
    }
    if counts.unfinished() > 0 {
        counts.last = words(record, request);
    }
    counts
}

/// The end of a request in a few words: `refused (rate) pxelinux.0`.
fn words(record: &FlowRecord, request: Option<&SavedRequest>) -> String {
    let mut words = match &record.event {
        FlowEvent::Transfer(end, _) | FlowEvent::Connection(end, _) => end.reason.name().to_owned(),
        FlowEvent::Refused(RefusedRequest { reason, .. }) => format!("refused ({reason})"),
    };
    if let Some(request) = request {
        words += " ";
        words += &percent_encoded(request.file());
    }
    words
}

fn first(
    list: &Heaviest<IpAddr, ClientCounts>,
    most: usize,
    measure: fn(&ClientCounts) -> u64,
) -> Vec<(IpAddr, ClientCounts)> {
    let mut all: Vec<_> = list.iter().collect();
    all.sort_by_key(|(client, counts)| (Reverse(measure(counts)), **client));
    all.into_iter().take(most).map(|(client, counts)| (*client, counts.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow_log::sample::{ended, refused};
    use std::net::Ipv4Addr;

    /// A record of another client.
    fn of(client: u32, record: FlowRecord) -> FlowRecord {
        let client = (Ipv4Addr::from_bits(client), 2070).into();
        FlowRecord { client, ..record }
    }

    fn names(list: &[(IpAddr, ClientCounts)]) -> Vec<u32> {
        let number = |client: &IpAddr| match client {
            IpAddr::V4(ip) => ip.to_bits(),
            IpAddr::V6(_) => 0,
        };
        list.iter().map(|(client, _)| number(client)).collect()
    }

    #[test]
    fn who_asks_and_gets_nothing_comes_first() {
        let mut clients = Clients::default();
        for _ in 0..50 {
            clients.add(&of(1, ended(EndReason::Completed)), false);
        }
        for record in [ended(EndReason::Unanswered), ended(EndReason::NotFound), refused()] {
            clients.add(&of(2, record), false);
        }
        clients.add(&of(2, ended(EndReason::Completed)), false);
        clients.add(&of(3, ended(EndReason::TimedOut)), false);
        clients.add(&of(4, ended(EndReason::SizeProbe)), false);
        let ranking = clients.ranking(10);
        assert_eq!(names(&ranking.unfinished), [2, 3], "who gets all is not among them");
        let counts = ClientCounts {
            completed: 1,
            not_found: 1,
            failed: 1,
            refused: 1,
            repeats: 6,
            bytes: 3000,
            last: "refused (rate) pxelinux.0".into(),
        };
        assert_eq!(ranking.unfinished[0].1, counts);
        assert_eq!(ranking.unfinished[1].1.last, "timed-out pxelinux.0");
        assert_eq!(names(&ranking.talkers), [1, 2, 3, 4]);
        assert_eq!(ranking.talkers[0].1.bytes, 50_000);
        assert_eq!((ranking.missed, ranking.missed_bytes), (0, 0));
        assert_eq!(names(&clients.ranking(1).unfinished), [2]);
    }

    /// A boot storm: all get their files, and a few ask again and again.
    #[test]
    fn a_storm_does_not_hide_who_never_finishes() {
        let mut clients = Clients::default();
        for client in 100..50_000 {
            clients.add(&of(client, ended(EndReason::Completed)), false);
            if client % 100 == 0 {
                clients.add(&of(client % 300 / 100, ended(EndReason::Unanswered)), false);
            }
        }
        let ranking = clients.ranking(10);
        assert_eq!(names(&ranking.unfinished).len(), 3);
        assert_eq!(ranking.missed, 0, "those who complete take no room");
        let counts: u64 = ranking.unfinished.iter().map(|(_, counts)| counts.failed).sum();
        assert_eq!(counts, 499);
    }
}
