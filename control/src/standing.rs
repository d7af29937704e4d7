//! How each backend stands, beyond what the kernel says of its next hop: what the operator ordered, what
//! its health checks found, and how it treats its clients. Together that is its [`Duty`].

use crate::config::{Backend, Config, Service};
use engine::tables::Duty;
use serde::{Deserialize, Serialize};
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

    /// The operator's orders, by the names of service and backend.
    pub fn orders(&self) -> Vec<(String, String, Order, Option<u16>)> {
        let ordered =
            self.0.iter().filter(|(_, one)| one.order != Order::Enabled || one.weight.is_some());
        let mut orders: Vec<_> = ordered
            .map(|((service, backend), one)| {
                (service.clone(), backend.clone(), one.order, one.weight)
            })
            .collect();
        orders.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        orders
    }

    /// Of which only this is known.
    pub fn ordered(orders: Vec<(String, String, Order, Option<u16>)>) -> Standings {
        let mut standings = Standings::default();
        for (service, backend, order, weight) in orders {
            let standing = standings.entry(&service, &backend);
            (standing.order, standing.weight) = (order, weight);
        }
        standings
    }

    /// The same, to be changed.
    pub fn entry(&mut self, service: &str, backend: &str) -> &mut Standing {
        self.0.entry((service.to_owned(), backend.to_owned())).or_default()
    }
}

impl Standings {
    /// Forgets backends that the configuration does not have, and weights by command that are the file's now.
    pub fn settle(&mut self, config: &Config) {
        let written: HashMap<_, _> = backends(config).collect();
        self.0.retain(|names, _| written.contains_key(names));
        for (names, standing) in &mut self.0 {
            standing.weight.take_if(|weight| written.get(names) == Some(&*weight));
        }
    }

    /// Differences from the configuration that commands made, a line each.
    pub fn differences(&self, config: &Config) -> Vec<String> {
        let lines = backends(config).flat_map(|(names, written)| {
            let standing = self.0.get(&names).cloned().unwrap_or_default();
            let (service, backend) = names;
            let order = match standing.order {
                Order::Enabled => None,
                Order::Draining => Some("drained"),
                Order::Disabled => Some("disabled"),
            };
            let order =
                order.map(|order| format!("backend {backend} of {service} is {order} by command"));
            let weight = standing.weight.filter(|&weight| weight != written).map(|weight| {
                format!(
                    "backend {backend} of {service} has weight {weight} by command, the file says {written}"
                )
            });
            order.into_iter().chain(weight)
        });
        lines.collect()
    }
}

/// Each backend's names, and the weight that the file gives it.
fn backends(config: &Config) -> impl Iterator<Item = ((String, String), u16)> {
    config.services.iter().flat_map(|service| {
        let names = |backend: &Backend| (service.name.clone(), backend.name.clone());
        service.backends.iter().map(move |backend| (names(backend), backend.weight))
    })
}

/// How one backend stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The operator's order.
    pub order: Order,
    /// The weight that the operator gave it by command.
    pub weight: Option<u16>,
    /// The verdict of health checks.
    pub check: Check,
    /// How it treats its clients.
    pub conduct: Conduct,
}

/// An operator's order to a backend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// To serve.
    #[default]
    Enabled,
    /// To finish what it has.
    Draining,
    /// To stop at once.
    Disabled,
}

/// The state of a backend's health checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Check {
    /// The verdict that they come to.
    pub verdict: Verdict,
    /// Since when; `None` before the first verdict.
    pub since: Option<Instant>,
    /// The last check's finding, in a few words; empty: there is nothing to say.
    pub last: String,
}

/// The verdict of health checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet: there are none, or none has had its say. The backend counts as alive, so that a
    /// restart does not stop a farm.
    #[default]
    Pending,
    /// The backend is alive.
    Passed,
    /// So many in a row failed that it counts as dead.
    Failed,
}

/// How a backend treats its clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Conduct {
    /// The backend answers.
    #[default]
    Answers,
    /// The backend left requests unanswered while others answered.
    Suspected,
    /// The backend did so for too long, and gets nothing for a while.
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
    /// The backend's share of new transfers.
    pub fn weight(&self, written: &Backend) -> u16 {
        self.weight.unwrap_or(written.weight)
    }

    /// The duty that the backend is given.
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
    use crate::config::sample::{pair, parsed};

    #[test]
    fn what_was_ordered_is_told_apart_from_the_file() {
        let file = pair() + "weight = 3\n";
        let mut standings = Standings::default();
        assert_eq!(standings.differences(&parsed(&file)), [""; 0]);
        standings.entry("pxe", "one").order = Order::Draining;
        standings.entry("pxe", "two").weight = Some(5);
        standings.entry("pxe", "gone").order = Order::Disabled;
        standings.settle(&parsed(&file));
        assert_eq!(
            standings.differences(&parsed(&file)),
            [
                "backend one of pxe is drained by command",
                "backend two of pxe has weight 5 by command, the file says 3",
            ]
        );
        let back = file.replace("\"two\"", "\"gone\"");
        assert_eq!(standings.differences(&parsed(&back)).len(), 1, "it was forgotten");
        standings.settle(&parsed(&file.replace("weight = 3", "weight = 5")));
        standings.settle(&parsed(&file));
        assert_eq!(standings.differences(&parsed(&file)).len(), 1, "the file caught up");
    }

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
