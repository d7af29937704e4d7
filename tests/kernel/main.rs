//! Tidegate in the kernel: TAPs, addresses, neighbours, the cut. Each test runs in a network
//! namespace of its own and needs root.

mod cut;
mod slowpath;
mod space;
mod station;
mod tap;
mod watch;

use control::config::{
    Backend, Config, Control, Dataplane, Device, Held, Interface, Mode, Service, Written,
};
use control::in_force::InForce;
use control::kernel::{Kernel, KernelError, Traffic, Wanted};
use control::registry::Registry;
use engine::policy::{Access, OptionLimits};
use engine::select::rota::Scheduler;
use station::Wire;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use wire::ethernet::Mac;
use wire::vlan::Vlans;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const CLIENT: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 7]), Ipv4Addr::new(10, 0, 0, 7));
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const GATEWAY: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 9]), Ipv4Addr::new(10, 0, 0, 1));
const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
const SNAT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 101);
const NEAR: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 30]), Ipv4Addr::new(10, 0, 0, 30));
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 30);

fn config(device: Device) -> Config {
    let backend = |name: &str, address| Backend {
        name: name.into(),
        address,
        aliases: vec![],
        mac: None,
        weight: 1,
        max_transfers: None,
        interface: 0,
    };
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
        interfaces: vec![Interface {
            name: "lan".into(),
            device,
            vlans: Vlans::NONE,
            addresses: vec!["10.0.0.2/24".parse().expect("a subnet")],
            gateways: vec![GATEWAY.1.into()],
            mtu: 1400,
            queues: None,
            rx_ring: 1024,
            tx_ring: 1024,
            burst: 32,
        }],
        services: vec![Service {
            name: "pxe".into(),
            vips: vec![Held { address: VIP.into(), interface: 0 }],
            port: 69,
            scheduler: Scheduler::default(),
            slow_start: None,
            mode: Mode::Snat(vec![Held { address: SNAT.into(), interface: 0 }]),
            idle_timeout: Duration::from_secs(60),
            persistence: None,
            broadcast: false,
            failover: true,
            access: Access::default(),
            options: OptionLimits::default(),
            rules: vec![],
            health: None,
            backends: vec![backend("near", NEAR.1.into()), backend("far", FAR.into())],
        }],
    }
}

fn pci() -> Config {
    config(Device::Pci("0000:03:00.0".into()))
}

fn on_veth() -> Config {
    config(Device::Virtual { name: "net_af_packet0".into(), arguments: "iface=v0".into() })
}

/// What the kernel is to do for this configuration.
fn wanted(config: &Config) -> Wanted {
    let written = Written { config: config.clone(), table: toml::Table::new() };
    InForce::first(written, &Registry::default()).expect("few enough").registry.wanted()
}

async fn begin(config: &Config) -> Result<Kernel, KernelError> {
    Kernel::start(config, &[MAC], wanted(config)).await
}

async fn start() -> (Kernel, Wire, Arc<Traffic>) {
    let mut kernel = begin(&pci()).await.expect("the kernel takes all of it");
    let wire = Wire::new();
    let traffic = kernel.carry(0, vec![wire.rings.clone()], Arc::clone(&wire.pool));
    (kernel, wire, traffic)
}

/// Runs `body` as control runs: on one thread.
fn block_on(body: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(body);
}

/// Waits until `true_yet` says so, for twenty seconds at most.
async fn until(what: &str, mut true_yet: impl FnMut() -> bool) {
    let start = Instant::now();
    while !true_yet() {
        assert!(start.elapsed() < Duration::from_secs(20), "in vain: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
