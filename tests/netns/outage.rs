//! Servers that die during transfers: other servers take over.

use crate::client::{Failure, Habits, fetch};
use crate::daemon::{Daemon, Setup, rows};
use crate::peers::{self, CLIENTS, Client};
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, until};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread::{JoinHandle, scope};

const SIZE: usize = 3 << 20;
const CLIENTS_AT_ONCE: u8 = 10;

fn clients(lab: &Lab, vip: &str, net: u8) -> Vec<JoinHandle<Result<Vec<u8>, Failure>>> {
    let server = SocketAddrV4::new(vip.parse().expect("an address"), 69);
    let starts = (1..=CLIENTS_AT_ONCE).map(|n| {
        let from = SocketAddrV4::new(Ipv4Addr::new(10, net, 2, n), 0);
        lab.inside("client", move || fetch(from, server, "image", Habits::default()))
    });
    starts.collect()
}

fn addresses(lab: &Lab) {
    for n in 1..=CLIENTS_AT_ONCE {
        lab.must("client", &format!("ip address add 10.78.2.{n}/16 dev c0"));
        lab.must("client", &format!("ip address add 10.77.2.{n}/16 dev c1"));
    }
}

/// Half of the transfers were at the dead server, and went on at the other one.
fn all_whole(
    lab: &Lab,
    daemon: &Daemon,
    service: &str,
    running: Vec<JoinHandle<Result<Vec<u8>, Failure>>>,
) {
    let original = std::fs::read(lab.path("files/image")).expect("the file");
    for client in running {
        let got = client.join().expect("it ends");
        assert!(got.as_ref() == Ok(&original), "{:?}", got.err());
    }
    assert_eq!(daemon.by_backend(service, "failed_over"), [5, 0]);
    assert_eq!(daemon.by_backend(service, "resumed"), [0, 5]);
    daemon.completes(service, u64::from(CLIENTS_AT_ONCE));
    assert_eq!((daemon.total(service, "lost"), daemon.total(service, "failed")), (0, 0));
}

/// A server's whole host disappears.
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
    all_whole(&lab, &daemon, "snat", running);
    until("the gate knows", || {
        let backends = daemon.ask("backends").expect("backends");
        rows(&backends).any(|row| row["name"] == "s1" && row["state"] == "unresolved")
    });
    let original = std::fs::read(lab.path("files/image")).expect("the file");
    let before = daemon.by_backend("snat", "started");
    for client in clients(&lab, SNAT_VIP, 77) {
        assert!(client.join().expect("it ends") == Ok(original.clone()));
    }
    let after = daemon.by_backend("snat", "started");
    assert_eq!([after[0] - before[0], after[1] - before[1]], [0, CLIENTS_AT_ONCE.into()]);
    daemon.finish();
}

/// A server program is killed: its host sends ICMP errors.
#[test]
fn a_killed_server() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", SIZE)]);
    addresses(&lab);
    let _one = peers::atftpd(&lab, "s1");
    let _two = peers::tftpd_hpa(&lab, "s2");
    let daemon = Daemon::start(&lab, Setup::default());
    let running = clients(&lab, NAT_VIP, 78);
    until("all transfers run", || daemon.total("nat", "packets_out") > 500);
    peers::signal_all(&lab, "s1", "KILL");
    all_whole(&lab, &daemon, "nat", running);
    assert!(daemon.total("nat", "unreachable") > 0, "its host said nothing");
    daemon.finish();
}

/// Unmodified clients.
#[test]
fn real_clients_of_a_killed_server() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 24 << 20)]);
    let mut servers = vec![peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    for (service, vip) in [("nat", NAT_VIP), ("snat", SNAT_VIP)] {
        scope(|scope| {
            for client in CLIENTS {
                let (lab, blksize) = (&lab, (client != Client::Tftp).then_some(1024));
                let name = format!("{client:?}");
                scope.spawn(move || client.get_as(lab, vip, "image", &name, blksize));
            }
            until("all transfers run", || daemon.total(service, "packets_out") > 3000);
            peers::signal_all(&lab, "s1", "KILL");
        });
        assert_eq!(daemon.total(service, "resumed"), 2, "{service}");
        daemon.completes(service, 4);
        assert_eq!(daemon.total(service, "lost"), 0, "{service}");
        servers.push(peers::tftpd_hpa(&lab, "s1"));
    }
    daemon.finish();
}

/// A server does not answer: its clients boot after one or two repetitions.
#[test]
fn a_server_that_is_stopped() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 100_000)]);
    addresses(&lab);
    let _one = peers::tftpd_hpa(&lab, "s1");
    let _two = peers::tftpd_hpa(&lab, "s2");
    let daemon = Daemon::start(&lab, Setup::default());
    peers::signal_all(&lab, "s1", "STOP");
    let original = std::fs::read(lab.path("files/image")).expect("the file");
    for (service, vip, net) in [("nat", NAT_VIP, 78), ("snat", SNAT_VIP, 77)] {
        for client in clients(&lab, vip, net) {
            assert!(client.join().expect("it ends") == Ok(original.clone()));
        }
        until("it is ejected", || {
            let backends = daemon.ask("backends").expect("backends");
            rows(&backends).any(|row| {
                (&row["service"], &row["name"], &row["state"])
                    == (&service.into(), &"s1".into(), &"ejected".into())
            })
        });
        assert_eq!(daemon.by_backend(service, "asked_elsewhere"), [5, 0], "{service}");
        daemon.completes(service, 10);
        assert_eq!(daemon.by_backend(service, "completed"), [0, 10], "{service}");
    }
    peers::signal_all(&lab, "s1", "CONT");
    daemon.finish();
}

/// A different file with the same name: the client gets an ERROR.
#[test]
fn another_file_of_the_same_name() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", SIZE)]);
    std::fs::create_dir(lab.path("other")).expect("a folder");
    std::fs::write(lab.path("other/image"), [7; 1000]).expect("a file");
    addresses(&lab);
    let _one = peers::tftpd_hpa_at(&lab, "s1", "10.77.0.30");
    let _two = peers::tftpd_hpa_in(&lab, "s2", "10.77.0.31", "", "other");
    let daemon = Daemon::start(&lab, Setup::default());
    let server = SocketAddrV4::new(NAT_VIP.parse().expect("an address"), 69);
    let from = SocketAddrV4::new(Ipv4Addr::new(10, 78, 2, 1), 0);
    let client = lab.inside("client", move || fetch(from, server, "image", Habits::default()));
    until("it runs", || daemon.total("nat", "packets_out") > 100);
    peers::signal_all(&lab, "s1", "KILL");
    assert_eq!(client.join().expect("it ends"), Err(Failure::Error(0)));
    assert_eq!(daemon.total("nat", "lost"), 1);
    daemon.finish();
}

/// No server can continue an upload; its client gets an ERROR at once.
#[test]
fn an_upload_to_a_killed_server() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 24 << 20)]);
    let _one = peers::tftpd_hpa(&lab, "s1");
    let _two = peers::tftpd_hpa(&lab, "s2");
    let daemon = Daemon::start(&lab, Setup::default());
    let image = lab.path("files/image");
    let path = image.display();
    let command = format!("timeout 60 busybox tftp -p -b 1024 -l {path} -r sent {SNAT_VIP}");
    let client = scope(|scope| {
        let client = scope.spawn(|| lab.run("client", &command));
        until("it runs", || daemon.total("snat", "packets_in") > 500);
        peers::signal_all(&lab, "s1", "KILL");
        client.join().expect("it ends")
    });
    let said = String::from_utf8_lossy(&client.stderr).into_owned();
    assert!(said.contains("The server is gone"), "{}: {said}", client.status);
    assert_eq!(daemon.total("snat", "lost"), 1);
    daemon.finish();
}
