//! Floods of spoofed requests that could exhaust the ports of a SNAT address.

use crate::attacker::Attacker;
use crate::client::{Habits, fetch};
use crate::daemon::{Daemon, Setup};
use crate::peers;
use kit::lab::{Lab, SNAT_VIP};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

/// Ports per address.
const PORTS: u64 = 64_512;
/// Four times the rate that was once sufficient to exhaust them.
const A_SECOND: u32 = 6000;
/// Frames sent between two looks at the counters: a busy link loses some.
const AT_ONCE: u32 = 6000;
/// Most frames sent.
const MOST: u32 = 200_000;
const CLIENTS: u8 = 20;

/// The `n`th unused address, on the link between client, gate and servers.
fn nobody(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 77, 8, 0)) + n % 0x1000)
}

fn request(attacker: &Attacker, from: Ipv4Addr, port: u16) -> kit::packet::Packet {
    let vip = SocketAddr::new(SNAT_VIP.parse().expect("an address"), 69);
    attacker.datagram(SocketAddr::new(from.into(), port), vip, b"\0\x01none\0octet\0")
}

/// Sends frames 0, 1, 2 and so on until more than `enough` have got a row of this service.
fn flood<F: Into<Vec<u8>>>(
    (attacker, daemon): (&Attacker, &Daemon),
    (service, enough): (&str, u64),
    frame: impl Fn(u32) -> F,
) {
    let mut sent = 0;
    while daemon.total(service, "started") <= enough {
        assert!(sent < MOST, "too few of {sent} have come");
        attacker.flood((sent..sent + AT_ONCE).map(&frame), A_SECOND);
        sent += AT_ONCE;
    }
}

/// Clients at addresses of their own, one after the other.
fn all_are_served(lab: &Lab) {
    let server = SocketAddrV4::new(SNAT_VIP.parse().expect("an address"), 69);
    let original = std::fs::read(lab.path("files/image")).expect("the file");
    for n in 1..=CLIENTS {
        let from = SocketAddrV4::new(Ipv4Addr::new(10, 77, 2, n), 0);
        let client = lab.inside("client", move || fetch(from, server, "image", Habits::default()));
        let got = client.join().expect("the client ends");
        assert!(got.as_ref() == Ok(&original), "client {n}: {:?}", got.err());
    }
}

fn lab() -> Lab {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 5000)]);
    for n in 1..=CLIENTS {
        lab.must("client", &format!("ip address add 10.77.2.{n}/16 dev c1"));
    }
    lab
}

/// Each request is answered by an ERROR, which reaches no client.
#[test]
fn answered_requests_in_others_names_use_up_no_pool() {
    let lab = lab();
    let _servers = ["s1", "s2"].map(|name| peers::dnsmasq(&lab, name, ""));
    let daemon = Daemon::start(&lab, Setup::default());
    let attacker = Attacker::among_servers(&lab);
    flood((&attacker, &daemon), ("snat", PORTS), |n| {
        request(&attacker, nobody(n), 1024 + (n / 0x1000) as u16)
    });
    all_are_served(&lab);
    assert_eq!(daemon.stat("drops", "snat-pool-empty"), 0);
    daemon.finish();
}

/// A client's worker depends only on its address: the whole flood goes to one worker.
#[test]
fn one_worker_s_clients_are_not_shut_out() {
    let lab = lab();
    let _servers = ["s1", "s2"].map(|name| peers::dnsmasq(&lab, name, ""));
    let setup = Setup { workers: "0, 1", device_arguments: ",qpairs=2", ..Setup::default() };
    let daemon = Daemon::start(&lab, setup);
    let attacker = Attacker::among_servers(&lab);
    let chosen: Vec<Ipv4Addr> =
        (0..0x1000).map(nobody).filter(|&ip| engine::net::rss::owner(ip, 2) == 0).collect();
    flood((&attacker, &daemon), ("snat", PORTS / 2), |n| {
        let from = chosen[n as usize % chosen.len()];
        request(&attacker, from, 1024 + (n as usize / chosen.len()) as u16)
    });
    all_are_served(&lab);
    assert_eq!(daemon.stat("drops", "snat-pool-empty"), 0);
    daemon.finish();
}

/// TCP and UDP ports of an address are separate.
#[test]
fn half_open_connections_keep_no_transfer_out() {
    let lab = lab();
    let _servers = ["s1", "s2"].map(|name| peers::dnsmasq(&lab, name, ""));
    // Unanswered, without RST.
    for name in ["s1", "s2"] {
        lab.must(name, "nft add table ip quiet");
        lab.must(name, "nft add chain ip quiet in {+type+filter+hook+input+priority+0;+}");
        lab.must(name, "nft add rule ip quiet in tcp dport 22 drop");
    }
    let service = format!(
        "[[service]]\nname = \"ssh\"\nprotocol = \"tcp\"\nport = 22\nvip = \"{SNAT_VIP}\"\n\
         snat = [\"10.77.0.101\"]\n\
         [[service.backend]]\nname = \"s1\"\naddress = \"10.77.0.30\"\n"
    );
    // A quarter of the rows may be half-open.
    let text = Setup::default().text(&lab).replace("max_flows = 4096", "max_flows = 270336");
    let daemon = Daemon::with(&lab, &(text + &service));
    let attacker = Attacker::among_servers(&lab);
    let vip: IpAddr = SNAT_VIP.parse().expect("an address");
    flood((&attacker, &daemon), ("ssh", PORTS), |n| {
        let from = SocketAddr::new(nobody(n).into(), 1024 + (n / 0x1000) as u16);
        attacker.segment(from, SocketAddr::new(vip, 22), "S")
    });
    all_are_served(&lab);
    assert_eq!(daemon.stat("drops", "snat-pool-empty"), 0);
    daemon.finish();
}
