//! The rule by which VIPs are announced: those of services with `announce = "while-served"` while a backend serves.

use crate::backend_status::{AdminState, BackendStatus, CheckVerdict};
use crate::config::{Announce, Held, Service};
use std::collections::HashMap;

/// Facts about a backend.
#[derive(Debug)]
pub struct BackendFacts<'a> {
    /// The backend's status.
    pub status: &'a BackendStatus,
    /// The weight in force.
    pub weight: u16,
    /// Whether its service has health checks.
    pub is_checked: bool,
    /// Whether its next hop is known; `None` after the start, when the kernel may still look for it.
    pub is_reached: Option<bool>,
    /// Whether the backend has transfers.
    pub has_transfers: bool,
}

impl BackendFacts<'_> {
    /// Whether the backend gets new transfers or has some, is reached, and passes its health checks; `None` if that is
    /// not known yet.
    pub fn serves(&self) -> Option<bool> {
        let BackendStatus { admin, check, .. } = self.status;
        let gets_new = *admin == AdminState::Enabled && self.weight > 0;
        let is_used = *admin != AdminState::Disabled && (gets_new || self.has_transfers);
        let is_passed = match check.verdict {
            CheckVerdict::Failed => Some(false),
            CheckVerdict::Pending if self.is_checked => None,
            CheckVerdict::Pending | CheckVerdict::Passed => Some(true),
        };
        all([Some(is_used), is_passed, self.is_reached])
    }
}

/// Whether all are true; `None` if that is not known.
fn all(facts: [Option<bool>; 3]) -> Option<bool> {
    any(facts.map(|fact| fact.map(|is_true| !is_true))).map(|any_false| !any_false)
}

/// Whether any is true; `None` if that is not known.
pub fn any(facts: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut is_known = true;
    for fact in facts {
        match fact {
            Some(true) => return Some(true),
            Some(false) => {}
            None => is_known = false,
        }
    }
    is_known.then_some(false)
}

/// Whether each VIP is announced; `None`: that is not known yet. One that services share is, if one of them is served or
/// always announced. `services` come with whether they are served.
pub fn announced<'a>(
    services: impl Iterator<Item = (&'a Service, Option<bool>)>,
) -> HashMap<Held, Option<bool>> {
    let mut vips = HashMap::new();
    for (service, is_served) in services {
        let is_announced = match service.announce {
            Announce::Always => Some(true),
            Announce::WhileServed => is_served,
        };
        for &vip in &service.vips {
            let known = vips.entry(vip).or_insert(Some(false));
            *known = any([*known, is_announced]);
        }
    }
    vips
}

#[cfg(test)]
mod tests;
