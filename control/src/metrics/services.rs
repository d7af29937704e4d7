//! Metrics of the services, their SNAT addresses, and the NAT rules.

use super::buckets::Buckets;
use super::page::Page;
use crate::config::Addresses;
use crate::service_facts::{ServiceFacts, VipFacts};
use engine::counters::Refusals;
use std::fmt;

/// A service.
#[derive(Debug)]
pub struct Service {
    /// The facts.
    pub facts: ServiceFacts,
    /// The VIPs.
    pub vips: Vec<VipFacts>,
    /// Refused requests.
    pub refusals: Refusals,
    /// Seconds that completed transfers and connections took, and all others.
    pub durations: [Buckets; 2],
    /// Bytes of completed transfers.
    pub sizes: Buckets,
}

impl Service {
    /// The service's name.
    pub fn name(&self) -> &str {
        &self.facts.name
    }
}

/// The ports of an address in a service's SNAT pool.
#[derive(Debug)]
pub struct SnatPorts {
    /// The service's name.
    pub service: String,
    /// The address.
    pub address: String,
    /// Whether the kernel holds it.
    pub is_live: bool,
    /// The party that adds it to the kernel.
    pub addresses: Addresses,
    /// Ports in use.
    pub taken: u32,
    /// Free ports that late packets may still come to.
    pub resting: u32,
    /// All ports.
    pub max: u32,
}

/// A NAT rule for connections that servers open.
#[derive(Debug)]
pub struct NatRule {
    /// The rule's number, from 0.
    pub rule: String,
    /// The VIP that becomes the source address.
    pub to: String,
    /// Connections under the rule so far.
    pub connections: u64,
}

pub(super) fn encode(services: &[&Service], page: &mut Page) -> fmt::Result {
    let info = services.iter().map(|it| {
        let ServiceFacts { name, protocol, mode, scheduler, port: _ } = &it.facts;
        let facts = [("protocol", *protocol), ("mode", *mode), ("scheduler", *scheduler)];
        ([[("service", &**name)].as_slice(), &facts].concat(), 1)
    });
    page.gauge("service_info", "Protocol, mode and scheduler of services", info)?;
    let vips = services.iter().flat_map(|service| {
        let labels = |vip: &VipFacts| {
            let (vip, addresses) = (vip.address.to_string(), vip.addresses.name().to_owned());
            [("service", service.name().to_owned()), ("vip", vip), ("addresses", addresses)]
        };
        service.vips.iter().map(move |vip| (labels(vip), vip.is_live.into()))
    });
    page.gauge("service_vip_up", "Whether the kernel holds the VIP", vips)?;
    let refused = services.iter().flat_map(|service| {
        let Refusals { read_only, file, client, rate, data, connections } = &service.refusals;
        let reasons = [
            ("read-only", read_only),
            ("file", file),
            ("client", client),
            ("rate", rate),
            ("data", data),
            ("connections", connections),
        ];
        reasons.map(|(reason, count)| {
            ([("service", service.name()), ("reason", reason)], count.value())
        })
    });
    page.counter("service_refused_requests", "Requests refused, by reason", refused)?;
    let durations = services.iter().flat_map(|service| {
        let outcomes = ["completed", "other"].into_iter().zip(&service.durations);
        outcomes.map(|(outcome, durations)| {
            ([("service", service.name()), ("outcome", outcome)], durations.clone())
        })
    });
    let help = "Time from the request to the end of transfers and connections";
    page.histogram("transfer_duration_seconds", help, durations)?;
    let sizes = services.iter().map(|it| ([("service", it.name())], it.sizes.clone()));
    page.histogram("transfer_size_bytes", "Bytes of DATA in completed transfers", sizes)
}

pub(super) fn encode_snat(addresses: &[&SnatPorts], page: &mut Page) -> fmt::Result {
    let used = addresses.iter().flat_map(|it| {
        let states = [("taken", it.taken), ("resting", it.resting)];
        states.map(|(state, ports)| {
            let labels = [("service", &*it.service), ("address", &*it.address), ("state", state)];
            (labels, ports.into())
        })
    });
    page.gauge("snat_ports", "Ports of SNAT addresses that are in use or rest", used)?;
    let live = addresses.iter().map(|it| {
        let whose = it.addresses.name();
        let labels = [("service", &*it.service), ("address", &*it.address), ("addresses", whose)];
        (labels, it.is_live.into())
    });
    page.gauge("snat_address_up", "Whether the kernel holds the SNAT address", live)?;
    let most = addresses
        .iter()
        .map(|it| ([("service", &*it.service), ("address", &*it.address)], it.max.into()));
    page.gauge("snat_ports_max", "Ports of SNAT addresses", most)
}

pub(super) fn encode_nat(rules: &[NatRule], page: &mut Page) -> fmt::Result {
    let rules = rules.iter().map(|it| ([("rule", &*it.rule), ("to", &*it.to)], it.connections));
    page.counter("nat_rule_connections", "Connections that servers opened under a NAT rule", rules)
}
