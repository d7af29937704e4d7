//! The condition of a backend: its status and its next hop in the one word that operators see.

use super::{AdminState, BackendStatus, Check, CheckVerdict, PassiveHealth};

/// The condition of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The backend serves.
    Up,
    /// By order, the backend finishes its transfers.
    Draining,
    /// By order, the backend gets nothing.
    Disabled,
    /// The next hop is not known.
    Unresolved,
    /// Health checks fail.
    Down,
    /// Passive health: the backend left clients without an answer.
    Suspected,
    /// Passive health: the backend did so for too long.
    Ejected,
    /// The configuration no longer has the backend.
    Removed,
}

impl Condition {
    /// All conditions.
    pub const ALL: [Condition; 8] = [
        Condition::Up,
        Condition::Draining,
        Condition::Disabled,
        Condition::Unresolved,
        Condition::Down,
        Condition::Suspected,
        Condition::Ejected,
        Condition::Removed,
    ];

    /// The condition of a configured backend; the administrative state comes first. `is_reached`: the next hop is
    /// known.
    pub fn of(status: &BackendStatus, is_reached: bool) -> Condition {
        match (status.admin, status.check.verdict, status.passive) {
            (AdminState::Disabled, _, _) => Condition::Disabled,
            (AdminState::Draining, _, _) => Condition::Draining,
            _ if !is_reached => Condition::Unresolved,
            (AdminState::Enabled, CheckVerdict::Failed, _) => Condition::Down,
            (AdminState::Enabled, CheckVerdict::Pending | CheckVerdict::Passed, passive) => {
                match passive {
                    PassiveHealth::Healthy => Condition::Up,
                    PassiveHealth::Suspect => Condition::Suspected,
                    PassiveHealth::Ejected => Condition::Ejected,
                }
            }
        }
    }

    /// The name that operators see.
    pub fn name(self) -> &'static str {
        match self {
            Condition::Up => "up",
            Condition::Draining => "draining",
            Condition::Disabled => "disabled",
            Condition::Unresolved => "unresolved",
            Condition::Down => "down",
            Condition::Suspected => "suspected",
            Condition::Ejected => "ejected",
            Condition::Removed => "removed",
        }
    }

    /// The reason for the condition, with the last finding of the backend's health checks; empty while it is up.
    pub fn reason(self, check: Option<&Check>) -> &str {
        match self {
            Condition::Up => "",
            Condition::Draining => "by command: it finishes its transfers",
            Condition::Disabled => "by command",
            Condition::Unresolved => "the kernel does not know its next hop",
            Condition::Down => check.map_or("", |check| &check.last),
            Condition::Suspected => "it left clients without an answer while others answered",
            Condition::Ejected => "it left clients without an answer for too long",
            Condition::Removed => "it is no longer in the configuration",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_and_its_reason_follow_from_status_and_next_hop() {
        use {AdminState::*, CheckVerdict::*, PassiveHealth::*};
        for (admin, verdict, passive, is_reached, name, reason) in [
            (Enabled, Pending, Healthy, true, "up", ""),
            (Enabled, Passed, Healthy, true, "up", ""),
            (Enabled, Passed, Suspect, true, "suspected", "while others answered"),
            (Enabled, Pending, Ejected, true, "ejected", "for too long"),
            (Enabled, Failed, Ejected, true, "down", "no answer within 1s"),
            (Enabled, Failed, Healthy, false, "unresolved", "does not know its next hop"),
            (Draining, Failed, Ejected, false, "draining", "by command: "),
            (Disabled, Failed, Ejected, false, "disabled", "by command"),
        ] {
            let check = Check { verdict, last: "no answer within 1s".into(), ..Check::default() };
            let status = BackendStatus { admin, check, passive, weight: None };
            let condition = Condition::of(&status, is_reached);
            assert_eq!(condition.name(), name, "{status:?}");
            let shown = condition.reason(Some(&status.check));
            assert!(shown.contains(reason) && shown.is_empty() == reason.is_empty(), "{shown}");
        }
    }

    #[test]
    fn all_conditions_are_in_their_list_once() {
        let mut names = Condition::ALL.map(Condition::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Condition::ALL.len());
    }
}
