mod addresses;
mod carry_over;
mod choice;
mod services;
mod view;

use super::*;
use crate::backend_status::BackendStatuses;
use crate::config::sample::{SOUND, pair, parsed};
use crate::config::{Config, Control, Dataplane, Device, Held, Written};
use crate::kernel::Route;
use crate::registry::{Capacity, Registry};
use engine::net::address_map::Owner;
use engine::scheduler::backend_group::{BackendGroup, Scheduler};
use engine::scheduler::maglev::Maglevs;
use engine::scheduler::member::Member;
use engine::scheduler::persistence::Persistence;
use engine::scheduler::slow_start::SlowStart;
use engine::snapshot::access::Access;
use engine::snapshot::option_limits::OptionLimits;
use engine::state::references::References;
use engine::types::id::BackendId;
use engine::types::mode::Mode;
use engine::types::next_hop::NextHop;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
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
        protocol: Protocol::Tftp,
        vips: vec![Held { address: vip, interface: 0 }],
        port,
        mode,
        addresses: config::Addresses::Ours,
        announce: config::Announce::default(),
        scheduler: Scheduler::default(),
        slow_start: None,
        idle_timeout: Duration::from_secs(60),
        transitory_timeout: Duration::from_secs(60),
        drain_timeout: None,
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

fn group(scheduler: Scheduler, members: &[(u16, IpAddr, u16)]) -> BackendGroup {
    let members =
        members.iter().map(|&(id, address, weight)| Member { id: BackendId(id), address, weight });
    BackendGroup::new(scheduler, members.collect(), &mut Maglevs::default())
}

fn snat(addresses: &[IpAddr]) -> config::Mode {
    let pool = addresses.iter().map(|&address| Held { address, interface: 0 });
    config::Mode::Snat(pool.collect())
}

/// The kernel's state, when it holds these addresses.
fn holding(addresses: &[IpAddr]) -> KernelView {
    let held = addresses.iter().map(|&address| (Held { address, interface: 0 }, None));
    KernelView { held: held.collect(), ..KernelView::default() }
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
        control: Control {
            socket: PathBuf::from("/nowhere"),
            metrics: None,
            web: None,
            http_access: None,
        },
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
        logs: vec![],
        pair: None,
    }
}

fn active(config: Config) -> ActiveConfig {
    let written = Written { config, table: toml::Table::new() };
    ActiveConfig::first(written, &Registry::default()).expect("there are enough numbers")
}

/// The first snapshot of a configuration.
fn first(config: Config, view: &KernelView) -> Snapshot {
    next(config, view, &mut CarryOver::default(), 0)
}

/// A later snapshot.
fn next(config: Config, view: &KernelView, carry_over: &mut CarryOver, now: u32) -> Snapshot {
    build(&active(config), &[MAC], view, &BackendStatuses::default(), carry_over, Tick(now))
}

fn of(config: Config) -> Snapshot {
    first(config, &KernelView::default())
}

fn snapshot(services: Vec<config::Service>) -> Snapshot {
    of(config(services))
}

fn after_that(active: &ActiveConfig, view: &KernelView) -> Snapshot {
    build(active, &[MAC], view, &BackendStatuses::default(), &mut CarryOver::default(), Tick(0))
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
