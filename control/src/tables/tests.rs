use super::*;
use crate::config::sample::{SOUND, pair, parsed};
use crate::config::{Config, Control, Dataplane, Device, Held, Written};
use crate::kernel::Route;
use crate::registry::Room;
use crate::standing::Standings;
use engine::own::uses::Uses;
use engine::select::rota::Scheduler;
use engine::select::slow_start::SlowStart;
use engine::tables::{BackendId, Hop};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use wire::vlan::Vlans;

const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100));
const OTHER_VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 200));
const SNAT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 101));
const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn server(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, n])
}

fn service(vip: IpAddr, port: u16, mode: config::Mode, servers: &[(u8, u16)]) -> config::Service {
    config::Service {
        name: format!("{vip}:{port}"),
        protocol: config::Protocol::Tftp,
        vips: vec![Held { address: vip, interface: 0 }],
        port,
        mode,
        scheduler: Scheduler::default(),
        slow_start: None,
        idle_timeout: Duration::from_secs(60),
        transitory_timeout: Duration::from_secs(60),
        persistence: None,
        broadcast: false,
        failover: true,
        access: Access::default(),
        options: OptionLimits::default(),
        rules: vec![],
        health: None,
        backends: servers
            .iter()
            .map(|&(n, weight)| config::Backend {
                name: format!("s{n}"),
                address: server(n),
                aliases: vec![],
                mac: None,
                also_from: vec![],
                weight,
                max_transfers: None,
                passive_ports: None,
                interface: 0,
            })
            .collect(),
    }
}

fn rota(scheduler: Scheduler, members: &[(BackendId, IpAddr, u16)]) -> Rota {
    let members = members.iter().map(|&(id, address, weight)| Member { id, address, weight });
    Rota::new(scheduler, members.collect(), &mut Maglevs::default())
}

fn snat(addresses: &[IpAddr]) -> config::Mode {
    let pool = addresses.iter().map(|&address| Held { address, interface: 0 });
    config::Mode::Snat(pool.collect())
}

fn config(services: Vec<config::Service>) -> Config {
    Config {
        dataplane: Dataplane {
            workers: vec![1],
            hugepages: false,
            memory_mib: 64,
            max_flows: 1024,
            failover_rate: 50_000,
            eal_args: vec![],
        },
        control: Control { socket: PathBuf::from("/nowhere") },
        interfaces: vec![config::Interface {
            name: "lan".into(),
            device: Device::Pci("0000:03:00.0".into()),
            vlans: Vlans::NONE,
            addresses: vec![],
            gateways: vec![],
            mtu: 9000,
            queues: None,
            rx_ring: 1024,
            tx_ring: 1024,
            burst: 32,
        }],
        services,
        nat: vec![],
    }
}

fn in_force(config: Config) -> InForce {
    let written = Written { config, table: toml::Table::new() };
    InForce::first(written, &Registry::default()).expect("there are enough numbers")
}

/// The first snapshot.
fn first(config: Config, view: &View) -> Tables {
    next(config, view, &mut Lasting::default(), 0)
}

/// A later one.
fn next(config: Config, view: &View, lasting: &mut Lasting, now: u32) -> Tables {
    build(&in_force(config), &[MAC], view, &Standings::default(), lasting, Tick(now))
}

fn of(config: Config) -> Tables {
    first(config, &View::default())
}

fn tables(services: Vec<config::Service>) -> Tables {
    of(config(services))
}

#[test]
fn interfaces_get_their_macs() {
    let tables = tables(vec![]);
    assert_eq!(tables.interfaces.len(), 1);
    assert_eq!((tables.interfaces[0].mac, tables.interfaces[0].mtu), (MAC, 9000));
}

#[test]
fn services_on_one_vip_share_it() {
    let tables = tables(vec![
        service(VIP, 69, config::Mode::Nat, &[(30, 1)]),
        service(OTHER_VIP, 69, config::Mode::Dsr, &[(31, 1)]),
        service(VIP, 1069, config::Mode::Dsr, &[(32, 1)]),
    ]);
    let vips: Vec<_> = tables.vips.iter().map(|vip| (vip.address, &vip.udp)).collect();
    assert_eq!(vips, [(VIP, &vec![(69, 0), (1069, 2)]), (OTHER_VIP, &vec![(69, 1)])]);
}

#[test]
fn backends_lie_in_one_run_a_service_and_are_dealt_by_weight() {
    let tables = tables(vec![
        service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 0)]),
        service(OTHER_VIP, 69, config::Mode::Nat, &[(30, 2), (32, 1)]),
    ]);
    let all: Vec<_> = tables.backends.iter().map(|b| (b.address, b.service)).collect();
    assert_eq!(all, [(server(30), 0), (server(31), 0), (server(30), 1), (server(32), 1)]);
    assert_eq!(tables.backends.iter().map(|b| b.server).collect::<Vec<_>>(), [0, 1, 0, 2]);
    assert_eq!(tables.rotas[0][0], rota(Scheduler::RoundRobin, &[(0, server(30), 1)]));
    let second = [(2, server(30), 2), (3, server(32), 1)];
    assert_eq!(tables.rotas[1][0], rota(Scheduler::RoundRobin, &second));
}

#[test]
fn a_hash_is_of_the_backends_whatever_their_order() {
    for scheduler in [Scheduler::SourceHash, Scheduler::FileHash] {
        let mut written = service(VIP, 69, config::Mode::Nat, &[(31, 2), (30, 1)]);
        written.scheduler = scheduler;
        let members = [(1, server(30), 1), (0, server(31), 2)];
        assert_eq!(tables(vec![written]).rotas[0][0], rota(scheduler, &members));
    }
}

/// While the configuration names it, whatever else changes.
#[test]
fn a_backend_s_places_outlive_the_snapshot() {
    let mut lasting = Lasting::default();
    let mut caps = |servers: &[_], most| {
        let mut written = service(VIP, 69, config::Mode::Nat, servers);
        written.backends[0].max_transfers = Some(most);
        let other = service(OTHER_VIP, 69, config::Mode::Nat, servers);
        let config = config(vec![other, written]);
        let tables = next(config, &View::default(), &mut lasting, 0);
        tables.backends.into_iter().filter_map(|backend| backend.cap).collect::<Vec<_>>()
    };
    let before = caps(&[(30, 1)], 1);
    assert!(before[0].take());
    let after = caps(&[(30, 2), (31, 1)], 2);
    assert_eq!((before.len(), after.len()), (1, 1));
    assert!(after[0].is_same(&before[0]));
    assert!(after[0].take() && !after[0].take());
    assert!(!caps(&[(31, 1)], 1)[0].is_same(&before[0]));
}

#[test]
fn a_backend_that_comes_back_starts_slowly_where_its_service_says_so() {
    let mut lasting = Lasting::default();
    let mut written = service(VIP, 69, config::Mode::Nat, &[(30, 1)]);
    let other = service(OTHER_VIP, 69, config::Mode::Nat, &[(30, 1)]);
    written.slow_start = Some(Duration::from_secs(30));
    let config = config(vec![written, other]);
    let hop = Hop { interface: 0, mac: MAC };
    let there = View { hops: HashMap::from([(server(30), hop)]), ..View::default() };
    let mut seen = |view: &View, now| {
        let tables = next(config.clone(), view, &mut lasting, now);
        [0, 1].map(|id| tables.backends[id].slow_start)
    };
    assert_eq!(seen(&there, 1), [None; 2]);
    assert_eq!(seen(&View::default(), 2), [None; 2]);
    let slow = Some(SlowStart { since: Tick(3), ticks: 300 });
    assert_eq!(seen(&there, 3), [slow, None]);
}

#[test]
fn networks_that_stay_together_are_dealt_out_by_hash() {
    let mut written = service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 1)]);
    let length = Duration::from_secs(100);
    written.persistence = Some(config::Persistence { length, prefixes: [24, 128] });
    let tables = tables(vec![written]);
    let members = [(0, server(30), 1), (1, server(31), 1)];
    assert_eq!(tables.rotas[0], [rota(Scheduler::SourceHash, &members), Rota::default()]);
    let persistence = Persistence { ticks: 1000, prefixes: [24, 128] };
    assert_eq!(tables.services[0].persistence, Some(persistence));
}

#[test]
fn pools_share_their_addresses() {
    let second = server(102);
    let tables = tables(vec![
        service(VIP, 69, snat(&[SNAT]), &[(30, 1)]),
        service(OTHER_VIP, 69, snat(&[second, SNAT]), &[(31, 1)]),
    ]);
    let addresses: Vec<_> = tables.snat.iter().map(|one| one.address).collect();
    assert_eq!(addresses, [SNAT, second]);
    assert_eq!(tables.services[0].mode, Mode::Snat(vec![0]));
    assert_eq!(tables.services[1].mode, Mode::Snat(vec![1, 0]));
}

#[test]
fn backends_that_answer_through_us_own_their_address() {
    let tables = tables(vec![
        service(VIP, 69, config::Mode::Nat, &[(30, 1)]),
        service(VIP, 70, config::Mode::Dsr, &[(31, 1)]),
        service(VIP, 71, snat(&[SNAT]), &[(32, 1)]),
    ]);
    let owner = |address| tables.addresses.get(address);
    assert_eq!(owner(server(30)), Some(Owner::Routed(0)));
    assert_eq!(owner(server(31)), None);
    assert_eq!(owner(server(32)), Some(Owner::Answering(2)));
    assert_eq!(owner(VIP), Some(Owner::Down));
    assert_eq!(owner(SNAT), Some(Owner::Snat(0)));
}

#[test]
fn our_addresses_come_before_a_backends() {
    let tables = tables(vec![
        service(VIP, 69, config::Mode::Nat, &[(200, 1), (101, 1)]),
        service(OTHER_VIP, 69, snat(&[SNAT]), &[(30, 1)]),
    ]);
    assert_eq!(tables.addresses.get(OTHER_VIP), Some(Owner::Down));
    assert_eq!(tables.addresses.get(SNAT), Some(Owner::Snat(0)));
}

#[test]
fn clients_go_to_servers_of_their_version_unless_there_is_a_pool() {
    let rotas = |mode| {
        let mut written = service(VIP, 69, mode, &[(30, 1), (31, 1)]);
        written.backends[1].address = "fd00::31".parse().unwrap();
        tables(vec![written]).rotas[0].clone()
    };
    let (v4, v6) = ((0, server(30), 1), (1, "fd00::31".parse().unwrap(), 1));
    let turns = |members: &[_]| rota(Scheduler::RoundRobin, members);
    assert_eq!(rotas(config::Mode::Nat), [turns(&[v4]), turns(&[v6])]);
    assert_eq!(rotas(config::Mode::Dsr), [turns(&[v4]), turns(&[v6])]);
    assert_eq!(rotas(snat(&[SNAT])), [turns(&[v4, v6]), turns(&[v4, v6])]);
}

#[test]
fn everybody_s_addresses_are_for_the_vip_that_says_so() {
    let mut written = service(VIP, 69, config::Mode::Nat, &[(30, 1)]);
    written.broadcast = true;
    let mut config = config(vec![written]);
    config.interfaces[0].addresses =
        ["10.0.0.2/24", "10.9.0.0/31"].map(|net| net.parse().unwrap()).into();
    let tables = of(config);
    assert_eq!(tables.interfaces[0].broadcast, Some(0));
    for address in ["255.255.255.255", "10.0.0.255"] {
        let owner = tables.addresses.get(address.parse().unwrap());
        assert_eq!(owner, Some(Owner::Everybody), "{address}");
    }
    assert_eq!(tables.addresses.get("10.9.0.1".parse().unwrap()), None, "the other end");
}

#[test]
fn times_are_in_ticks() {
    let mut written = service(VIP, 69, config::Mode::Nat, &[(30, 1)]);
    let length = Duration::from_secs(100);
    written.persistence = Some(config::Persistence { length, prefixes: [32, 128] });
    let tables = tables(vec![written]);
    assert_eq!(tables.services[0].idle_timeout, 600);
    assert_eq!(tables.services[0].persistence, Some(Persistence::of_clients(1000)));
}

#[test]
fn an_alias_is_its_servers_where_answers_come_through_us() {
    let alias = server(40);
    let owner = |mode| {
        let mut written = service(VIP, 69, mode, &[(30, 1), (31, 1)]);
        written.backends[1].aliases = vec![alias];
        let tables = tables(vec![written]);
        assert_eq!(tables.backends[1].aliases, [alias]);
        tables.addresses.get(alias)
    };
    assert_eq!(owner(config::Mode::Nat), Some(Owner::Routed(1)));
    let pool = vec![Held { address: SNAT, interface: 0 }];
    assert_eq!(owner(config::Mode::Snat(pool)), Some(Owner::Answering(1)));
}

#[test]
fn a_fixed_mac_is_a_hop_that_the_kernel_is_not_asked_for() {
    let mut written = service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 1)]);
    written.backends[1].mac = Some(MAC);
    let hops: Vec<_> = tables(vec![written]).backends.iter().map(|b| b.hop).collect();
    assert_eq!(hops, [None, Some(Hop { interface: 0, mac: MAC })]);
}

#[test]
fn the_view_makes_vips_live_and_gives_hops_and_changes_nothing_else() {
    let config = config(vec![
        service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 1)]),
        service(OTHER_VIP, 69, config::Mode::Nat, &[(30, 1)]),
    ]);
    let hop = Hop { interface: 0, mac: Mac([2, 0, 0, 0, 0, 30]) };
    let hops = HashMap::from([(server(30), hop)]);
    let view = View { live: HashSet::from([OTHER_VIP]), hops, ..View::default() };
    let tables = first(config.clone(), &view);
    assert_eq!([0, 1].map(|vip| tables.is_live(vip)), [false, true]);
    let hops: Vec<_> = tables.backends.iter().map(|backend| backend.hop).collect();
    assert_eq!(hops, [Some(hop), None, Some(hop)]);
    let mut before = of(config);
    assert_eq!(before.rotas, tables.rotas);
    before.set_live(1, true);
    assert_eq!(before.addresses, tables.addresses);
}

#[test]
fn an_order_s_weight_is_before_the_file_s() {
    let written = config(vec![service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 1)])]);
    let mut standings = Standings::default();
    let rota = |standings: &Standings| {
        let (in_force, lasting) = (in_force(written.clone()), &mut Lasting::default());
        let tables = build(&in_force, &[MAC], &View::default(), standings, lasting, Tick(0));
        tables.rotas[0][0].members().iter().map(|one| (one.id, one.weight)).collect::<Vec<_>>()
    };
    let name = &written.services[0].name;
    standings.entry(name, "s31").weight = Some(2);
    assert_eq!(rota(&standings), [(0, 1), (1, 2)]);
    standings.entry(name, "s31").weight = Some(0);
    assert_eq!(rota(&standings), [(0, 1)]);
    standings.entry(name, "s30").weight = Some(0);
    assert!(rota(&standings).is_empty());
}

fn after_that(in_force: &InForce, view: &View) -> Tables {
    build(in_force, &[MAC], view, &Standings::default(), &mut Lasting::default(), Tick(0))
}

/// Services of all protocols on one VIP: FTP by both backends, and the others by the first.
fn of_all_protocols() -> String {
    let others = [("ssh", "tcp", "port = 22"), ("names", "udp", "port = 53")];
    let others = others.into_iter().chain([("rest", "any", "mode = \"dsr\"")]);
    let others = others.map(|(name, protocol, keys)| {
        format!(
            "[[service]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nvip = \"10.0.0.100\"\n{keys}\n\
             [[service.backend]]\nname = \"one\"\naddress = \"10.0.0.30\"\n"
        )
    });
    let ftp = pair()
        .replace("\"tftp\"", "\"ftp\"\ndata_port = 20\ntransitory_timeout = \"9s\"")
        .replace("\"one\"", "\"one\"\npassive_ports = \"50000-50099\"")
        .replace("\"two\"", "\"two\"\npassive_ports = \"50100-50199\"");
    let rule = "[[nat]]\nfrom = \"10.20.0.0/24\"\nprotocol = \"tcp\"\nsource_port = 20\nto = \"10.0.0.100\"\n";
    format!("{ftp}{}{rule}", others.collect::<String>())
}

#[test]
fn each_protocol_has_its_ports_of_a_vip() {
    let tables = of(parsed(&of_all_protocols()));
    let vip = &tables.vips[0];
    assert_eq!((&vip.tcp[..], &vip.udp[..]), (&[(21, 0), (22, 1)][..], &[(53, 2)][..]));
    assert_eq!(vip.any, Some(3));
    let ftp = Protocol::Ftp(Ftp { data_port: Some(20), foreign_data: false });
    let protocols: Vec<_> = tables.services.iter().map(|service| service.protocol).collect();
    assert_eq!(protocols, [ftp, Protocol::Tcp, Protocol::Udp, Protocol::Any]);
    let times = tables.services.iter().map(|one| (one.idle_timeout, one.transitory_timeout));
    assert_eq!(times.take(2).collect::<Vec<_>>(), [(74_400, 90), (74_400, 2400)]);
    let owned = |port| vip.passive.iter().find(|(ports, _)| ports.contains(&port)).map(|one| one.1);
    assert_eq!([50_000, 50_099, 50_100, 50_199].map(owned), [Some(0), Some(0), Some(1), Some(1)]);
    assert_eq!([49_999, 50_200].map(owned), [None; 2]);
}

/// A session at a removed server may still open data connections, but not on ports that are another one's by now.
#[test]
fn data_ports_of_a_removed_backend_are_its_own_until_another_has_them() {
    let before = in_force(parsed(&of_all_protocols()));
    let after = |text: &str| {
        let written = Written { config: parsed(text), table: toml::Table::new() };
        let tables = after_that(&before.next(written, Room::ANY).expect("room"), &View::default());
        let vip = tables.vips.into_iter().next().expect("a VIP");
        move |port| vip.passive.iter().find(|(ports, _)| ports.contains(&port)).map(|one| one.1)
    };
    let moved =
        of_all_protocols().replace("\"two\"", "\"three\"").replace("10.0.0.31", "10.0.0.33");
    let id = before.registry.backends().len() as BackendId;
    let same_ports = after(&moved);
    assert_eq!([50_000, 50_100].map(&same_ports), [Some(0), Some(id)]);
    let other_ports = after(&moved.replace("50100-50199", "50150-50199"));
    assert_eq!([50_100, 50_149, 50_150].map(&other_ports), [Some(1), Some(1), Some(id)]);
}

#[test]
fn routes_are_the_kernel_s() {
    let route = |to: &str, interface, mac| {
        let to = to.parse().expect("a network");
        Route { to, gateway: Some(server(1)), interface, mac }
    };
    let seen = |mac| {
        let far = [route("10.9.0.0/16", Some(0), mac), route("10.9.9.0/24", None, mac)];
        View { routes: far.into(), ..View::default() }
    };
    let mut lasting = Lasting::default();
    let mut hops = |view: &View| {
        let tables = next(parsed(&of_all_protocols()), view, &mut lasting, 0);
        [[10, 9, 1, 1], [10, 9, 9, 1], [10, 8, 1, 1]].map(|to| tables.routes.hop(to.into()))
    };
    let (known, hop) = (seen(Some(MAC)), Hop { interface: 0, mac: MAC });
    assert_eq!(hops(&seen(None)), [None; 3]);
    assert_eq!(hops(&known), [Some(hop), None, None], "by none of ours is none");
    assert_eq!(hops(&known), [Some(hop), None, None]);
    assert_eq!(hops(&View::default()), [None; 3]);
}

#[test]
fn whom_workers_look_for_outlives_snapshots() {
    let mut lasting = Lasting::default();
    let tables = next(parsed(&of_all_protocols()), &View::default(), &mut lasting, 0);
    tables.sought.note(server(30));
    let _ = next(parsed(&of_all_protocols()), &View::default(), &mut lasting, 1);
    assert_eq!(lasting.sought.take().collect::<Vec<_>>(), [server(30)]);
    assert_eq!(tables.sought.take().count(), 0);
}

#[test]
fn a_rule_keeps_its_hits_as_long_as_it_says_the_same() {
    let mut lasting = Lasting::default();
    let mut rules = |text: &str| next(parsed(text), &View::default(), &mut lasting, 0).nat;
    let before = rules(&of_all_protocols());
    let [rule] = &before[..] else { panic!("one rule") };
    assert_eq!((rule.protocol, rule.source_port, rule.to), (6, Some(20), 0));
    rule.hits.fetch_add(7, Relaxed);
    let hits = |rules: Vec<NatRule>| rules[0].hits.load(Relaxed);
    assert_eq!(hits(rules(&of_all_protocols().replace("\"two\"", "\"three\""))), 7);
    assert_eq!(hits(rules(&of_all_protocols().replace("source_port = 20", "source_port = 21"))), 0);
    assert_eq!(hits(rules(&of_all_protocols())), 7, "it is there again");
    let none = next(parsed(SOUND), &View::default(), &mut lasting, 0);
    assert!(none.nat.is_empty() && none.has_rules && none.has_connections, "some may still run");
}

/// What was removed, as long as its transfers run, and after that.
#[test]
fn what_was_removed_finishes_and_gets_nothing_new() {
    let one = service(VIP, 69, snat(&[SNAT]), &[(30, 1), (31, 1)]);
    let mut two = service(OTHER_VIP, 70, config::Mode::Nat, &[(32, 1)]);
    two.idle_timeout = Duration::from_secs(7);
    two.access.allow_clients = vec!["10.0.0.0/8".parse().unwrap()];
    let before = in_force(config(vec![one.clone(), two]));
    let fewer = service(VIP, 69, snat(&[server(102)]), &[(31, 1)]);
    let fewer = config::Service { name: one.name, ..fewer };
    let written = Written { config: config(vec![fewer]), table: toml::Table::new() };
    let mut after = before.next(written, Room::ANY).expect("room");
    let hop = Hop { interface: 0, mac: Mac([2, 0, 0, 0, 0, 30]) };
    let hops = [30, 31, 32].map(|n| (server(n), hop));
    let live = HashSet::from([VIP, OTHER_VIP]);
    let view = View { live, hops: HashMap::from(hops), ..View::default() };
    let tables = after_that(&after, &view);
    let duties: Vec<_> = tables.backends.iter().map(|b| (b.hop, b.duty)).collect();
    assert_eq!(
        duties,
        [Duty::Draining, Duty::Serving, Duty::Draining].map(|duty| (Some(hop), duty))
    );
    let left = rota(Scheduler::RoundRobin, &[(1, server(31), 1)]);
    assert_eq!(tables.rotas, [[left.clone(), left], Default::default()]);
    assert!(tables.is_live(1) && tables.service(1, wire::ip::PROTOCOL_UDP, 70).is_none());
    assert_eq!((tables.services[1].port, tables.services[1].idle_timeout), (70, 70));
    assert!(!tables.services[1].access.admits("11.0.0.1".parse().unwrap()));
    let owner = |tables: &Tables, address| tables.addresses.get(address);
    assert_eq!(owner(&tables, SNAT), Some(Owner::Snat(0)));
    assert_eq!(owner(&tables, server(102)), Some(Owner::Snat(1)));
    assert_eq!(owner(&tables, server(32)), Some(Owner::Routed(2)));
    assert_eq!(after.registry.wanted().held.len(), 4);

    let none = Uses::of(&tables);
    let mut some = none.clone();
    some.vips[1] = true;
    assert_eq!(after.registry.let_go(&some), [SNAT]);
    assert!(after.registry.is_anything_leaving(), "a transfer of the VIP's");
    assert_eq!(after.registry.let_go(&none), [OTHER_VIP]);
    assert!(!after.registry.is_anything_leaving());
    let tables = after_that(&after, &view);
    for gone in [SNAT, OTHER_VIP, server(30), server(32)] {
        assert_eq!(owner(&tables, gone), None, "{gone}");
    }
    let wanted = after.registry.wanted();
    assert_eq!(
        (wanted.held.len(), wanted.vips, wanted.backends),
        (2, [VIP].into(), [server(31)].into())
    );
}
