//! How each backend stands, beyond what the kernel says of its next hop: what the operator ordered, what
//! its health checks found, and how it treats its clients. Together that is its [`Duty`].

use crate::config::{Backend, Service};
use engine::tables::Duty;
use std::collections::HashMap;
use std::fmt;
use std::time::Instant;

/// By the names of service and backend, which outlive a change of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standings(HashMap<(String, String), Standing>);

impl Standings {
    /// How this backend stands; one of which nothing was heard stands well.
    pub fn of(&self, service: &Service, backend: &Backend) -> Standing {
        let names = (service.name.clone(), backend.name.clone());
        self.0.get(&names).cloned().unwrap_or_default()
    }

    /// The same, to be changed.
    pub fn entry(&mut self, service: &str, backend: &str) -> &mut Standing {
        self.0.entry((service.to_owned(), backend.to_owned())).or_default()
    }
}

/// How one backend stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// What the operator ordered.
    pub order: Order,
    /// The weight that the operator gave it by command.
    pub weight: Option<u16>,
    /// What health checks say.
    pub check: Check,
    /// How it treats its clients.
    pub conduct: Conduct,
}

/// What the operator orders a backend to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// To serve.
    #[default]
    Enabled,
    /// To finish what it has.
    Draining,
    /// To stop at once.
    Disabled,
}

/// What health checks say of a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Check {
    /// What they come to.
    pub verdict: Verdict,
    /// Since when; `None` before the first verdict.
    pub since: Option<Instant>,
    /// What the last one found, in a few words; empty: there is nothing to say.
    pub last: String,
}

/// What health checks come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet: there are none, or none has had its say. The backend counts as alive, so that a
    /// restart does not stop a farm.
    #[default]
    Pending,
    /// It is alive.
    Passed,
    /// So many in a row failed that it counts as dead.
    Failed,
}

/// How a backend treats its clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Conduct {
    /// It answers.
    #[default]
    Answers,
    /// It left requests unanswered while others answered.
    Suspected,
    /// It did so for too long, and gets nothing for a while.
    Ejected,
}

impl fmt::Display for Conduct {
    /// As in "backend s1 of pxe is suspected".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Conduct::Answers => "is trusted",
            Conduct::Suspected => "is suspected",
            Conduct::Ejected => "is ejected",
        })
    }
}

impl Standing {
    /// What the backend is given to do.
    pub fn duty(&self) -> Duty {
        use Verdict::{Failed, Passed, Pending};
        match (self.order, self.check.verdict, self.conduct) {
            (Order::Disabled, _, _) | (_, Failed, _) => Duty::Down,
            (Order::Enabled, Pending | Passed, Conduct::Ejected) => Duty::Ejected,
            (Order::Draining, Pending | Passed, _) => Duty::Draining,
            (Order::Enabled, Pending | Passed, Conduct::Suspected) => Duty::Suspected,
            (Order::Enabled, Pending | Passed, Conduct::Answers) => Duty::Serving,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_that_is_known_decides() {
        use {Conduct::*, Order::*, Verdict::*};
        for (order, verdict, conduct, duty) in [
            (Enabled, Pending, Answers, Duty::Serving),
            (Enabled, Passed, Answers, Duty::Serving),
            (Enabled, Passed, Suspected, Duty::Suspected),
            (Enabled, Passed, Ejected, Duty::Ejected),
            (Draining, Passed, Ejected, Duty::Draining),
            (Disabled, Passed, Ejected, Duty::Down),
            (Enabled, Failed, Answers, Duty::Down),
            (Draining, Passed, Suspected, Duty::Draining),
            (Draining, Failed, Answers, Duty::Down),
            (Disabled, Passed, Answers, Duty::Down),
        ] {
            let check = Check { verdict, ..Check::default() };
            let standing = Standing { order, check, conduct, weight: None };
            assert_eq!(standing.duty(), duty, "{standing:?}");
        }
    }
}
