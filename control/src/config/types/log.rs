//! Outputs of the log of transfers.

use engine::snapshot::log_policy::LogPolicy;
use engine::types::end_reason::EndReason;
use std::path::PathBuf;

/// One output of the log of transfers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOutput {
    /// Where records go.
    pub to: LogTarget,
    /// The form of the records.
    pub format: LogFormat,
    /// The names of the services whose records are wanted; empty: all.
    pub services: Vec<String>,
    /// The wanted ends and refusals.
    pub outcomes: WantedOutcomes,
    /// Every which record is written, from 1.
    pub sample: u32,
    /// The most records a second.
    pub rate: u32,
}

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// systemd's journal, with a field for each value.
    Journald,
    /// The local syslog daemon.
    Syslog,
    /// The daemon's standard error.
    Stderr,
    /// This file, appended to.
    File(PathBuf),
    /// The web page, which shows the last failures. It is there if the page is, and has no name in the file.
    WebPage,
}

/// The form of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of JSON.
    Json,
    /// One readable line.
    Text,
}

/// The outcomes that an output wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedOutcomes {
    /// A set of outcomes, the same for every service.
    These(Outcomes),
    /// Failures, by the service's protocol.
    Failures,
}

/// A set of outcomes: ends of transfers and connections, and refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcomes {
    /// A bit for each end ([`LogPolicy::bit`]).
    pub ends: u16,
    /// Whether refused requests are wanted.
    pub refused: bool,
}

/// Failures of a second that the web page gets: it shows no more than that.
const SHOWN: u32 = 100;

/// The name of the outcome that refused requests have.
pub const REFUSED: &str = "refused";

impl LogOutput {
    /// The output that the web page shows.
    pub fn web_page() -> LogOutput {
        LogOutput {
            to: LogTarget::WebPage,
            format: LogFormat::Text,
            services: vec![],
            outcomes: WantedOutcomes::Failures,
            sample: 1,
            rate: SHOWN,
        }
    }

    /// The wanted outcomes of a service, by whether its protocol is without an end.
    pub fn outcomes_of(&self, is_without_end: bool) -> Outcomes {
        match self.outcomes {
            WantedOutcomes::These(outcomes) => outcomes,
            WantedOutcomes::Failures => Outcomes::failures(is_without_end),
        }
    }
}

impl Default for Outcomes {
    /// All but what every boot has: size probes, and requests that another one of the same endpoint replaced.
    fn default() -> Outcomes {
        Outcomes::with_refusals(|end| !matches!(end, EndReason::SizeProbe | EndReason::Replaced))
    }
}

impl Outcomes {
    /// No outcome.
    pub const NONE: Outcomes = Outcomes { ends: 0, refused: false };

    /// All outcomes in which something went wrong.
    fn failures(is_without_end: bool) -> Outcomes {
        Outcomes::with_refusals(|end| end.kind(is_without_end).is_failure())
    }

    /// Refusals, and the ends of which this is so.
    fn with_refusals(is_wanted: impl Fn(EndReason) -> bool) -> Outcomes {
        let ends = EndReason::ALL.into_iter().filter(|&end| is_wanted(end));
        Outcomes { ends: ends.fold(0, |bits, end| bits | LogPolicy::bit(end)), refused: true }
    }

    /// Adds the outcome of this name; returns whether there is one.
    pub fn add(&mut self, name: &str) -> bool {
        if name == REFUSED {
            self.refused = true;
            return true;
        }
        let end = EndReason::ALL.into_iter().find(|end| end.name() == name);
        self.ends |= end.map_or(0, LogPolicy::bit);
        end.is_some()
    }

    /// The names of all outcomes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        EndReason::ALL.into_iter().map(EndReason::name).chain([REFUSED])
    }
}
