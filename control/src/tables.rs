//! The engine's snapshot: the configuration, as the kernel lets it come true at the moment.

use crate::config::{self, Config};
use crate::kernel::View;
use crate::lasting::Lasting;
use crate::standing::Standings;
use engine::select::cap::Cap;
use engine::select::maglev::Maglevs;
use engine::select::rota::{Member, Rota, Scheduler};
use engine::select::sticky::Persistence;
use engine::tables::{
    Backend, BackendId, Hop, Interface, Mode, Owner, RotaId, Rotas, Service, ServiceId, SnatId,
    Tables, Vip, VipId,
};
use engine::tick::{Tick, ticks};
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use wire::ethernet::Mac;

/// Builds the snapshot. `macs` are the devices', in the order of the configuration's interfaces,
/// `standings` say more of the backends, `lasting` is what earlier snapshots have handed on. It is
/// `now` in workers' time.
/// All lists depend on the configuration alone, so flows that hold indices stay right from one
/// view of the kernel to the next.
///
/// # Panics
///
/// More services, backends or addresses than an id can count.
pub fn build(
    config: &Config,
    macs: &[Mac],
    view: &View,
    standings: &Standings,
    lasting: &mut Lasting,
    now: Tick,
) -> Tables {
    let mut tables = Tables { interfaces: interfaces(config, macs), ..Tables::default() };
    let moment = Moment { view, standings, now };
    let mut servers = HashMap::new();
    for (id, service) in config.services.iter().enumerate() {
        let id: ServiceId = number(id);
        for held in &service.vips {
            let vip = vip(&mut tables.vips, held.address);
            tables.vips[usize::from(vip)].services.push((service.port, id));
            if service.broadcast && held.address.is_ipv4() {
                everybody(&mut tables, &config.interfaces, held.interface, vip);
            }
        }
        let mode = mode(&mut tables.snat, &service.mode);
        let farm = &mut tables.backends;
        let first = backends(farm, &mut servers, id, service, &moment, lasting);
        let rotas = &mut tables.rotas;
        let maglevs = &mut lasting.maglevs;
        let rota = add_rotas(rotas, maglevs, service, first, |_| true);
        let rules = service.rules.iter().map(|(rule, places)| {
            let is_one = |place| places.contains(&place);
            (rule.clone(), add_rotas(rotas, maglevs, service, first, is_one))
        });
        let rules = rules.collect();
        tables.services.push(Service {
            port: service.port,
            mode,
            idle_timeout: ticks(service.idle_timeout),
            persistence: service.persistence.map(persistence),
            access: service.access.clone(),
            options: service.options.clone(),
            rules,
            rota,
        });
    }
    own(&mut tables, view);
    lasting.maglevs.tidy();
    tables
}

fn interfaces(config: &Config, macs: &[Mac]) -> Vec<Interface> {
    let both = config.interfaces.iter().zip(macs);
    both.map(|(interface, &mac)| Interface { mac, mtu: interface.mtu, broadcast: None }).collect()
}

/// What is sent to everybody on this interface can be for this VIP.
fn everybody(tables: &mut Tables, interfaces: &[config::Interface], interface: usize, vip: VipId) {
    tables.interfaces[interface].broadcast = Some(vip);
    // Of two addresses, neither is for everybody (RFC 3021).
    let has_one = |net: &&IpNet| net.addr().is_ipv4() && net.prefix_len() < 31;
    let subnets = interfaces[interface].addresses.iter().filter(has_one);
    let addresses = subnets.map(IpNet::broadcast).chain([Ipv4Addr::BROADCAST.into()]);
    addresses.for_each(|address| tables.addresses.insert(address, Owner::Everybody));
}

/// The number of a VIP, which is new or that of an earlier service.
fn vip(vips: &mut Vec<Vip>, address: IpAddr) -> VipId {
    let known = vips.iter().position(|vip| vip.address == address);
    number(known.unwrap_or_else(|| {
        vips.push(Vip { address, services: Vec::new() });
        vips.len() - 1
    }))
}

fn mode(snat: &mut Vec<IpAddr>, mode: &config::Mode) -> Mode {
    match mode {
        config::Mode::Dsr => Mode::Dsr,
        config::Mode::Nat => Mode::Nat,
        config::Mode::Snat(pool) => {
            let ids = pool.iter().map(|source| {
                let known = snat.iter().position(|&address| address == source.address);
                let id: SnatId = number(known.unwrap_or_else(|| {
                    snat.push(source.address);
                    snat.len() - 1
                }));
                id
            });
            Mode::Snat(ids.collect())
        }
    }
}

/// What is known of backends besides the configuration.
struct Moment<'a> {
    view: &'a View,
    standings: &'a Standings,
    now: Tick,
}

/// Appends a service's backends to all others; answers the first one's place there.
fn backends(
    all: &mut Vec<Backend>,
    servers: &mut HashMap<IpAddr, BackendId>,
    service: ServiceId,
    written: &config::Service,
    moment: &Moment,
    lasting: &mut Lasting,
) -> usize {
    let first = all.len();
    for (id, backend) in (first..).zip(&written.backends) {
        let server = *servers.entry(backend.address).or_insert_with(|| number(id));
        let interface = number(backend.interface);
        let fixed = backend.mac.map(|mac| Hop { interface, mac });
        let hop = fixed.or_else(|| moment.view.hops.get(&backend.address).copied());
        let (address, aliases) = (backend.address, backend.aliases.clone());
        let duty = moment.standings.of(written, backend).duty();
        let most = backend.max_transfers;
        let cap = most.map(|most| Cap::new(most, lasting.places(written, backend)));
        let slow_start = None;
        let made = Backend { address, aliases, service, server, hop, duty, cap, slow_start };
        let slow_start = lasting.slow_start(written, backend, &made, moment.now);
        all.push(Backend { slow_start, ..made });
    }
    first
}

/// Appends how some of a service's backends get transfers; the first of them all is at `first`.
fn add_rotas(
    all: &mut Vec<Rotas>,
    maglevs: &mut Maglevs,
    service: &config::Service,
    first: usize,
    is_one: impl Fn(usize) -> bool,
) -> RotaId {
    // Behind a SNAT pool a client's version of IP does not matter to the server.
    let any = matches!(service.mode, config::Mode::Snat(_));
    all.push([false, true].map(|v6| {
        let own =
            service.backends.iter().enumerate().filter(|(place, backend)| {
                is_one(*place) && (any || backend.address.is_ipv6() == v6)
            });
        let members = own.map(|(place, backend)| Member {
            id: number(first + place),
            address: backend.address,
            weight: backend.weight,
        });
        Rota::new(scheduler(service, v6), members.collect(), maglevs)
    }));
    number(all.len() - 1)
}

/// The clients of one network are on different workers, which tell each other nothing: they choose alike by
/// its hash.
fn scheduler(service: &config::Service, v6: bool) -> Scheduler {
    let of_networks = service.persistence.is_some_and(|one| one.is_of_networks(v6));
    if of_networks { Scheduler::SourceHash } else { service.scheduler }
}

fn persistence(written: config::Persistence) -> Persistence {
    Persistence { ticks: ticks(written.length), prefixes: written.prefixes }
}

/// Whose each address is. Clients and servers may not be told apart by an address that is also
/// ours, so VIPs come before SNAT addresses, and both before backends.
fn own(tables: &mut Tables, view: &View) {
    let Tables { services, backends, snat, addresses, .. } = tables;
    for backend in backends {
        for &address in [&backend.address].into_iter().chain(&backend.aliases) {
            match services[usize::from(backend.service)].mode {
                Mode::Dsr => {}
                Mode::Nat => addresses.insert(address, Owner::Routed(backend.server)),
                // In another service it may be routed.
                Mode::Snat(_) if addresses.get(address).is_some() => {}
                Mode::Snat(_) => addresses.insert(address, Owner::Answering(backend.server)),
            }
        }
    }
    for (id, &mut address) in (0..).zip(snat) {
        addresses.insert(address, Owner::Snat(id));
    }
    for id in 0..tables.vips.len() {
        let live = view.live.contains(&tables.vips[id].address);
        tables.set_live(number(id), live);
    }
}

fn number<T: TryFrom<usize>>(position: usize) -> T {
    T::try_from(position).ok().expect("the configuration is small enough to be numbered")
}

#[cfg(test)]
mod tests;
