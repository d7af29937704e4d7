//! Habits of clients and servers on real networks.

use crate::client::{Failure, Habits, fetch};
use crate::daemon::{Daemon, Setup};
use crate::peers::{self, Client};
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP, VIPS, uninterrupted};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

fn request(lab: &Lab, port: u16, vip: &str, file: &str, habits: Habits) -> Result<usize, Failure> {
    let address = if vip == NAT_VIP { "10.78.0.10" } else { "10.77.0.10" };
    let from = SocketAddrV4::new(address.parse().expect("an address"), port);
    let server = SocketAddrV4::new(vip.parse().expect("an address"), 69);
    let name = file.to_owned();
    let client = lab.inside("client", move || fetch(from, server, &name, habits));
    let got = client.join().expect("the client ends")?;
    assert!(got == std::fs::read(lab.path("files").join(file)).expect("the file"), "{file}");
    Ok(got.len())
}

const USUAL: Habits = Habits { acks_to_69: false, asks_twice: false };

#[test]
fn a_missing_file_is_the_clients_news_and_no_failure() {
    let lab = Lab::new();
    peers::files(&lab, &[]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    for vip in VIPS {
        for port in [0, 0] {
            assert_eq!(request(&lab, port, vip, "nothing", USUAL), Err(Failure::Error(1)));
        }
    }
    for service in ["nat", "snat"] {
        assert_eq!(daemon.total(service, "not_found"), 2, "{service}");
        assert_eq!(daemon.total(service, "failed"), 0, "{service}");
    }
    daemon.finish();
}

/// GRUB starts at port 25300 at every boot.
#[test]
fn the_same_port_again_and_again() {
    let lab = Lab::new();
    peers::files(&lab, &[("one", 3000), ("two", 5000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    for vip in VIPS {
        for file in ["one", "two", "one", "one", "two"] {
            assert!(request(&lab, 25300, vip, file, USUAL).is_ok(), "{vip} {file}");
        }
    }
    daemon.completes("nat", 5);
    daemon.completes("snat", 5);
    daemon.finish();
}

#[test]
fn a_client_on_port_69_and_one_that_sends_its_acks_there() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 20_000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    for vip in VIPS {
        assert_eq!(request(&lab, 69, vip, "image", USUAL), Ok(20_000), "{vip}");
    }
    // In dsr ports are not rewritten: only the server itself could tolerate it.
    for vip in [NAT_VIP, SNAT_VIP] {
        let habits = Habits { acks_to_69: true, ..USUAL };
        assert_eq!(request(&lab, 0, vip, "image", habits), Ok(20_000), "{vip}");
    }
    assert_eq!(daemon.total("nat", "to_service_port"), 40);
    assert_eq!(daemon.total("snat", "to_service_port"), 40);
    daemon.finish();
}

/// A forking server answers a repeated request from two TIDs. The client gets only one: it panics at a second.
#[test]
fn a_request_sent_twice() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 200_000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    for vip in [NAT_VIP, SNAT_VIP] {
        let habits = Habits { asks_twice: true, ..USUAL };
        assert_eq!(request(&lab, 2070, vip, "image", habits), Ok(200_000), "{vip}");
    }
    for service in ["nat", "snat"] {
        assert_eq!(daemon.total(service, "started"), 1, "{service}");
        assert_eq!(daemon.total(service, "retransmitted"), 1, "{service}");
        assert!(daemon.total(service, "strays") >= 1, "{service}");
    }
    assert!(daemon.stat("packets", "answered") >= 2, "the second servers are told");
    daemon.finish();
}

#[test]
fn servers_that_answer_from_port_69() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 100_000)]);
    let _servers = [peers::single_port(&lab, "s1"), peers::single_port(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    for vip in [NAT_VIP, SNAT_VIP, DSR_VIP] {
        for port in [0, 25300, 25300, 69] {
            assert_eq!(request(&lab, port, vip, "image", USUAL), Ok(100_000), "{vip} {port}");
        }
        Client::Curl.get(&lab, vip, "image", Some(1428));
    }
    daemon.completes("nat", 5);
    daemon.completes("snat", 5);
    daemon.finish();
}

/// Boot ROMs of one kind send from the same port, concurrently.
#[test]
fn many_clients_on_one_port_at_once() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 50_000)]);
    for n in 1..=20 {
        lab.must("client", &format!("ip address add 10.78.2.{n}/16 dev c0"));
        lab.must("client", &format!("ip address add 10.77.2.{n}/16 dev c1"));
    }
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    let original = std::fs::read(lab.path("files/image")).expect("the file");
    for (service, vip, net) in [("nat", NAT_VIP, 78), ("snat", SNAT_VIP, 77), ("dsr", DSR_VIP, 77)]
    {
        let server = SocketAddrV4::new(vip.parse().expect("an address"), 69);
        let clients: Vec<_> = (1..=20)
            .map(|n| {
                let from = SocketAddrV4::new(Ipv4Addr::new(10, net, 2, n), 2070);
                lab.inside("client", move || fetch(from, server, "image", USUAL))
            })
            .collect();
        for client in clients {
            let got = client.join().expect("the client ends");
            assert!(got.as_ref() == Ok(&original), "{service}: {:?}", got.err());
        }
        assert_eq!(daemon.total(service, "started"), 20, "{service}");
    }
    daemon.finish();
}

#[test]
fn weights_are_shares() {
    let lab = Lab::new();
    peers::files(&lab, &[("small", 100)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup { first_backend: "weight = 3", ..Setup::default() });
    for _ in 0..12 {
        assert_eq!(request(&lab, 0, SNAT_VIP, "small", USUAL), Ok(100));
    }
    assert_eq!(daemon.by_backend("snat", "started"), [9, 3]);
    daemon.finish();
}

#[test]
fn a_client_stays_with_its_backend() {
    let lab = Lab::new();
    peers::files(&lab, &[("small", 100)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon =
        Daemon::start(&lab, Setup { service: "persistence = \"100s\"", ..Setup::default() });
    lab.must("client", "ip address add 10.78.0.11/16 dev c0");
    let server = format!("{NAT_VIP}:69").parse().expect("an endpoint");
    for turn in 1..=6 {
        // Alternating requests, as in round robin, which would give the same shares.
        for client in ["10.78.0.10", "10.78.0.11", "10.78.0.10"] {
            let from = format!("{client}:0").parse().expect("an endpoint");
            let got = lab.inside("client", move || fetch(from, server, "small", USUAL));
            assert_eq!(got.join().expect("the client ends").map(|file| file.len()), Ok(100));
        }
        let mut shares = daemon.by_backend("nat", "started");
        shares.sort();
        assert_eq!(shares, [turn, 2 * turn]);
    }
    daemon.finish();
}

/// A server whose answers leave by routing, from another address. It receives packets to that address only.
fn serve_from_another_address(asked: UdpSocket, from: Ipv4Addr, file: &[u8]) {
    let mut packet = [0; 516];
    let (_, client) = uninterrupted(|| asked.recv_from(&mut packet)).expect("a request");
    let socket = UdpSocket::bind((from, 0)).expect("our address");
    for (block, bytes) in (1u16..).zip(file.chunks(512)) {
        let data = [&[0, 3][..], &block.to_be_bytes(), bytes].concat();
        socket.send_to(&data, client).expect("a datagram");
        let (len, _) = uninterrupted(|| socket.recv_from(&mut packet)).expect("an ACK");
        assert_eq!(packet[..len], [&[0, 4][..], &block.to_be_bytes()].concat());
    }
}

#[test]
fn a_server_that_answers_from_an_alias() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 51_000)]);
    let _other = peers::tftpd_hpa(&lab, "s2");
    lab.must("s1", "ip address add 10.77.0.40/16 dev eth0");
    let address = "address = \"10.77.0.30\"";
    let with_alias = format!("{address}\naliases = [\"10.77.0.40\"]");
    // The third service is `dsr`, whose answers bypass the gate.
    let text = Setup::default().text(&lab).replacen(address, &with_alias, 2);
    let daemon = Daemon::with(&lab, &text);
    for (client, vip) in [(Client::Tftp, NAT_VIP), (Client::Curl, SNAT_VIP)] {
        let file = std::fs::read(lab.path("files/image")).expect("the file");
        let (bound, is_bound) = std::sync::mpsc::channel();
        let server = lab.inside("s1", move || {
            let asked = UdpSocket::bind("10.77.0.30:69").expect("our address");
            bound.send(()).expect("the test waits");
            serve_from_another_address(asked, Ipv4Addr::new(10, 77, 0, 40), &file);
        });
        is_bound.recv().expect("the server's thread lives");
        for _ in ["s1", "s2"] {
            client.get(&lab, vip, "image", None);
        }
        server.join().expect("the server's part is done");
    }
    for service in ["nat", "snat"] {
        daemon.completes(service, 2);
        assert_eq!(daemon.by_backend(service, "completed"), [1, 1], "{service}");
    }
    daemon.finish();
}

/// Behind a firewall, servers answer from a few ports.
#[test]
fn servers_with_a_limited_range_of_ports() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 100_000)]);
    let _servers = [("s1", "10.77.0.30"), ("s2", "10.77.0.31")].map(|(name, address)| {
        peers::tftpd_hpa_with(&lab, name, address, "--port-range 50000:50003")
    });
    let daemon = Daemon::start(&lab, Setup::default());
    for vip in [NAT_VIP, SNAT_VIP] {
        for _ in 0..6 {
            Client::Curl.get(&lab, vip, "image", Some(1428));
        }
    }
    for service in ["nat", "snat"] {
        daemon.completes(service, 6);
    }
    daemon.finish();
}
