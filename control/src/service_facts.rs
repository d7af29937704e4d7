//! Facts about a service that every way to show it takes from here: metrics, the web page and the socket.

use crate::config::{Addresses, Service};
use crate::registry::Means;
use engine::scheduler::backend_group::Scheduler;
use std::net::IpAddr;

/// Facts about a service, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFacts {
    /// The service's name.
    pub name: String,
    /// The protocol: `tftp`, `ftp`, `tcp`, `udp` or `any`.
    pub protocol: &'static str,
    /// The mode: `dsr`, `nat` or `nat + snat`.
    pub mode: &'static str,
    /// The scheduler.
    pub scheduler: &'static str,
    /// The port; 0: all ports.
    pub port: u16,
}

/// The state of a VIP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VipFacts {
    /// The address.
    pub address: IpAddr,
    /// The name of the interface that it is configured on.
    pub interface: String,
    /// Whether the kernel holds it.
    pub is_live: bool,
    /// Whether Tidegate has withdrawn it from the kernel.
    pub is_withdrawn: bool,
    /// The party that adds it to the kernel.
    pub addresses: Addresses,
}

impl VipFacts {
    /// The state: `up`, `elsewhere` while another gate may have it, `withdrawn`, or `down`.
    pub fn state(&self) -> &'static str {
        match (self.is_live, self.addresses) {
            (true, _) => "up",
            (false, Addresses::Elsewhere) => "elsewhere",
            (false, Addresses::Ours) if self.is_withdrawn => "withdrawn",
            (false, Addresses::Ours) => "down",
        }
    }
}

impl ServiceFacts {
    /// The facts about a configured service.
    pub fn of(service: &Service) -> ServiceFacts {
        ServiceFacts {
            name: service.name.clone(),
            protocol: service.protocol.name(),
            mode: Means::of(&service.mode).name(),
            scheduler: scheduler(service.scheduler),
            port: service.port,
        }
    }

    /// The facts about a TFTP service, for tests.
    #[cfg(test)]
    pub fn example(name: &str) -> ServiceFacts {
        ServiceFacts {
            name: name.to_owned(),
            protocol: "tftp",
            mode: "nat",
            scheduler: "round-robin",
            port: 69,
        }
    }
}

/// The name of a scheduler.
pub fn scheduler(scheduler: Scheduler) -> &'static str {
    match scheduler {
        Scheduler::RoundRobin => "round-robin",
        Scheduler::LeastTransfers => "least-transfers",
        Scheduler::SourceHash => "source-hash",
        Scheduler::FileHash => "file-hash",
    }
}
