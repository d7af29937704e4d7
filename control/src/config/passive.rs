//! Checks of passive data ports, for FTP sessions that are not inspected.

use super::check::Checker;
use super::file::{self, Maybe, place};
use super::types::{Backend, Service};
use engine::alg::ftp::FIRST_DATA_PORT;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use toml::Spanned;
use wire::ip::PROTOCOL_TCP;

/// Owners of a VIP's TCP ports: the last port and the owner of each range, by its first port.
type Owners = BTreeMap<u16, (u16, String)>;

impl Checker {
    pub fn passive_ports(&mut self, written: &Maybe<String>) -> Option<RangeInclusive<u16>> {
        let written = written.as_ref()?;
        let ends = written.as_ref().split_once('-');
        let ends = ends.map(|(first, last)| (first.trim().parse(), last.trim().parse()));
        match ends {
            Some((Ok(first), Ok(last))) if FIRST_DATA_PORT <= first && first <= last => {
                Some(first..=last)
            }
            _ => {
                let what = format!("`{}` is no range of ports", written.as_ref());
                let hint = format!("written like \"50000-50099\", from {FIRST_DATA_PORT} on");
                self.fault(written.span(), what, hint);
                None
            }
        }
    }

    /// Checks that a TCP port on a VIP belongs to one backend or one service.
    pub fn data_ports_are_apart(
        &mut self,
        written: &[Spanned<file::Service>],
        services: &[Service],
    ) {
        let mut owners: HashMap<IpAddr, Owners> = HashMap::new();
        for service in services.iter().filter(|one| one.protocol.ip_protocol() == PROTOCOL_TCP) {
            for vip in &service.vips {
                let ports = owners.entry(vip.address).or_default();
                ports.insert(service.port, (service.port, format!("service {}'s", service.name)));
            }
        }
        for (written, service) in written.iter().zip(services) {
            for backend in &service.backends {
                self.data_ports_of(written.as_ref(), service, backend, &mut owners);
            }
        }
    }

    fn data_ports_of(
        &mut self,
        written: &file::Service,
        service: &Service,
        backend: &Backend,
        owners: &mut HashMap<IpAddr, Owners>,
    ) {
        let Some(range) = &backend.passive_ports else { return };
        let (first, last) = (*range.start(), *range.end());
        let mut clash = None;
        for vip in service.vips.iter().filter(|vip| service.leads_to(vip.address, backend)) {
            let owners = owners.entry(vip.address).or_default();
            if let Some((&start, (end, whose))) = owners.range(..=last).next_back()
                && *end >= first
            {
                let ports =
                    if start == *end { format!("{start}") } else { format!("{start}-{end}") };
                clash = Some(format!("of {}, {ports} is {whose}", vip.address));
            }
            let whose = format!("backend {}'s of service {}", backend.name, service.name);
            owners.insert(first, (last, whose));
        }
        let named = |one: &&Spanned<file::Backend>| *one.as_ref().name.as_ref() == backend.name;
        let key = written.backend.iter().find(named);
        let span = key.and_then(|written| place(&written.as_ref().passive_ports));
        if let (Some(clash), Some(span)) = (clash, span) {
            self.fault(span, clash, "name other ports");
        }
    }
}
