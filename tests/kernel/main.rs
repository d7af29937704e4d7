//! Tidegate's kernel state: TAPs, addresses, neighbours, ingress block, and their repair. Each test runs in its own
//! network namespace and needs root.

mod carrier;
mod fake_worker;
mod ingress_block;
mod keeper;
mod probe_routing;
mod routes;
mod slowpath;
mod space;
mod tap;
mod watch;

use control::active_config::ActiveConfig;
use control::config::{self, Config, Written};
use control::kernel::{Kernel, KernelError, Traffic, Wanted};
use control::registry::Registry;
use engine::net::route_table::Unresolved;
use fake_worker::Wire;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use wire::ethernet::Mac;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const CLIENT: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 7]), Ipv4Addr::new(10, 0, 0, 7));
const GATE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const GATEWAY: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 9]), Ipv4Addr::new(10, 0, 0, 1));
const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 100);
const SNAT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 101);
const NEAR: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 30]), Ipv4Addr::new(10, 0, 0, 30));
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 30);

fn config(device: &str, more: &str) -> Config {
    let text = format!(
        r#"
        [[interface]]
        name = "lan"
        device = "{device}"
        address = ["{GATE}/24"]
        gateway = "{}"
        mtu = 1400
        [[service]]
        name = "pxe"
        protocol = "tftp"
        vip = "{VIP}"
        snat = ["{SNAT}"]
        [[service.backend]]
        name = "near"
        address = "{}"
        [[service.backend]]
        name = "far"
        address = "{FAR}"
        {more}
        "#,
        GATEWAY.1, NEAR.1
    );
    config::parse("test", &text).unwrap_or_else(|faults| panic!("{faults}"))
}

fn pci() -> Config {
    config("0000:03:00.0", "")
}

fn on_veth() -> Config {
    config("net_af_packet0,iface=v0", "")
}

/// The kernel state for this configuration.
fn wanted(config: &Config) -> Wanted {
    let written = Written { config: config.clone(), table: toml::Table::new() };
    ActiveConfig::first(written, &Registry::default()).expect("few enough").wanted()
}

async fn begin(config: &Config) -> Result<Kernel, KernelError> {
    Kernel::start(config, &[MAC], wanted(config), Unresolved::default()).await
}

async fn start() -> (Kernel, Wire, Arc<Traffic>) {
    let mut kernel = begin(&pci()).await.expect("the kernel takes all of it");
    let wire = Wire::new();
    let traffic = kernel.carry(0, vec![wire.rings.clone()], Arc::clone(&wire.pool));
    kernel.follow_links(|_| true).await.expect("nothing is gone");
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
