//! Checks of a service's policy: access, options and rules.

use super::address;
use super::check::Checker;
use super::error::Fault;
use super::file::{self, Maybe};
use super::types::{Backend, Held, Mode};
use engine::snapshot::Protocol;
use engine::snapshot::access::Access;
use engine::snapshot::option_limits::OptionLimits;
use engine::snapshot::rule::Rule;
use ipnet::IpNet;
use std::ops::Range;
use toml::Spanned;

/// The limits of a block (RFC 2348) and of a window (RFC 7440).
const MOST_BLKSIZE: u64 = 65_464;
const LEAST_BLKSIZE: u64 = 8;
const MOST_WINDOWSIZE: u64 = 65_535;
/// The most requests of a client in a minute.
const MOST_REQUESTS: u64 = 60_000;
/// The most connections of a client: as many as a table can have rows.
const MOST_CONNECTIONS: u64 = 1 << 25;
/// The longest name of an option.
const MOST_OPTION: usize = 64;
/// The option for multicast (RFC 2090), which can't work where addresses are translated.
const MULTICAST: &str = "multicast";

impl Checker {
    pub fn access(&mut self, written: &file::Service) -> Access {
        let most = written.max_requests_per_client.is_some();
        let most = most
            .then(|| self.number(&written.max_requests_per_client, 0, 1..=MOST_REQUESTS) as u16);
        let connections = &written.max_connections_per_client;
        let connections =
            connections.is_some().then(|| self.number(connections, 0, 1..=MOST_CONNECTIONS) as u32);
        Access {
            read_only: written.read_only.as_ref().is_some_and(|written| *written.as_ref()),
            allow_files: self.globs(&written.allow_files),
            deny_files: lower(self.globs(&written.deny_files)),
            allow_clients: self.prefixes(&written.allow_clients),
            max_requests: most,
            max_connections: connections,
        }
    }

    pub fn options(
        &mut self,
        written: &file::Service,
        protocol: Protocol,
        mode: &Mode,
    ) -> OptionLimits {
        let mut limit = |written: &Maybe<u64>, least, most| {
            written.is_some().then(|| self.number(written, most, least..=most) as u16)
        };
        let max_blksize = limit(&written.max_blksize, LEAST_BLKSIZE, MOST_BLKSIZE);
        let max_windowsize = limit(&written.max_windowsize, 1, MOST_WINDOWSIZE);
        let strip = match &written.strip_options {
            Some(list) => list.as_ref().iter().filter_map(|name| self.option_name(name)).collect(),
            None if *mode == Mode::Dsr || protocol != Protocol::Tftp => vec![],
            None => vec![MULTICAST.to_owned()],
        };
        OptionLimits { max_blksize, max_windowsize, strip }
    }

    fn option_name(&mut self, written: &Spanned<String>) -> Option<String> {
        let name: &str = written.as_ref();
        if !name.is_empty()
            && name.len() <= MOST_OPTION
            && name.bytes().all(|b| b.is_ascii_graphic())
        {
            return Some(name.to_owned());
        }
        let hint = "written like \"multicast\"";
        self.fault(written.span(), format!("`{name}` is no option of TFTP"), hint);
        None
    }

    pub fn rules(
        &mut self,
        written: &file::Service,
        vips: &[Held],
        mode: &Mode,
        backends: &[Backend],
    ) -> Vec<(Rule, Vec<usize>)> {
        let mut rules = vec![];
        for spanned in &written.rule {
            let (rule, places) = self.rule(spanned, backends);
            if !matches!(mode, Mode::Snat(_)) && !places.is_empty() {
                let named = places.iter().map(|&place| &backends[place]);
                let span = spanned.as_ref().backends.span();
                self.rule_meets(&rule, vips, &named.collect::<Vec<_>>(), span);
            }
            rules.push((rule, places));
        }
        rules
    }

    /// Checks that a rule's clients find one of its backends over each address family.
    fn rule_meets(&mut self, rule: &Rule, vips: &[Held], named: &[&Backend], span: Range<usize>) {
        for (v6, ip) in [(false, "IPv4"), (true, "IPv6")] {
            let is_asked = vips.iter().any(|vip| vip.address.is_ipv6() == v6);
            let is_for = rule.clients.is_empty()
                || rule.clients.iter().any(|net| net.addr().is_ipv6() == v6);
            let found = named.iter().any(|one| one.address.is_ipv6() == v6 && one.weight > 0);
            if is_asked && is_for && !found {
                let what = format!("clients over {ip} find none of these backends");
                let hint = "name one over each address family, or `clients` over one of them";
                self.fault(span.clone(), what, hint);
            }
        }
    }

    fn rule(&mut self, spanned: &Spanned<file::Rule>, backends: &[Backend]) -> (Rule, Vec<usize>) {
        let written = spanned.as_ref();
        let rule = Rule {
            files: self.globs(&written.files),
            is_write: written.operation.as_ref().and_then(|written| self.operation(written)),
            clients: self.prefixes(&written.clients),
        };
        if rule == Rule::default() {
            let hint = "name `files`, an `operation` or `clients`";
            self.fault(spanned.span(), "a rule that is for every request", hint);
        }
        let named = written.backends.as_ref();
        let places: Vec<_> =
            named.iter().filter_map(|name| self.backend_named(name, backends)).collect();
        if named.is_empty() {
            self.fault(written.backends.span(), "a rule without backends", "name at least one");
        } else if !places.is_empty() && places.iter().all(|&place| backends[place].weight == 0) {
            let hint = "one of them must take transfers";
            self.fault(written.backends.span(), "all these backends have weight 0", hint);
        }
        (rule, places)
    }

    fn operation(&mut self, written: &Spanned<String>) -> Option<bool> {
        match written.as_ref().as_str() {
            "read" => Some(false),
            "write" => Some(true),
            other => {
                let what = format!("`{other}` is no operation");
                self.fault(written.span(), what, "\"read\" or \"write\"");
                None
            }
        }
    }

    fn backend_named(&mut self, name: &Spanned<String>, backends: &[Backend]) -> Option<usize> {
        let place = backends.iter().position(|backend| backend.name == *name.as_ref());
        if place.is_none() {
            let what = format!("this service has no backend `{}`", name.as_ref());
            self.fault(name.span(), what, "name one of its own");
        }
        place
    }

    fn globs(&mut self, written: &Maybe<Vec<Spanned<String>>>) -> Vec<String> {
        let list = written.as_ref().map(|list| list.as_ref().as_slice()).unwrap_or_default();
        list.iter().filter_map(|glob| self.keep(check_glob(glob))).collect()
    }

    /// Reads networks, and single hosts as networks.
    pub fn prefixes(&mut self, written: &Maybe<Vec<Spanned<String>>>) -> Vec<IpNet> {
        let list = written.as_ref().map(|list| list.as_ref().as_slice()).unwrap_or_default();
        list.iter().filter_map(|prefix| self.keep(address::prefix(prefix))).collect()
    }
}

fn lower(mut globs: Vec<String>) -> Vec<String> {
    globs.iter_mut().for_each(|glob| glob.make_ascii_lowercase());
    globs
}

fn check_glob(written: &Spanned<String>) -> Result<String, Fault> {
    let glob: &str = written.as_ref();
    fast_glob::validate(glob).map_err(|error| {
        Fault::at(written.span(), format!("`{glob}` is no pattern"), format!("{error}"))
    })?;
    if glob.starts_with('/') || glob.is_empty() {
        let hint = "names have no `/` in front; \"**\" is all files";
        return Err(Fault::at(written.span(), format!("`{glob}` is no file's"), hint));
    }
    Ok(glob.to_owned())
}
