//! Servers that die while others go on.

use crate::client::{Failure, Habits, fetch};
use crate::daemon::{Daemon, Setup, rows};
use crate::peers;
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, until};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread::JoinHandle;

const SIZE: usize = 3 << 20;
const CLIENTS: u8 = 10;

fn clients(lab: &Lab, vip: &str, net: u8) -> Vec<JoinHandle<Result<Vec<u8>, Failure>>> {
    let server = SocketAddrV4::new(vip.parse().expect("an address"), 69);
    let starts = (1..=CLIENTS).map(|n| {
        let from = SocketAddrV4::new(Ipv4Addr::new(10, net, 2, n), 0);
        lab.inside("client", move || fetch(from, server, "image", Habits::default()))
    });
    starts.collect()
}

fn addresses(lab: &Lab) {
    for n in 1..=CLIENTS {
        lab.must("client", &format!("ip address add 10.78.2.{n}/16 dev c0"));
        lab.must("client", &format!("ip address add 10.77.2.{n}/16 dev c1"));
    }
}

/// A server that vanishes, host and all: its clients fail, the others' files are whole, and new
/// transfers go to the server that is left.
#[test]
fn a_dead_host() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", SIZE)]);
    addresses(&lab);
    let _one = peers::tftpd_hpa(&lab, "s1");
    let _two = peers::tftpd_hpa(&lab, "s2");
    let daemon = Daemon::start(&lab, Setup::default());
    let running = clients(&lab, SNAT_VIP, 77);
    until("all transfers run", || daemon.total("snat", "packets_out") > 500);
    lab.must("s1", "ip link set eth0 down");
    let ends: Vec<_> = running.into_iter().map(|client| client.join().expect("it ends")).collect();
    let original = std::fs::read(lab.path("files/image")).expect("the file");
    let whole = ends.iter().filter(|end| end.as_ref() == Ok(&original)).count();
    let silent = ends.iter().filter(|end| **end == Err(Failure::Silence)).count();
    assert!(whole >= 5 && whole + silent == ends.len(), "{whole} whole, {silent} silent");
    assert!(silent > 0, "the server died too late");
    until("the gate knows", || {
        let backends = daemon.ask("backends").expect("backends");
        rows(&backends).any(|row| row["name"] == "s1" && row["state"] == "unresolved")
    });
    let before = daemon.by_backend("snat", "started");
    for client in clients(&lab, SNAT_VIP, 77) {
        assert!(client.join().expect("it ends") == Ok(original.clone()));
    }
    let after = daemon.by_backend("snat", "started");
    assert_eq!([after[0] - before[0], after[1] - before[1]], [0, CLIENTS.into()]);
    daemon.finish();
}

/// A server program that is killed: its host says so by ICMP, which ends its transfers at once, and the
/// others go on.
#[test]
fn a_killed_server() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", SIZE)]);
    addresses(&lab);
    let mut one = peers::atftpd(&lab, "s1");
    let _two = peers::tftpd_hpa(&lab, "s2");
    let daemon = Daemon::start(&lab, Setup::default());
    let running = clients(&lab, NAT_VIP, 78);
    until("all transfers run", || daemon.total("nat", "packets_out") > 500);
    for process in &mut one {
        process.signal("KILL");
        process.0.wait().expect("it was killed");
    }
    let ends: Vec<_> = running.into_iter().map(|client| client.join().expect("it ends")).collect();
    let original = std::fs::read(lab.path("files/image")).expect("the file");
    let whole = ends.iter().filter(|end| end.as_ref() == Ok(&original)).count();
    assert!(whole >= 5, "{whole} whole");
    assert!(whole < ends.len(), "the server was killed too late");
    let lost = (ends.len() - whole) as u64;
    until("the lost transfers are counted", || daemon.by_backend("nat", "failed") == [lost, 0]);
    assert_eq!(daemon.total("nat", "completed"), whole as u64);
    daemon.finish();
}
