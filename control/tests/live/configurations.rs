//! Configurations from small sets, so that they have much in common.

use control::active_config::ActiveConfig;
use control::config::{self, Config, Held, Mode, Persistence, Written};
use control::registry::Registry;
use engine::snapshot::rule::Rule;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;
use std::net::IpAddr;
use std::time::Duration;

/// The addresses: each can change its use from one configuration to the next.
pub const ADDRESSES: usize = 12;

pub fn address(n: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, 10 + n as u8])
}

pub fn held(n: usize) -> Held {
    Held { address: address(n), interface: 0 }
}

/// The common part of all configurations, and a service and a backend like all others.
fn common() -> Config {
    let text = r#"
        [dataplane]
        max_flows = 1024
        [[interface]]
        name = "lan"
        device = "0000:00:00.0"
        address = ["10.0.0.2/24"]
        [[service]]
        name = "a"
        protocol = "tftp"
        vip = "10.0.0.100"
        [[service.backend]]
        name = "s0"
        address = "10.0.0.30"
    "#;
    config::parse("test", text).unwrap_or_else(|faults| panic!("{faults}"))
}

pub fn backend(n: usize, aliases: Vec<IpAddr>, weight: u16) -> config::Backend {
    let like = common().services[0].backends[0].clone();
    config::Backend { name: format!("s{}", n % 5), address: address(n), aliases, weight, ..like }
}

pub fn service(name: &str, port: u16, vips: &[usize], mode: Mode) -> config::Service {
    let like = common().services[0].clone();
    let vips = vips.iter().map(|&n| held(n)).collect();
    config::Service { name: name.into(), vips, port, mode, backends: vec![], ..like }
}

pub fn written(services: Vec<config::Service>) -> Written {
    Written { config: Config { services, ..common() }, table: toml::Table::new() }
}

pub fn first(services: Vec<config::Service>) -> ActiveConfig {
    ActiveConfig::first(written(services), &Registry::default()).expect("room")
}

/// Services in a mode, with some of three servers.
fn some_service(name: &'static str) -> impl Strategy<Value = config::Service> {
    let servers = subsequence(vec![0, 1, 2, 3], 1..=4);
    let mode = prop_oneof![Just(Mode::Dsr), Just(Mode::Nat), Just(Mode::Snat(vec![]))];
    let port = prop_oneof![Just(69), Just(70)];
    (servers, mode, port, any::<(bool, bool, bool)>(), 0..3u16).prop_map(
        move |(servers, mode, port, (ruled, everybody, sticky), weight)| {
            let mut service = service(name, port, &[], mode);
            // Of places among the addresses, until these are dealt out.
            service.backends = servers.iter().map(|&n| backend(n, vec![], weight + 1)).collect();
            service.broadcast = everybody;
            service.persistence = sticky
                .then_some(Persistence { length: Duration::from_secs(100), prefixes: [32, 128] });
            if ruled {
                let rule = Rule { is_write: Some(true), ..Rule::default() };
                service.rules = vec![(rule, vec![0])];
            }
            service
        },
    )
}

/// A configuration from small sets. Each mode has its own VIPs and pools, and one that all share.
pub fn some_configuration() -> impl Strategy<Value = Vec<config::Service>> {
    let services = (some_service("a"), some_service("b"), some_service("c"));
    let chosen = subsequence(vec![0, 1, 2], 0..=3);
    let roles = Just((0..ADDRESSES).collect::<Vec<_>>()).prop_shuffle();
    // Roles mostly stay.
    let roles = prop_oneof![3 => Just((0..ADDRESSES).collect::<Vec<_>>()), 1 => roles];
    let shares = vec(any::<(bool, bool, bool)>(), 3);
    (services, chosen, roles, shares).prop_map(|((a, b, c), chosen, roles, shares)| {
        let all = [a, b, c];
        let mut services = vec![];
        for (n, (shares_vip, shares_pool, aliased)) in chosen.into_iter().map(|n| (n, shares[n])) {
            let mut service = all[n].clone();
            // On a shared VIP each has its own port.
            service.vips = vec![held(roles[n])];
            if shares_vip {
                service.vips.push(held(roles[3]));
                service.port = 1000 + n as u16;
            }
            // One VIP of an interface takes what is for everybody.
            service.broadcast &= !shares_vip;
            service.broadcast &= services.iter().all(|other: &config::Service| !other.broadcast);
            if let Mode::Snat(pool) = &mut service.mode {
                pool.push(held(roles[4 + n % 2]));
                pool.extend(shares_pool.then_some(held(roles[6])));
            }
            for backend in &mut service.backends {
                let n: usize = backend.name[1..].parse().expect("as made");
                backend.address = address(roles[7 + n]);
            }
            if aliased && service.mode != Mode::Dsr {
                service.backends[0].aliases = vec![address(roles[11])];
            }
            // An alias has one server.
            let of_another = |other: &config::Service| {
                let [one, other] = [&service, other].map(|service| &service.backends[0]);
                !other.aliases.is_empty() && other.address != one.address
            };
            if services.iter().any(of_another) {
                service.backends[0].aliases.clear();
            }
            services.push(service);
        }
        services
    })
}
