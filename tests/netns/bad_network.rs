//! A network between clients and the gate that loses packets, repeats some and lets others be late: files
//! arrive whole, by two workers.

use crate::client::{Habits, fetch};
use crate::daemon::{Daemon, Setup};
use crate::peers::{self, Client};
use crate::wiring::{Wiring, plug};
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP, VIPS, VIPS_V6};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tun_rs::AsyncDevice;

/// How often a fault happens to a packet, of a hundred.
const LOST: u32 = 2;
const REPEATED: u32 = 3;
const LATE: u32 = 5;
/// Milliseconds that a packet is late at most: others overtake it.
const LATEST: u64 = 20;

/// Both of the client's cables are bad ones.
fn bad_cables(lab: &Lab) -> [Wiring; 2] {
    let addresses: String =
        ["c0", "c1"].map(|end| lab.must("client", &format!("ip -o address show {end}"))).concat();
    lab.must("client", "ip link delete c0");
    lab.must("client", "ip link delete c1");
    let cables = [[("client", "c0"), ("gate", "dev0")], [("client", "c1"), ("switch", "p-client")]]
        .map(|ends| cable(lab, ends));
    lab.must("switch", "ip link set p-client master br0");
    for words in addresses.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
        let [_, end, family, address, ..] = words[..] else { panic!("{words:?}") };
        let nodad = if family == "inet6" { "nodad" } else { "" };
        lab.must("client", &format!("sysctl -q -w net.ipv6.conf.{end}.disable_ipv6=0"));
        lab.must("client", &format!("ip address add {address} dev {end} {nodad}"));
    }
    cables
}

fn cable(lab: &Lab, ends: [(&str, &'static str); 2]) -> Wiring {
    let devices = ends.map(|(name, end)| plug(lab, name, end)).into();
    Wiring::start(devices, |devices| {
        let ends: Vec<_> = devices.into_iter().map(Arc::new).collect();
        let tasks = [(0, 1), (1, 0)].map(|(from, to)| {
            carry(
                Arc::clone(&ends[from]),
                Arc::clone(&ends[to]),
                fastrand::Rng::with_seed(from as u64),
            )
        });
        tasks.into_iter().collect::<JoinSet<()>>()
    })
}

async fn carry(from: Arc<AsyncDevice>, to: Arc<AsyncDevice>, mut chance: fastrand::Rng) {
    let mut buffer = vec![0; 4096];
    while let Ok(len) = from.recv(&mut buffer).await {
        let frame = buffer[..len].to_vec();
        let mut strikes = |percent| chance.u32(..100) < percent;
        // Neighbours find each other: that is the kernels' affair.
        let is_udp =
            frame.get(23) == Some(&17) || frame.get(20).is_some_and(|next| matches!(next, 17 | 44));
        if is_udp && strikes(LOST) {
            continue;
        }
        if is_udp && strikes(REPEATED) {
            let _ = to.send(&frame).await;
        }
        if is_udp && strikes(LATE) {
            let (to, late) = (Arc::clone(&to), Duration::from_millis(chance.u64(1..=LATEST)));
            tokio::spawn(async move {
                tokio::time::sleep(late).await;
                let _ = to.send(&frame).await;
            });
        } else {
            // A device that is down takes nothing.
            let _ = to.send(&frame).await;
        }
    }
}

/// Servers that repeat themselves soon.
fn quick(lab: &Lab) -> Vec<kit::lab::Process> {
    let places = [("s1", "10.77.0.30"), ("s2", "10.77.0.31"), ("s1", DSR_VIP), ("s2", DSR_VIP)];
    let v6 = [
        ("s1", "[fd00:77::30]"),
        ("s2", "[fd00:77::31]"),
        ("s1", "[fd00:77::200]"),
        ("s2", "[fd00:77::200]"),
    ];
    let start = |(name, address)| peers::tftpd_hpa_with(lab, name, address, "--retransmit 100000");
    places.into_iter().chain(v6).map(start).collect()
}

fn two_workers() -> Setup {
    Setup { workers: "0, 1", device_arguments: ",qpairs=2", ipv6: true, ..Setup::default() }
}

fn fetches(lab: &Lab, vip: &str, port: u16, file: &str, habits: Habits) {
    let address = if vip == NAT_VIP { "10.78.0.10" } else { "10.77.0.10" };
    let from = format!("{address}:{port}").parse().expect("an endpoint");
    let server = format!("{vip}:69").parse().expect("an endpoint");
    let name = file.to_owned();
    let got = lab.inside("client", move || fetch(from, server, &name, habits)).join();
    let original = std::fs::read(lab.path("files").join(file)).expect("the file");
    assert!(
        got.expect("the client ends").as_ref() == Ok(&original),
        "{vip} {port} {file} {habits:?}"
    );
}

/// The client panics at an answer from a second TID.
#[test]
fn habits_of_clients() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("one", 20_000), ("two", 30_000)]);
    let _cables = bad_cables(&lab);
    let _servers = quick(&lab);
    let daemon = Daemon::start(&lab, two_workers());
    for vip in [NAT_VIP, SNAT_VIP] {
        // GRUB's port, and lwIP's.
        for (port, file) in [(25300, "one"), (25300, "two"), (25300, "one"), (69, "two")] {
            fetches(&lab, vip, port, file, Habits::default());
        }
        fetches(&lab, vip, 0, "one", Habits { acks_to_69: true, ..Habits::default() });
        fetches(&lab, vip, 2070, "two", Habits { asks_twice: true, ..Habits::default() });
    }
    for service in ["nat", "snat"] {
        // A request that comes again is no new transfer.
        assert_eq!(daemon.total(service, "started"), 6, "{service}");
    }
    daemon.finish();
}

/// Without atftp: it gives up when a grant of options comes twice, and when an ACK is lost twice.
#[test]
fn real_clients_in_every_mode_over_both_versions() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("image", 60_000), ("small", 15_000)]);
    let _cables = bad_cables(&lab);
    let _servers = quick(&lab);
    let daemon = Daemon::start(&lab, two_workers());
    for vip in VIPS.into_iter().chain(VIPS_V6) {
        Client::Tftp.get(&lab, vip, "image", None);
        // It waits for six seconds when an ACK is lost.
        Client::Curl.get(&lab, vip, "small", Some(1408));
        Client::Curl.put(&lab, vip, "small", Some(1408));
    }
    daemon.finish();
}
