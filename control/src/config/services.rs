//! Checks of services.

use super::address::{self, Use};
use super::check::Checker;
use super::file::{self, Maybe, OneOrMany, place};
use super::types::{Addresses, Backend, Held, Interface, Mode, Service};
use engine::snapshot::{MOST_SNAT, Protocol};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use toml::Spanned;

impl Checker {
    pub fn services(
        &mut self,
        written: &[Spanned<file::Service>],
        interfaces: &[Interface],
    ) -> Vec<Service> {
        if written.is_empty() {
            self.fault(0..0, "there is no [[service]]", "add one");
        }
        self.unique("service", written.iter().map(|service| &service.as_ref().name));
        let backends: usize = written.iter().map(|service| service.as_ref().backend.len()).sum();
        if let (true, Some(last)) = (backends.max(written.len()) > 65_535, written.last()) {
            self.fault(last.span(), "too many services or backends", "at most 65535 of each");
        }
        let mut pools = written.iter().filter_map(|service| service.as_ref().snat.as_ref());
        let addresses: usize = pools.clone().map(|pool| pool.as_ref().len()).sum();
        if let (true, Some(last)) = (addresses > MOST_SNAT, pools.next_back()) {
            let hint = format!("at most {MOST_SNAT} in all pools");
            self.fault(last.span(), "too many SNAT addresses", hint);
        }
        let services: Vec<_> =
            written.iter().map(|written| self.service(written, interfaces)).collect();
        self.vips_are_apart(written, &services);
        self.addresses_agree(written, &services);
        self.data_ports_are_apart(written, &services);
        services
    }

    /// Checks that a port on a VIP belongs to one service, and that an interface has one VIP for broadcasts.
    fn vips_are_apart(&mut self, written: &[Spanned<file::Service>], services: &[Service]) {
        let mut taken = HashSet::new();
        let mut everybody = HashMap::new();
        for (written, service) in written.iter().zip(services) {
            for vip in &service.vips {
                if !taken.insert((vip.address, service.protocol.ip_protocol(), service.port)) {
                    let what = match service.protocol {
                        Protocol::Any => format!("two services for anything on {}", vip.address),
                        Protocol::Tftp | Protocol::Ftp(_) | Protocol::Tcp | Protocol::Udp => {
                            format!("two services on {} port {}", vip.address, service.port)
                        }
                    };
                    self.fault(written.as_ref().vip.span(), what, "another VIP or port");
                }
            }
            let v4 = service.vips.iter().filter(|vip| service.broadcast && vip.address.is_ipv4());
            for vip in v4 {
                let other = *everybody.entry(vip.interface).or_insert(vip.address);
                if let (true, Some(key)) = (other != vip.address, &written.as_ref().broadcast) {
                    let what = format!("clients of {other} send to everybody here already");
                    self.fault(key.span(), what, "one VIP on each interface");
                }
            }
        }
    }

    /// Checks that services which share an address say the same about who adds it.
    fn addresses_agree(&mut self, written: &[Spanned<file::Service>], services: &[Service]) {
        let mut known: HashMap<IpAddr, &Service> = HashMap::new();
        for (written, service) in written.iter().zip(services) {
            for held in service.held() {
                let first = *known.entry(held.address).or_insert(service);
                if first.addresses != service.addresses {
                    let (other, whose) = (first.addresses.name(), service.addresses.name());
                    let what = format!(
                        "the addresses of `{}` are {whose}, and {} is also one of `{}`, whose addresses are {other}",
                        service.name, held.address, first.name
                    );
                    let span = place(&written.as_ref().addresses).unwrap_or(written.span());
                    let hint = "services that share an address need the same `addresses`";
                    self.fault(span, what, hint);
                    break;
                }
            }
        }
    }

    /// Reads who adds addresses; if it is not written, that of `[control]` counts.
    pub fn addresses(&mut self, written: &Maybe<String>) -> Addresses {
        let Some(written) = written else { return self.addresses };
        match written.as_ref().as_str() {
            "ours" => Addresses::Ours,
            "elsewhere" => Addresses::Elsewhere,
            other => {
                let what = format!("addresses are not `{other}`");
                self.fault(written.span(), what, "\"ours\" or \"elsewhere\"");
                self.addresses
            }
        }
    }

    fn service(&mut self, spanned: &Spanned<file::Service>, interfaces: &[Interface]) -> Service {
        let written = spanned.as_ref();
        let vips = self.held(&OneOrMany::each(&written.vip), Use::Vip, interfaces);
        let mode = self.mode(written, interfaces);
        let protocol = self.protocol(written, &mode);
        let port = self.port(written, protocol);
        let scheduler = self.scheduler(&written.scheduler, protocol);
        let slow_start = self.duration(&written.slow_start, 1..=3600);
        let backends = self.backends(spanned, &mode, interfaces);
        let [idle_timeout, transitory_timeout] = self.timeouts(written, protocol);
        let drain_timeout = self.drain_timeout(written, protocol);
        let persistence = self.persistence(written, scheduler);
        let (access, options) = (self.access(written), self.options(written, protocol, &mode));
        let health = written.health.as_ref();
        let health = health.and_then(|health| self.health(health, (protocol, port), &mode));
        let rules = self.rules(written, &vips, &mode, &backends);
        if vips.is_empty() {
            self.fault(written.vip.span(), "a service without a VIP", "name an address");
        }
        self.meet(spanned, &vips, &mode, &backends);
        let broadcast = self.broadcast(&written.broadcast, &vips, &mode);
        let failover = self.failover(&written.failover, protocol, &mode);
        let addresses = self.addresses(&written.addresses);
        let announce = self.announce_of(spanned, addresses);
        Service {
            name: written.name.as_ref().clone(),
            protocol,
            vips,
            port,
            mode,
            addresses,
            announce,
            scheduler,
            slow_start,
            idle_timeout,
            transitory_timeout,
            drain_timeout,
            persistence,
            broadcast,
            failover,
            access,
            options,
            rules,
            health,
            backends,
        }
    }

    fn mode(&mut self, written: &file::Service, interfaces: &[Interface]) -> Mode {
        let mode = written.mode.as_ref().map_or("nat", |mode| mode.as_ref());
        match (mode, &written.snat) {
            ("nat", None) => Mode::Nat,
            ("dsr", None) => Mode::Dsr,
            ("nat", Some(pool)) => {
                if pool.as_ref().is_empty() {
                    self.fault(
                        pool.span(),
                        "an empty SNAT pool",
                        "name addresses, or leave it out",
                    );
                }
                Mode::Snat(self.held(pool.as_ref(), Use::Snat, interfaces))
            }
            ("dsr", Some(pool)) => {
                let what = "`snat` does not go with `mode = \"dsr\"`";
                self.fault(pool.span(), what, "servers answer clients directly: leave it out");
                Mode::Dsr
            }
            _ => {
                if let Some(mode) = &written.mode {
                    self.fault(mode.span(), "no such mode", "\"nat\" or \"dsr\"");
                }
                Mode::Nat
            }
        }
    }

    /// Reads addresses that the kernel must hold, each once.
    fn held(
        &mut self,
        written: &[Spanned<String>],
        new: Use,
        interfaces: &[Interface],
    ) -> Vec<Held> {
        let mut all: Vec<Held> = vec![];
        for written in written {
            let Some((address, interface)) = self.own_address(written, new, interfaces) else {
                continue;
            };
            if all.iter().any(|held| held.address == address) {
                let what = format!("{address} is here twice");
                self.fault(written.span(), what, "name each address once");
            }
            all.push(Held { address, interface });
        }
        all
    }

    fn broadcast(&mut self, written: &Maybe<bool>, vips: &[Held], mode: &Mode) -> bool {
        let Some(written) = written.as_ref().filter(|written| *written.as_ref()) else {
            return false;
        };
        if *mode == Mode::Dsr {
            let what = "`broadcast` does not go with `mode = \"dsr\"`";
            self.fault(
                written.span(),
                what,
                "servers would get what is for everybody: use \"nat\"",
            );
        }
        if vips.iter().all(|vip| vip.address.is_ipv6()) {
            self.fault(written.span(), "IPv6 has no broadcast", "leave it out");
        }
        true
    }

    /// Reads whether failover is on. With direct server return there is none: nobody sees which blocks a client has.
    fn failover(&mut self, written: &Maybe<bool>, protocol: Protocol, mode: &Mode) -> bool {
        if let Some(written) = written.as_ref().filter(|written| *written.as_ref())
            && *mode == Mode::Dsr
        {
            let what = "`failover` does not go with `mode = \"dsr\"`";
            self.fault(written.span(), what, "servers answer clients directly: leave it out");
        }
        protocol == Protocol::Tftp
            && *mode != Mode::Dsr
            && written.as_ref().is_none_or(|written| *written.as_ref())
    }

    /// Checks that clients over each address family find a backend, and that each backend is found. Behind a SNAT
    /// pool with addresses of the servers' families, all clients find all backends.
    fn meet(
        &mut self,
        service: &Spanned<file::Service>,
        vips: &[Held],
        mode: &Mode,
        backends: &[Backend],
    ) {
        if vips.is_empty() || backends.is_empty() {
            return;
        }
        let written = service.as_ref();
        let (clients, place) = match mode {
            Mode::Dsr | Mode::Nat => (vips, Some(written.vip.span())),
            Mode::Snat(pool) => (&pool[..], written.snat.as_ref().map(Spanned::span)),
        };
        let span = place.unwrap_or(service.span());
        let crosses = matches!(mode, Mode::Snat(_));
        for v6 in [false, true] {
            let (ip, other) = if v6 { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
            let asked = clients.iter().any(|held| held.address.is_ipv6() == v6);
            let any = backends.iter().any(|backend| backend.address.is_ipv6() == v6);
            let what = match (asked, any, crosses) {
                (true, false, false) => {
                    format!("a VIP over {ip}, and all backends are over {other}")
                }
                (false, true, false) => {
                    format!("a backend over {ip}, and every VIP is over {other}")
                }
                (false, true, true) => format!("a backend over {ip}, and the pool is over {other}"),
                (true, true, _) | (false, false, _) | (true, false, true) => continue,
            };
            let hint =
                if crosses { "add an address to the pool" } else { "name both, or use `snat`" };
            self.fault(span.clone(), what, hint);
        }
    }

    /// Reads an address of ours or of a backend, and finds the interface that reaches it.
    pub fn own_address(
        &mut self,
        written: &Spanned<String>,
        new: Use,
        interfaces: &[Interface],
    ) -> Option<(IpAddr, usize)> {
        let address = self.keep(address::host(written))?;
        let noted = self.uses.note(address, written.span(), new);
        self.keep(noted);
        let interface = self.keep(address::reach(address, written.span(), interfaces))?;
        Some((address, interface))
    }
}
