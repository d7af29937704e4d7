//! Checks of a service's backends.

use super::address::{self, Use};
use super::check::Checker;
use super::file::{self, Maybe, OneOrMany};
use super::types::{Backend, Interface, Mode};
use std::collections::HashSet;
use std::net::IpAddr;
use toml::Spanned;
use wire::ethernet::Mac;

/// The most aliases of a backend.
const MOST_ALIASES: usize = 255;

impl Checker {
    pub fn backends(
        &mut self,
        service: &Spanned<file::Service>,
        mode: &Mode,
        interfaces: &[Interface],
    ) -> Vec<Backend> {
        let written = &service.as_ref().backend;
        let name = service.as_ref().name.span();
        if written.is_empty() {
            self.fault(name.clone(), "the service has no [[service.backend]]", "add at least one");
        }
        self.unique("backend", written.iter().map(|backend| &backend.as_ref().name));
        let mut seen = HashSet::new();
        let mut backends = vec![];
        for written in written {
            let Some(backend) = self.backend(written.as_ref(), mode, interfaces) else { continue };
            if !seen.insert(backend.address) {
                let what = format!("{} is two backends of this service", backend.address);
                self.fault(written.as_ref().address.span(), what, "give one of them more weight");
            }
            backends.push(backend);
        }
        if !backends.is_empty() && backends.iter().all(|backend| backend.weight == 0) {
            self.fault(name, "all backends have weight 0", "one of them must take transfers");
        }
        backends
    }

    fn backend(
        &mut self,
        written: &file::Backend,
        mode: &Mode,
        interfaces: &[Interface],
    ) -> Option<Backend> {
        let weight = self.number(&written.weight, 1, 0..=1000) as u16;
        let most = u32::MAX.into();
        let max_transfers = written.max_transfers.is_some();
        let max_transfers =
            max_transfers.then(|| self.number(&written.max_transfers, most, 1..=most) as u32);
        let passive_ports = self.passive_ports(&written.passive_ports);
        let (address, interface) = self.own_address(&written.address, Use::Backend, interfaces)?;
        if *mode == Mode::Dsr && address::on_link(address, interfaces).is_none() {
            let what = format!("{address} is in no interface's subnet");
            let hint = "with `mode = \"dsr\"` backends are neighbours";
            self.fault(written.address.span(), what, hint);
        }
        let aliases = self.aliases(&written.aliases, address, mode);
        let macs = written.mac.as_ref().map_or(vec![], |written| {
            let each = OneOrMany::each(written);
            if each.is_empty() {
                self.fault(written.span(), "no hardware address", "name one, or leave `mac` out");
            }
            let macs = each.iter().filter_map(|one| self.mac(one, address, interfaces));
            macs.collect()
        });
        let (mac, also_from) = match macs.split_first() {
            Some((&first, others)) => (Some(first), others.to_vec()),
            None => (None, vec![]),
        };
        let name = written.name.as_ref().clone();
        Some(Backend {
            name,
            address,
            aliases,
            mac,
            also_from,
            weight,
            max_transfers,
            passive_ports,
            interface,
        })
    }

    /// Other addresses that the server at `of` may answer from.
    fn aliases(
        &mut self,
        written: &Maybe<Vec<Spanned<String>>>,
        of: IpAddr,
        mode: &Mode,
    ) -> Vec<IpAddr> {
        let Some(list) = written else { return vec![] };
        if *mode == Mode::Dsr {
            let what = "`aliases` does not go with `mode = \"dsr\"`";
            self.fault(list.span(), what, "servers answer clients directly: leave it out");
        }
        if list.as_ref().len() > MOST_ALIASES {
            let hint = format!("at most {MOST_ALIASES}");
            self.fault(list.span(), "too many aliases of one backend", hint);
        }
        let mut aliases = vec![];
        for written in list.as_ref() {
            let Some(alias) = self.keep(address::host(written)) else { continue };
            let noted = self.uses.note(alias, written.span(), Use::Alias(of));
            if self.keep(noted).is_none() {
                continue;
            }
            if aliases.contains(&alias) {
                let what = format!("{alias} is an alias twice");
                self.fault(written.span(), what, "name each address once");
            }
            aliases.push(alias);
        }
        aliases
    }

    /// A neighbour's hardware address.
    fn mac(
        &mut self,
        written: &Spanned<String>,
        of: IpAddr,
        interfaces: &[Interface],
    ) -> Option<Mac> {
        let mac = written.as_ref().parse::<Mac>().ok();
        let mac = mac.filter(|mac| !mac.is_group() && *mac != Mac([0; 6]));
        if mac.is_none() {
            let what = format!("`{}` is no host's hardware address", written.as_ref());
            self.fault(written.span(), what, "written like \"02:00:00:00:00:30\"");
        }
        if address::on_link(of, interfaces).is_none() {
            let what = format!("{of} is in no interface's subnet");
            self.fault(written.span(), what, "only a neighbour can have a fixed `mac`");
        }
        mac
    }
}
