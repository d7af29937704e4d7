//! The view: everything that the page shows, at one moment.

use super::history::{Second, WorkerLoad};
use crate::api::{self, Flows};
use crate::flow_log::Line;
use crate::metrics::{Facts, Interface};
use crate::service_facts::{ServiceFacts, VipFacts};
use engine::types::drop_reason::DropReason;
use std::time::{Duration, SystemTime};

/// Everything that the page shows.
#[derive(Debug)]
pub struct View {
    /// The time.
    pub at: SystemTime,
    /// The name of this host.
    pub host: String,
    /// The daemon as a whole.
    pub daemon: Facts,
    /// The time since the daemon's start.
    pub uptime: Duration,
    /// The time since the last reload; `None`: there was none.
    pub last_reload: Option<Duration>,
    /// The services, in the configuration's order.
    pub services: Vec<Service>,
    /// Running transfers and connections, youngest first, or why there is no list.
    pub flows: Result<Flows, String>,
    /// The last failures, the latest first.
    pub failures: Vec<Line>,
    /// Reasons that have dropped packets.
    pub drops: Vec<Drop>,
    /// The workers.
    pub workers: Vec<Worker>,
    /// The interfaces.
    pub interfaces: Vec<Interface>,
}

/// A service.
#[derive(Debug)]
pub struct Service {
    /// The facts.
    pub facts: ServiceFacts,
    /// The VIPs.
    pub vips: Vec<Vip>,
    /// Whether VIPs are up, and the kernel holds no address of the SNAT pool.
    pub lacks_pool: bool,
    /// The backends, and removed ones that still have transfers.
    pub backends: Vec<Backend>,
    /// The last hour, the oldest second first.
    pub hour: Vec<Second>,
}

/// A VIP.
#[derive(Debug)]
pub struct Vip {
    /// The facts.
    pub facts: VipFacts,
    /// The time in this state.
    pub since: Duration,
}

impl Vip {
    /// Why the VIP is down; `None`: it is up, or another gate may have it.
    pub fn fault(&self) -> Option<String> {
        (self.facts.state() == "down").then(|| {
            let interface = &self.facts.interface;
            format!(
                "the kernel does not hold it on {interface}: another host has it, or it was removed"
            )
        })
    }
}

/// A backend.
#[derive(Debug)]
pub struct Backend {
    /// The backend, as the socket shows it.
    pub row: api::Backend,
    /// The reason for its state; empty while it is up.
    pub reason: String,
    /// The time in this state.
    pub since: Duration,
}

/// A reason of drops.
#[derive(Debug)]
pub struct Drop {
    /// The reason.
    pub reason: DropReason,
    /// Drops in all.
    pub total: u64,
    /// Drops of the last minute.
    pub minute: u64,
}

/// A worker.
#[derive(Debug)]
pub struct Worker {
    /// The CPU core.
    pub core: u16,
    /// The load of the last second, once it is known.
    pub load: Option<WorkerLoad>,
}
