//! Services for TCP, UDP, and everything else at a VIP.

use crate::daemon::{Daemon, Setup, rows};
use crate::echo::{self, Answer, Client, PORT};
use kit::lab::{DSR_VIP, Lab, VIPS, VIPS_V6, until};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

fn setup(protocol: &'static str) -> Setup {
    Setup { protocol, service: "port = 7007", ipv6: true, ..Setup::default() }
}

fn all_vips() -> impl Iterator<Item = SocketAddr> {
    let vips = VIPS.into_iter().chain(VIPS_V6);
    vips.map(|vip| SocketAddr::new(vip.parse().expect("an address"), PORT))
}

/// Behind a SNAT pool the server sees one of its addresses, else the client's.
fn sees(vip: SocketAddr, local: SocketAddr, answer: &Answer) {
    let pool: [IpAddr; 2] = ["10.77.0.101", "fd00:77::101"].map(|one| one.parse().expect("one"));
    let behind_pool = [VIPS[1], VIPS_V6[1]].contains(&vip.ip().to_string().as_str());
    if behind_pool {
        assert!(pool.contains(&answer.seen.ip()), "at {vip}: {answer:?}");
    } else {
        assert_eq!(answer.seen, local, "at {vip}");
    }
}

#[test]
fn tcp_in_every_mode() {
    let lab = Lab::new().with_ipv6();
    let _servers = ["s1", "s2"].map(|name| echo::server(&lab, name, PORT));
    let daemon = Daemon::start(&lab, setup("tcp"));
    for vip in all_vips() {
        let mut clients: Vec<_> = (0..4).map(|_| Client::tcp(&lab, vip)).collect();
        for client in &mut clients {
            assert_eq!(client.say("second").expect("an answer"), client.first);
            sees(vip, client.local, &client.first);
        }
        let servers: BTreeSet<_> = clients.iter().map(|client| &client.first.server).collect();
        assert_eq!(servers.len(), 2, "at {vip}: {servers:?}");
    }
    daemon.finish();
}

#[test]
fn udp_in_every_mode() {
    let lab = Lab::new().with_ipv6();
    let _servers = ["s1", "s2"].map(|name| echo::server(&lab, name, PORT));
    let daemon = Daemon::start(&lab, setup("udp"));
    for vip in all_vips() {
        let clients: Vec<_> = (0..4).map(|_| Client::udp(&lab, vip)).collect();
        for client in &clients {
            assert_eq!(client.say("second"), client.first);
            sees(vip, client.local, &client.first);
        }
        let servers: BTreeSet<_> = clients.iter().map(|client| &client.first.server).collect();
        assert_eq!(servers.len(), 2, "at {vip}: {servers:?}");
    }
    daemon.finish();
}

/// Datagrams from one port, such as syslog's, have no end of their local.
#[test]
fn datagrams_leave_a_backend_that_is_drained_or_removed() {
    let lab = Lab::new().with_ipv6();
    let _servers = ["s1", "s2"].map(|name| echo::server(&lab, name, PORT));
    let service = "port = 7007\ndrain_timeout = \"2s\"";
    let text = Setup { service, ..setup("udp") }.text(&lab);
    let daemon = Daemon::with(&lab, &text);
    let clients: Vec<_> =
        all_vips().flat_map(|vip| [0; 2].map(|_| Client::udp(&lab, vip))).collect();
    let at = |server: &str| clients.iter().all(|one| one.say_until_heard("on").server == server);
    let order = |order: &str| {
        for service in ["nat", "snat", "dsr"] {
            for backend in ["s1", "s1-v6"] {
                let output = daemon.tidegate(&format!("backend {order} {service} {backend}"));
                assert!(output.status.success(), "{output:?}");
            }
        }
    };
    order("drain");
    until("all are at the other server", || at("s2"));
    for service in ["nat", "snat", "dsr"] {
        assert_eq!(daemon.total(service, "drained"), 2, "{service}");
    }
    order("enable");
    assert!(at("s2"), "nothing moves back");

    let backend = |name: &str, address: &str| {
        format!("[[service.backend]]\nname = \"{name}\"\naddress = \"{address}\"\n")
    };
    let fewer = text.replace(&backend("s2", "10.77.0.31"), "");
    let fewer = fewer.replace(&backend("s2-v6", "fd00:77::31"), "");
    std::fs::write(lab.path("tidegate.toml"), fewer).expect("it is written");
    let output = daemon.tidegate("reload");
    assert!(output.status.success(), "{output:?}");
    until("all are at the server that is left", || at("s1"));
    daemon.finish();
}

/// All ports and protocols of a client go to one server, those of the next client to another.
#[test]
fn anything_in_dsr() {
    let lab = Lab::new().with_ipv6();
    let ports = [PORT, 5000, 60_000];
    let _servers = ["s1", "s2"].map(|name| ports.map(|port| echo::server(&lab, name, port)));
    let daemon = Daemon::with(&lab, &only_dsr(&lab, "any", ""));
    let mut used = vec![];
    for vip in [DSR_VIP, VIPS_V6[2]] {
        let at = |port| SocketAddr::new(vip.parse().expect("an address"), port);
        let mut servers = BTreeSet::new();
        for port in ports {
            let tcp = Client::tcp(&lab, at(port));
            assert_eq!(tcp.first.seen, tcp.local);
            servers.insert(tcp.first.server);
            servers.insert(Client::udp(&lab, at(port)).first.server);
        }
        lab.must("client", &format!("ping -c 2 -i 0.2 -W 2 {vip}"));
        assert_eq!(servers.len(), 1, "{vip}: {servers:?}");
        used.extend(servers);
    }
    // A client at another address.
    lab.must("client", "ip address add 10.77.0.11/16 dev c1");
    lab.must("client", "ip route replace 10.77.0.200/32 dev c1 src 10.77.0.11");
    let at = SocketAddr::new(DSR_VIP.parse().expect("an address"), PORT);
    let second = Client::tcp(&lab, at);
    assert_eq!(second.first.seen.ip().to_string(), "10.77.0.11");
    assert_ne!(second.first.server, used[0]);
    daemon.finish();
}

/// The configuration with only one service.
fn only_dsr(lab: &Lab, protocol: &'static str, service: &'static str) -> String {
    let text = Setup { protocol, service, ipv6: true, ..Setup::default() }.text(lab);
    let services: Vec<_> = text.match_indices("[[service]]").map(|(at, _)| at).collect();
    [&text[..services[0]], &text[services[2]..]].concat()
}

/// Clients of a dead server get a RST at once; the others notice nothing.
#[test]
fn a_dead_host_ends_its_connections() {
    const HEALTH: &str = "port = 7007\n[service.health]\ncheck = \"tcp\"\nport = 7007\n\
                          interval = \"500ms\"\ntimeout = \"500ms\"";
    let lab = Lab::new().with_ipv6();
    let _servers = ["s1", "s2"].map(|name| echo::server(&lab, name, PORT));
    let setup = Setup { service: HEALTH, ..setup("tcp") };
    let daemon = Daemon::start(&lab, setup);
    let mut clients: Vec<_> =
        all_vips().flat_map(|vip| [vip; 4]).map(|vip| (vip, Client::tcp(&lab, vip))).collect();
    lab.must("s1", "ip link set eth0 down");
    until("health says so", || {
        let backends = daemon.ask("backends").expect("backends");
        rows(&backends).filter(|row| row["state"] != "up").count() == 6
    });
    let since = std::time::Instant::now();
    for (vip, client) in &mut clients {
        if client.first.server == "s1" {
            let end = client.end().map_err(|error| error.kind());
            assert_eq!(end, Err(ErrorKind::ConnectionReset), "at {vip}");
        } else {
            assert_eq!(client.say("second").expect("an answer"), client.first, "at {vip}");
        }
    }
    assert!(since.elapsed().as_secs() < 5, "not at once: {:?}", since.elapsed());
    let dead = clients.iter().filter(|(_, client)| client.first.server == "s1").count();
    assert!((1..24).contains(&dead), "{dead}");
    daemon.finish();
}
