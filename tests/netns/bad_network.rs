//! A bad network between clients and the gate, with loss, duplicates and reordering: files arrive whole, with two
//! workers.

use crate::client::{Habits, fetch};
use crate::daemon::{Daemon, Setup};
use crate::ftp_clients::{Curl, DATA, DATA_V6, must_ftplib};
use crate::ftp_servers::{Ftpd, Manner};
use crate::ipv6::{CROSSING, OLD_FARM};
use crate::peers::{self, Client};
use crate::wiring::{Wiring, plug};
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP, VIPS, VIPS_V6};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::task::JoinSet;
use tun_rs::AsyncDevice;

/// Percentage of packets that each fault hits.
const LOST: u32 = 2;
const REPEATED: u32 = 3;
const LATE: u32 = 5;
/// Longest delay in milliseconds: other packets overtake.
const LATEST: u64 = 20;

/// Number of packets that each fault has hit.
#[derive(Default)]
struct Faults {
    lost: AtomicU32,
    repeated: AtomicU32,
    late: AtomicU32,
}

impl Faults {
    /// Asserts that the network was as bad as intended.
    fn check(&self) {
        for (name, count) in
            [("lost", &self.lost), ("repeated", &self.repeated), ("late", &self.late)]
        {
            assert!(count.load(Relaxed) > 0, "nothing was {name}");
        }
    }
}

/// Bad links for both of the client's interfaces.
fn bad_cables(lab: &Lab) -> (Arc<Faults>, [Wiring; 2]) {
    let faults = Arc::new(Faults::default());
    let addresses: String =
        ["c0", "c1"].map(|end| lab.must("client", &format!("ip -o address show {end}"))).concat();
    lab.must("client", "ip link delete c0");
    lab.must("client", "ip link delete c1");
    let cables = [[("client", "c0"), ("gate", "dev0")], [("client", "c1"), ("switch", "p-client")]]
        .map(|ends| cable(lab, ends, &faults));
    lab.must("switch", "ip link set p-client master br0");
    for words in addresses.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
        let [_, end, family, address, ..] = words[..] else { panic!("{words:?}") };
        let nodad = if family == "inet6" { "nodad" } else { "" };
        lab.must("client", &format!("sysctl -q -w net.ipv6.conf.{end}.disable_ipv6=0"));
        lab.must("client", &format!("ip address add {address} dev {end} {nodad}"));
    }
    (faults, cables)
}

fn cable(lab: &Lab, ends: [(&str, &'static str); 2], faults: &Arc<Faults>) -> Wiring {
    let faults = Arc::clone(faults);
    let devices = ends.map(|(name, end)| plug(lab, name, end)).into();
    Wiring::start(devices, move |devices| {
        let ends: Vec<_> = devices.into_iter().map(Arc::new).collect();
        let tasks = [(0, 1), (1, 0)].map(|(from, to)| {
            carry(
                Arc::clone(&ends[from]),
                Arc::clone(&ends[to]),
                fastrand::Rng::with_seed(from as u64),
                Arc::clone(&faults),
            )
        });
        tasks.into_iter().collect::<JoinSet<()>>()
    })
}

async fn carry(
    from: Arc<AsyncDevice>,
    to: Arc<AsyncDevice>,
    mut chance: fastrand::Rng,
    faults: Arc<Faults>,
) {
    let mut buffer = vec![0; 4096];
    while let Ok(len) = from.recv(&mut buffer).await {
        let frame = buffer[..len].to_vec();
        // Neighbour resolution is spared: it belongs to the kernels.
        let is_data = frame.get(23).is_some_and(|protocol| matches!(protocol, 6 | 17))
            || frame.get(20).is_some_and(|next| matches!(next, 6 | 17 | 44));
        let mut strikes = |percent, count: &AtomicU32| {
            let strikes = is_data && chance.u32(..100) < percent;
            count.fetch_add(strikes.into(), Relaxed);
            strikes
        };
        if strikes(LOST, &faults.lost) {
            continue;
        }
        if strikes(REPEATED, &faults.repeated) {
            let _ = to.send(&frame).await;
        }
        if strikes(LATE, &faults.late) {
            let (to, late) = (Arc::clone(&to), Duration::from_millis(chance.u64(1..=LATEST)));
            tokio::spawn(async move {
                tokio::time::sleep(late).await;
                let _ = to.send(&frame).await;
            });
        } else {
            // A device that is down accepts nothing.
            let _ = to.send(&frame).await;
        }
    }
}

/// Servers with a short retransmission timeout.
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
    let (faults, _cables) = bad_cables(&lab);
    let _servers = quick(&lab);
    let daemon = Daemon::start(&lab, two_workers());
    daemon.has_workers(2);
    for vip in [NAT_VIP, SNAT_VIP] {
        // GRUB's port, and lwIP's.
        for (port, file) in [(25300, "one"), (25300, "two"), (25300, "one"), (69, "two")] {
            fetches(&lab, vip, port, file, Habits::default());
        }
        fetches(&lab, vip, 0, "one", Habits { acks_to_69: true, ..Habits::default() });
        fetches(&lab, vip, 2070, "two", Habits { asks_twice: true, ..Habits::default() });
    }
    for service in ["nat", "snat"] {
        // A repeated request is no new transfer.
        assert_eq!(daemon.total(service, "started"), 6, "{service}");
    }
    faults.check();
    daemon.finish();
}

/// Large blocks in fragments, each of which may be lost, duplicated or late; also from IPv4 servers to IPv6 clients. On
/// af_packet, the kernel reassembles IPv4 fragments.
#[test]
fn large_blocks() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("image", 60_000)]);
    let (faults, _cables) = bad_cables(&lab);
    let _servers = quick(&lab);
    let daemon = Daemon::with(&lab, &(two_workers().text(&lab) + CROSSING));
    daemon.has_workers(2);
    for vip in [VIPS_V6[0], VIPS_V6[2], OLD_FARM] {
        Client::Busybox.get(&lab, vip, "image", Some(8192));
        Client::Busybox.get(&lab, vip, "image", Some(8192));
        Client::Busybox.put(&lab, vip, "image", Some(8192));
    }
    faults.check();
    daemon.finish();
}

/// Answers from port 69, where a late one may belong to another transfer.
#[test]
fn single_port_servers() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("image", 60_000), ("small", 15_000)]);
    let (faults, _cables) = bad_cables(&lab);
    let _servers = ["s1", "s2"].map(|name| peers::single_port(&lab, name));
    let daemon = Daemon::start(&lab, two_workers());
    daemon.has_workers(2);
    for vip in VIPS.into_iter().chain(VIPS_V6) {
        Client::Busybox.get(&lab, vip, "image", None);
        Client::Busybox.get(&lab, vip, "small", None);
    }
    faults.check();
    daemon.finish();
}

/// Without atftp, which gives up at a repeated OACK and at a second lost ACK.
#[test]
fn real_clients_in_every_mode_over_both_families() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("image", 60_000), ("small", 15_000)]);
    let (faults, _cables) = bad_cables(&lab);
    let _servers = quick(&lab);
    let daemon = Daemon::start(&lab, two_workers());
    daemon.has_workers(2);
    for vip in VIPS.into_iter().chain(VIPS_V6) {
        Client::Tftp.get(&lab, vip, "image", None);
        // The server waits for six seconds after a lost ACK.
        Client::Curl.get(&lab, vip, "small", Some(1408));
        Client::Curl.put(&lab, vip, "small", Some(1408));
    }
    faults.check();
    daemon.finish();
}

/// Inspected control connections with lost, duplicated and late segments.
#[test]
fn sessions_of_ftp() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("image", 1 << 20), ("small", 15_000)]);
    let (faults, _cables) = bad_cables(&lab);
    let _servers = [("s1", Ftpd::Vsftpd), ("s2", Ftpd::Pure)]
        .map(|(name, ftpd)| ftpd.start(&lab, name, Manner::default()));
    let daemon = Daemon::start(&lab, Setup { protocol: "ftp", ..two_workers() });
    daemon.has_workers(2);
    for vip in VIPS.into_iter().chain(VIPS_V6) {
        for &data in if vip.contains(':') { &DATA_V6[..] } else { &DATA[..] } {
            let curl = Curl::new(&lab, vip, data);
            curl.get(&["small", "image"]);
            curl.put(&["small", "image"]);
        }
    }
    for vip in [NAT_VIP, SNAT_VIP] {
        for what in ["split", "pipelined"] {
            for how in ["passive", "active"] {
                must_ftplib(&lab, &format!("{what} {vip} {how}"));
            }
        }
    }
    faults.check();
    daemon.finish();
}
