//! Two hundred concurrent clients, with one worker and with two; thousands of hosts that resolve a VIP, and one that
//! lies.

use crate::client::{Habits, fetch};
use crate::daemon::{Daemon, Setup};
use crate::peers::{self, Client};
use crate::wiring::plug;
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP, VIPS, VIPS_V6};
use kit::packets::who_has;
use kit::topology::mac;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::time::{Duration, Instant};
use tun_rs::SyncDevice;

const CLIENTS: u8 = 200;
const SIZE: usize = 50_000;

#[test]
fn two_hundred_at_once_through_one_worker() {
    crowd(Setup::default());
}

/// The kernel distributes packets over queues by addresses and ports, so that many arrive at a worker that does not own
/// them.
#[test]
fn two_hundred_at_once_through_two_workers_with_hand_over() {
    crowd(Setup { workers: "0, 1", device_arguments: ",qpairs=2", ..Setup::default() });
}

fn crowd(setup: Setup) {
    let workers = setup.workers.split(',').count();
    let lab = Lab::new();
    peers::files(&lab, &[("image", SIZE)]);
    for n in 1..=CLIENTS {
        lab.must("client", &format!("ip address add 10.78.2.{n}/16 dev c0"));
        lab.must("client", &format!("ip address add 10.77.2.{n}/16 dev c1"));
    }
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, setup);
    let original = std::fs::read(lab.path("files/image")).expect("the file");
    for (service, vip, net) in [("nat", NAT_VIP, 78), ("snat", SNAT_VIP, 77), ("dsr", DSR_VIP, 77)]
    {
        let server = SocketAddrV4::new(vip.parse().expect("an address"), 69);
        let clients: Vec<_> = (1..=CLIENTS)
            .map(|n| {
                let from = SocketAddrV4::new(Ipv4Addr::new(10, net, 2, n), 0);
                lab.inside("client", move || fetch(from, server, "image", Habits::default()))
            })
            .collect();
        for (n, client) in clients.into_iter().enumerate() {
            let got = client.join().expect("the client ends");
            assert!(got.as_ref() == Ok(&original), "{service}: client {n}: {:?}", got.err());
        }
        assert_eq!(daemon.total(service, "started"), u64::from(CLIENTS), "{service}");
        let shares = daemon.by_backend(service, "started");
        assert!(shares.iter().all(|&share| share >= 90), "{service}: {shares:?}");
    }
    let handed_over = daemon.stat("packets", "handed_over");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(handed_over > 0, workers.min(cores) > 1, "{handed_over} frames handed over");
    for drop in ["hand-over-full", "transmit-full", "wrong-tid", "no-transfer"] {
        assert_eq!(daemon.stat("drops", drop), 0, "{drop}");
    }
    daemon.finish();
}

/// Kernel neighbour entries for the gate's own peers on this link, with some margin.
const ROWS: usize = 20;

/// The kernel has room for a thousand entries on the whole machine.
#[test]
fn thousands_that_ask_for_a_vip_take_no_place_in_the_kernel() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("image", SIZE)]);
    let _servers = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    let daemon = Daemon::start(&lab, Setup { ipv6: true, ..Setup::default() });
    let crowd = plug(&lab, "switch", "crowd");
    crowd.set_nonblocking(true).expect("it can be");
    lab.must("switch", "ip link set crowd master br0");
    let rows = || lab.must("gate", "ip neigh show dev servers").lines().count();
    let vips = [VIPS[1], VIPS_V6[1], VIPS[2], VIPS_V6[2], "10.77.0.101", "fd00:77::101"];
    // If a few left entries behind, the many would exhaust the machine's table for all tests.
    for askers in [1..100, 100..3000] {
        for n in askers {
            let vip: IpAddr = vips[n % vips.len()].parse().expect("an address");
            assert!(is_answered(&crowd, asker(n, vip), vip), "{n}: {vip}");
        }
        assert!(rows() < ROWS, "{}", lab.must("gate", "ip neigh show"));
        for vip in [SNAT_VIP, NAT_VIP] {
            Client::Curl.get(&lab, vip, "image", None);
        }
    }
    assert!(daemon.stat("packets", "answered") >= 2999);
    daemon.finish();
}

/// Answered neither by a worker nor by the kernel, to which such requests go.
#[test]
fn nobody_is_told_of_a_vip_in_the_gate_s_own_name() {
    let lab = Lab::new().with_ipv6();
    let daemon = Daemon::start(&lab, Setup { ipv6: true, ..Setup::default() });
    let liar = plug(&lab, "switch", "liar");
    liar.set_nonblocking(true).expect("it can be");
    lab.must("switch", "ip link set liar master br0");
    // Linux itself answers a request from its own IPv6 address.
    let services = [VIPS[1], VIPS_V6[1], "10.77.0.101", "fd00:77::101"];
    let names = services.into_iter().chain(["10.77.0.1"]);
    let names: Vec<IpAddr> = names.map(|name| name.parse().expect("an address")).collect();
    for &name in &names {
        let vip = if name.is_ipv4() { VIPS[2] } else { VIPS_V6[2] };
        let asked = who_has(name, vip.parse().expect("an address"));
        liar.send(&asked).expect("the link takes it");
    }
    let (mut frame, start) = ([0; 2048], Instant::now());
    while start.elapsed() < Duration::from_secs(1) {
        if liar.recv(&mut frame).is_ok() {
            assert!(names.iter().all(|&name| frame[..6] != mac(name).0), "{:x?}", &frame[..60]);
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let vip = VIPS[2].parse().expect("an address");
    assert!(is_answered(&liar, asker(1, vip), vip), "anybody else is");
    daemon.finish();
}

/// One of many hosts on the servers' link. Over IPv6 some ask from their link-local address, as Linux does when it
/// repeats a request.
fn asker(n: usize, vip: IpAddr) -> IpAddr {
    let [high, low] = (n as u16).to_be_bytes();
    match vip {
        IpAddr::V4(_) => Ipv4Addr::new(10, 77, 16 + high, low).into(),
        IpAddr::V6(_) if n.is_multiple_of(4) => {
            Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 7, n as u16).into()
        }
        IpAddr::V6(_) => Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 7, n as u16).into(),
    }
}

/// Whether the gate answers a host's request for this address, which is sent up to three times as Linux does.
pub fn is_answered(link: &SyncDevice, host: IpAddr, address: IpAddr) -> bool {
    (0..3).any(|_| {
        link.send(&who_has(host, address)).expect("the link takes it");
        hears(link, host)
    })
}

/// Whether a frame to this host comes within two seconds, among other traffic.
fn hears(link: &SyncDevice, host: IpAddr) -> bool {
    let (mut frame, asked) = ([0; 2048], Instant::now());
    while asked.elapsed() < Duration::from_secs(2) {
        match link.recv(&mut frame) {
            Ok(len) if len >= 42 && frame[..6] == mac(host).0 => return true,
            Ok(_) => {}
            Err(_) => std::thread::sleep(Duration::from_micros(100)),
        }
    }
    false
}
