//! The sample that a page of metrics is made of.

use super::backends::Backend;
use super::daemon::Facts;
use super::interfaces::Interface;
use super::pair::Pair;
use super::services::{NatRule, Service, SnatPorts};
use super::workers::Worker;

/// All values at one moment.
#[derive(Debug, Default)]
pub struct Sample {
    /// The daemon as a whole.
    pub daemon: Facts,
    /// The workers, by number.
    pub workers: Vec<Worker>,
    /// The interfaces, in the configuration's order.
    pub interfaces: Vec<Interface>,
    /// The pair, if there is one.
    pub pair: Option<Pair>,
    /// The services, in the configuration's order.
    pub services: Vec<Service>,
    /// The addresses of SNAT pools, for each service that has them.
    pub snat: Vec<SnatPorts>,
    /// The backends of all services; no two have the same names.
    pub backends: Vec<Backend>,
    /// NAT rules for connections that servers open, in the configuration's order.
    pub nat: Vec<NatRule>,
}

impl Sample {
    /// Whether there is a service of this name.
    pub fn has_service(&self, name: &str) -> bool {
        self.services.iter().any(|service| service.name() == name)
    }
}
