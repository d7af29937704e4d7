//! The engine's snapshot: the configuration, as the kernel lets it come true at the moment.

mod origins;

use crate::config::{self, Config};
use crate::in_force::InForce;
use crate::kernel::View;
use crate::lasting::Lasting;
use crate::registry::{self, Means, Numbered, Registry, here};
use crate::standing::{Order, Standings};
use engine::flow::sessions::Sessions;
use engine::policy::{Access, OptionLimits};
use engine::select::cap::Cap;
use engine::select::maglev::Maglevs;
use engine::select::rota::{Member, Rota, Scheduler};
use engine::select::sticky::Persistence;
use engine::tables::{
    Backend, Duty, Ftp, Interface, Mode, NatRule, Owner, Protocol, RotaId, Rotas, Service, Tables,
    Vip, VipId,
};
use engine::tick::{PER_SECOND, Tick, ticks};
use ipnet::IpNet;
use std::net::Ipv4Addr;
use wire::ethernet::Mac;

/// Builds the snapshot. `macs` are the devices', in the order of the configuration's interfaces,
/// `standings` say more of the backends, `lasting` is what earlier snapshots have handed on. It is `now` in
/// workers' time.
/// Everything is at its number's place, also what was removed: its transfers go on, and it gets no new ones.
pub fn build(
    in_force: &InForce,
    macs: &[Mac],
    view: &View,
    standings: &Standings,
    lasting: &mut Lasting,
    now: Tick,
) -> Tables {
    let InForce { registry, numbers, .. } = in_force;
    let config = in_force.config();
    let removed = (0..).zip(registry.services());
    let mut tables = Tables {
        interfaces: interfaces(config, macs, view),
        services: removed.map(|(id, service)| leaving(service, registry.rota_of(id))).collect(),
        backends: registry.backends().iter().map(|entry| backend(&entry.what, view)).collect(),
        servers: origins::of_servers(registry, view, lasting),
        rotas: vec![Rotas::default(); registry.rotas()],
        vips: registry.vips().iter().map(|entry| Vip::new(entry.what.held.address)).collect(),
        snat: registry.snat().iter().map(|entry| lasting.snat(entry.what.address)).collect(),
        nat: config.nat.iter().filter_map(|rule| nat(rule, registry, lasting)).collect(),
        routes: lasting.routes(&view.routes),
        sought: lasting.sought.clone(),
        speech: speech(&config.dataplane),
        ..Tables::default()
    };
    for (numbers, service) in numbers.iter().zip(&config.services) {
        for &vip in &numbers.vips {
            let vip = &mut tables.vips[usize::from(vip)];
            match service.protocol {
                config::Protocol::Tftp | config::Protocol::Udp => {
                    vip.udp.push((service.port, numbers.id));
                }
                config::Protocol::Ftp(_) | config::Protocol::Tcp => {
                    vip.tcp.push((service.port, numbers.id));
                }
                config::Protocol::Any => vip.any = Some(numbers.id),
            }
        }
        for (&id, backend) in numbers.backends.iter().zip(&service.backends) {
            let standing = standings.of(service, backend);
            let known = &mut tables.backends[usize::from(id)];
            known.duty = standing.duty();
            // What is switched off does not even get what its transfers need.
            known.hop = known.hop.filter(|_| standing.order != Order::Disabled);
            let most = backend.max_transfers;
            known.cap = most.map(|most| Cap::new(most, lasting.places(service, backend)));
            known.slow_start = lasting.slow_start(service, backend, known, now);
            let leave_by = lasting.leave_drained(service, backend, standing.order, now);
            tables.leave_by.extend(leave_by.map(|time| (id, time)));
        }
        set_rotas(&mut tables.rotas, service, numbers, standings, &mut lasting.maglevs);
        tables.services[usize::from(numbers.id)] =
            configured(service, numbers, config.dataplane.max_flows);
    }
    let mut removed = lasting.leave_removed(registry, now);
    removed
        .retain(|&(id, _)| matches!(tables.service_of(id).protocol, Protocol::Udp | Protocol::Any));
    tables.leave_by.append(&mut removed);
    for (id, vip) in here(registry.vips()).filter(|(_, vip)| vip.broadcast) {
        everybody(&mut tables, &config.interfaces, vip.held.interface, id);
    }
    tables.has_rules = lasting.has_rules();
    tables.has_connections = tables.has_rules
        || tables.services.iter().any(|service| service.protocol != Protocol::Tftp);
    data_ports(&mut tables.vips, registry);
    own(&mut tables, registry, view);
    lasting.maglevs.tidy();
    tables
}

/// Each worker's share of what is said in clients' places, in a tick.
fn speech(dataplane: &config::Dataplane) -> u32 {
    dataplane.failover_rate.div_ceil(PER_SECOND * dataplane.workers.len() as u32)
}

fn configured(service: &config::Service, numbers: &Numbered, max_flows: u32) -> Service {
    let rules = service.rules.iter().zip(&numbers.rules);
    Service {
        protocol: protocol(service.protocol),
        port: service.port,
        mode: match service.mode {
            config::Mode::Dsr => Mode::Dsr,
            config::Mode::Nat => Mode::Nat,
            config::Mode::Snat(_) => Mode::Snat(numbers.pool.clone()),
        },
        idle_timeout: ticks(service.idle_timeout),
        transitory_timeout: ticks(service.transitory_timeout),
        persistence: service.persistence.map(persistence),
        failover: service.failover,
        access: Access {
            max_connections: max_connections(service, max_flows),
            ..service.access.clone()
        },
        options: service.options.clone(),
        rules: rules.map(|((rule, _), &rota)| (rule.clone(), rota)).collect(),
        rota: numbers.rota,
    }
}

/// The most connections of a client to this service. Of FTP there can be fewer than of anything else, and they live
/// long: nobody has more than an eighth of the sessions that a worker can read, unless it is said.
fn max_connections(service: &config::Service, max_flows: u32) -> Option<u32> {
    let eighth = || Sessions::most(max_flows as usize) as u32 / 8;
    let is_ftp = matches!(service.protocol, config::Protocol::Ftp(_));
    service.access.max_connections.or_else(|| is_ftp.then(eighth))
}

/// A service that was removed, for the transfers that it has.
fn leaving(service: &registry::Service, rota: RotaId) -> Service {
    Service {
        protocol: protocol(service.protocol),
        port: service.port,
        mode: match service.means {
            Means::Dsr => Mode::Dsr,
            Means::Nat => Mode::Nat,
            Means::Snat => Mode::Snat(vec![]),
        },
        idle_timeout: ticks(service.idle_timeout),
        transitory_timeout: ticks(service.transitory_timeout),
        persistence: None,
        failover: false,
        access: Access { allow_clients: service.allow_clients.clone(), ..Access::default() },
        options: OptionLimits::default(),
        rules: vec![],
        rota,
    }
}

fn protocol(written: config::Protocol) -> Protocol {
    match written {
        config::Protocol::Tftp => Protocol::Tftp,
        config::Protocol::Ftp(config::Ftp { data_port, foreign_data }) => {
            Protocol::Ftp(Ftp { data_port, foreign_data })
        }
        config::Protocol::Tcp => Protocol::Tcp,
        config::Protocol::Udp => Protocol::Udp,
        config::Protocol::Any => Protocol::Any,
    }
}

/// A backend that gets no new transfers, unless more is said of it.
fn backend(known: &registry::Backend, view: &View) -> Backend {
    Backend {
        address: known.address,
        aliases: known.aliases.clone(),
        service: known.service,
        server: known.server,
        hop: known.fixed_hop().or_else(|| view.hops.get(&known.address).copied()),
        duty: Duty::Draining,
        cap: None,
        slow_start: None,
    }
}

fn interfaces(config: &Config, macs: &[Mac], view: &View) -> Vec<Interface> {
    let both = config.interfaces.iter().zip(macs).enumerate();
    both.map(|(place, (interface, &mac))| {
        let held = view.held.iter().filter(|held| held.interface == place);
        Interface {
            mac,
            mtu: mtu(interface, view),
            addresses: interface.addresses.clone(),
            held: held.map(|held| held.address).collect(),
            broadcast: None,
        }
    })
    .collect()
}

/// The largest packet that an interface can send at the moment.
fn mtu(interface: &config::Interface, view: &View) -> u16 {
    let narrow = interface.device.linux_interface().and_then(|name| view.narrow.get(name));
    let room = narrow.map(|mtu| mtu.saturating_sub(interface.tag_room()));
    room.map_or(interface.mtu, |room| room.min(interface.mtu))
}

/// Makes this VIP the one that frames to everybody on this interface can be for.
fn everybody(tables: &mut Tables, interfaces: &[config::Interface], interface: usize, vip: VipId) {
    tables.interfaces[interface].broadcast = Some(vip);
    // Of two addresses, neither is for everybody (RFC 3021).
    let has_one = |net: &&IpNet| net.addr().is_ipv4() && net.prefix_len() < 31;
    let subnets = interfaces[interface].addresses.iter().filter(has_one);
    let addresses = subnets.map(IpNet::broadcast).chain([Ipv4Addr::BROADCAST.into()]);
    addresses.for_each(|address| tables.addresses.insert(address, Owner::Everybody));
}

/// The orders in which a service's backends get transfers, of each rule and of all else.
fn set_rotas(
    all: &mut [Rotas],
    service: &config::Service,
    numbers: &Numbered,
    standings: &Standings,
    maglevs: &mut Maglevs,
) {
    let mut set = |id: RotaId, is_one: &dyn Fn(usize) -> bool| {
        all[usize::from(id)] = rotas(service, numbers, standings, maglevs, is_one);
    };
    set(numbers.rota, &|_| true);
    for (&id, (_, places)) in numbers.rules.iter().zip(&service.rules) {
        set(id, &|place| places.contains(&place));
    }
}

/// The order in which those of a service's backends get transfers of which `is_one` is so, by their places.
fn rotas(
    service: &config::Service,
    numbers: &Numbered,
    standings: &Standings,
    maglevs: &mut Maglevs,
    is_one: &dyn Fn(usize) -> bool,
) -> Rotas {
    // Behind a SNAT pool a client's version of IP does not matter to the server.
    let any = matches!(service.mode, config::Mode::Snat(_));
    [false, true].map(|v6| {
        let all = service.backends.iter().zip(&numbers.backends).enumerate();
        let own = all.filter(|(place, (backend, _))| {
            is_one(*place) && (any || backend.address.is_ipv6() == v6)
        });
        let members = own.map(|(_, (backend, &id))| {
            let weight = standings.of(service, backend).weight(backend);
            Member { id, address: backend.address, weight }
        });
        Rota::new(scheduler(service, v6), members.collect(), maglevs)
    })
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

/// Ports that go to one backend. Sessions at one that was removed may still open data connections; but a port that
/// is another backend's now is that one's.
fn data_ports(vips: &mut [Vip], registry: &Registry) {
    let backends: Vec<_> = here(registry.backends()).collect();
    // The first one that fits counts.
    for (id, backend) in backends.into_iter().rev() {
        let Some((ports, on)) = &backend.data else { continue };
        for &vip in on {
            vips[usize::from(vip)].passive.push((ports.clone(), id));
        }
    }
}

fn nat(rule: &config::NatRule, registry: &Registry, lasting: &mut Lasting) -> Option<NatRule> {
    let to = registry.vips().iter().position(|vip| vip.what.held.address == rule.to)?;
    Some(NatRule {
        from: rule.from,
        protocol: rule.protocol,
        source_port: rule.source_port,
        to: to as VipId,
        hits: lasting.hits(rule),
    })
}

/// Enters the owner of each address. Clients and servers may not be told apart by an address that is also
/// ours, so VIPs come before SNAT addresses, and both before backends. What is gone has none.
fn own(tables: &mut Tables, registry: &Registry, view: &View) {
    let Tables { services, addresses, .. } = tables;
    for (_, backend) in here(registry.backends()) {
        for &address in [&backend.address].into_iter().chain(&backend.aliases) {
            let server = backend.server;
            match services[usize::from(backend.service)].mode {
                Mode::Dsr => {}
                Mode::Nat => addresses.insert(address, Owner::Routed(server)),
                // In another service it is routed.
                Mode::Snat(_) if addresses.get(address) == Some(Owner::Routed(server)) => {}
                Mode::Snat(_) => addresses.insert(address, Owner::Answering(server)),
            }
        }
    }
    for (id, held) in here(registry.snat()) {
        addresses.insert(held.address, Owner::Snat(id));
    }
    for (id, vip) in here(registry.vips()) {
        tables.set_live(id, view.live.contains(&vip.held.address));
    }
}

#[cfg(test)]
mod tests;
