//! The status of backends, apart from the kernel's view of their next hops: the operator's orders, the verdicts of
//! health checks, and passive health. Together they make the [`BackendState`].

mod check_counts;
mod condition;

pub use check_counts::CheckCounts;
pub use condition::Condition;

use crate::config::{Backend, Config, Service};
use engine::snapshot::BackendState;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::time::Instant;

/// The status of all backends, by the names of service and backend, which outlive a change of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackendStatuses(HashMap<(String, String), BackendStatus>);

impl BackendStatuses {
    /// The status of a backend; enabled and healthy by default.
    pub fn of(&self, service: &Service, backend: &Backend) -> BackendStatus {
        let names = (service.name.clone(), backend.name.clone());
        self.0.get(&names).cloned().unwrap_or_default()
    }

    /// The operator's orders: service, backend, administrative state, and weight.
    pub fn overrides(&self) -> Vec<(String, String, AdminState, Option<u16>)> {
        let overridden = self
            .0
            .iter()
            .filter(|(_, one)| one.admin != AdminState::Enabled || one.weight.is_some());
        let mut overrides: Vec<_> = overridden
            .map(|((service, backend), one)| {
                (service.clone(), backend.clone(), one.admin, one.weight)
            })
            .collect();
        overrides.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        overrides
    }

    /// Creates the status of backends from the operator's orders.
    pub fn from_overrides(
        overrides: Vec<(String, String, AdminState, Option<u16>)>,
    ) -> BackendStatuses {
        let mut statuses = BackendStatuses::default();
        for (service, backend, admin, weight) in overrides {
            let status = statuses.entry(&service, &backend);
            (status.admin, status.weight) = (admin, weight);
        }
        statuses
    }

    /// The status of a backend, to be changed.
    pub fn entry(&mut self, service: &str, backend: &str) -> &mut BackendStatus {
        self.0.entry((service.to_owned(), backend.to_owned())).or_default()
    }
}

impl BackendStatuses {
    /// Forgets backends that the configuration does not have, and weights by command that equal the file's now.
    pub fn settle(&mut self, config: &Config) {
        let written: HashMap<_, _> = backends(config).collect();
        self.0.retain(|names, _| written.contains_key(names));
        for (names, status) in &mut self.0 {
            status.weight.take_if(|weight| written.get(names) == Some(&*weight));
        }
    }

    /// Differences from the configuration that commands made, a line each.
    pub fn differences(&self, config: &Config) -> Vec<String> {
        let lines = backends(config).flat_map(|(names, written)| {
            let status = self.0.get(&names).cloned().unwrap_or_default();
            let (service, backend) = names;
            let admin = match status.admin {
                AdminState::Enabled => None,
                AdminState::Draining => Some("drained"),
                AdminState::Disabled => Some("disabled"),
            };
            let admin =
                admin.map(|admin| format!("backend {backend} of {service} is {admin} by command"));
            let weight = status.weight.filter(|&weight| weight != written).map(|weight| {
                format!(
                    "backend {backend} of {service} has weight {weight} by command, the file says {written}"
                )
            });
            admin.into_iter().chain(weight)
        });
        lines.collect()
    }
}

/// The names of all backends, and their weights in the file.
fn backends(config: &Config) -> impl Iterator<Item = ((String, String), u16)> {
    config.services.iter().flat_map(|service| {
        let names = |backend: &Backend| (service.name.clone(), backend.name.clone());
        service.backends.iter().map(move |backend| (names(backend), backend.weight))
    })
}

/// The status of one backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackendStatus {
    /// The administrative state.
    pub admin: AdminState,
    /// The weight that the operator gave it by command.
    pub weight: Option<u16>,
    /// The verdict of health checks.
    pub check: Check,
    /// Passive health.
    pub passive: PassiveHealth,
}

/// The administrative state of a backend, set by the operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminState {
    /// The backend serves.
    #[default]
    Enabled,
    /// The backend finishes its transfers, and gets no new ones.
    Draining,
    /// The backend gets nothing any longer.
    Disabled,
}

/// The state of a backend's health checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Check {
    /// The verdict so far.
    pub verdict: CheckVerdict,
    /// The time of the verdict; `None` before the first one.
    pub since: Option<Instant>,
    /// The last check's finding in a few words, which may be empty.
    pub last: String,
    /// The checks so far.
    pub counts: CheckCounts,
}

/// The verdict of health checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CheckVerdict {
    /// No verdict yet, or no checks. The backend counts as alive, so that a restart does not stop a farm.
    #[default]
    Pending,
    /// The backend is alive.
    Passed,
    /// The backend is dead: enough checks in a row have failed.
    Failed,
}

/// The passive health of a backend: how it treats its clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PassiveHealth {
    /// The backend answers.
    #[default]
    Healthy,
    /// The backend has left requests unanswered while others answered.
    Suspect,
    /// The backend has done so for too long, and gets no requests for a while.
    Ejected,
}

impl fmt::Display for PassiveHealth {
    /// Writes the end of a sentence such as "backend s1 of pxe is suspected".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PassiveHealth::Healthy => "is trusted",
            PassiveHealth::Suspect => "is suspected",
            PassiveHealth::Ejected => "is ejected",
        })
    }
}

impl BackendStatus {
    /// The weight in force: the operator's, or that in the file.
    pub fn weight(&self, written: &Backend) -> u16 {
        self.weight.unwrap_or(written.weight)
    }

    /// The backend's state for the engine.
    pub fn state(&self) -> BackendState {
        use CheckVerdict::{Failed, Passed, Pending};
        match (self.admin, self.check.verdict, self.passive) {
            (AdminState::Disabled, _, _) | (_, Failed, _) => BackendState::Down,
            (AdminState::Enabled, Pending | Passed, PassiveHealth::Ejected) => {
                BackendState::Ejected
            }
            (AdminState::Draining, Pending | Passed, _) => BackendState::Draining,
            (AdminState::Enabled, Pending | Passed, PassiveHealth::Suspect) => {
                BackendState::Suspect
            }
            (AdminState::Enabled, Pending | Passed, PassiveHealth::Healthy) => BackendState::Active,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sample::{pair, parsed};

    #[test]
    fn what_was_ordered_is_told_apart_from_the_file() {
        let file = pair() + "weight = 3\n";
        let mut statuses = BackendStatuses::default();
        assert_eq!(statuses.differences(&parsed(&file)), [""; 0]);
        statuses.entry("pxe", "one").admin = AdminState::Draining;
        statuses.entry("pxe", "two").weight = Some(5);
        statuses.entry("pxe", "gone").admin = AdminState::Disabled;
        statuses.settle(&parsed(&file));
        assert_eq!(
            statuses.differences(&parsed(&file)),
            [
                "backend one of pxe is drained by command",
                "backend two of pxe has weight 5 by command, the file says 3",
            ]
        );
        let back = file.replace("\"two\"", "\"gone\"");
        assert_eq!(statuses.differences(&parsed(&back)).len(), 1, "it was forgotten");
        statuses.settle(&parsed(&file.replace("weight = 3", "weight = 5")));
        statuses.settle(&parsed(&file));
        assert_eq!(statuses.differences(&parsed(&file)).len(), 1, "the file caught up");
    }

    #[test]
    fn the_worst_that_is_known_decides() {
        use {AdminState::*, CheckVerdict::*, PassiveHealth::*};
        for (admin, verdict, passive, state) in [
            (Enabled, Pending, Healthy, BackendState::Active),
            (Enabled, Passed, Healthy, BackendState::Active),
            (Enabled, Passed, Suspect, BackendState::Suspect),
            (Enabled, Passed, Ejected, BackendState::Ejected),
            (Draining, Passed, Ejected, BackendState::Draining),
            (Disabled, Passed, Ejected, BackendState::Down),
            (Enabled, Failed, Healthy, BackendState::Down),
            (Draining, Passed, Suspect, BackendState::Draining),
            (Draining, Failed, Healthy, BackendState::Down),
            (Disabled, Passed, Healthy, BackendState::Down),
        ] {
            let check = Check { verdict, ..Check::default() };
            let status = BackendStatus { admin, check, passive, weight: None };
            assert_eq!(status.state(), state, "{status:?}");
        }
    }
}
