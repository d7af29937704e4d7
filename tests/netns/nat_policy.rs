//! Servers' own connections: some leave as the VIP by egress NAT rules, all others are routed.

use crate::daemon::{Daemon, Setup, rows};
use kit::lab::{Lab, NAT_VIP, VIPS_V6, uninterrupted};
use serde_json::Value;
use std::net::{IpAddr, TcpListener, UdpSocket};

const RULES: &str = r#"
[[nat]]
from = "10.77.0.0/24"
protocol = "tcp"
source_port = 20
to = "10.78.0.100"
[[nat]]
from = "10.77.0.30/32"
protocol = "udp"
to = "10.78.0.100"
[[nat]]
from = "fd00:77::/64"
protocol = "tcp"
source_port = 20
to = "fd00:78::100"
"#;

#[test]
fn what_servers_open_by_themselves() {
    let lab = Lab::new().with_ipv6();
    let setup = Setup { ipv6: true, ..Setup::default() };
    let daemon = Daemon::with(&lab, &(setup.text(&lab) + RULES));
    for (server, local, client, vip) in [
        ("s1", "10.77.0.30", "10.78.0.10", NAT_VIP),
        ("s2", "10.77.0.31", "10.78.0.10", NAT_VIP),
        ("s1", "fd00:77::30", "fd00:78::10", VIPS_V6[0]),
    ] {
        assert_eq!(tcp(&lab, server, local, 20, client), address(vip, 20), "{server}");
        assert_eq!(tcp(&lab, server, local, 2020, client), address(local, 2020), "{server}");
        // Again, from a port that was in use.
        assert_eq!(tcp(&lab, server, local, 20, client), address(vip, 20), "{server}");
    }
    assert_eq!(udp(&lab, "s1", 5000).0, NAT_VIP.parse::<IpAddr>().expect("one"));
    assert_eq!(udp(&lab, "s2", 5000), address("10.77.0.31", 5000));
    let rules = daemon.ask("nat").expect("rules");
    let hits = rows(&rules).map(|rule| rule["hits"].as_u64());
    assert_eq!(hits.collect::<Vec<_>>(), [Some(4), Some(1), Some(2)], "{rules}");
    let flows = daemon.ask("flows").expect("flows");
    let mut policy = rows(&flows["connections"]).filter(|row| row["kind"] == "policy");
    let udp = policy.find(|row| row["protocol"] == "udp").expect("the datagrams");
    let of = |end: &str| udp[end].as_str().expect("an endpoint");
    assert_eq!((of("vip"), of("server")), ("10.78.0.100:5000", "10.77.0.30:5000"), "{udp}");
    assert_eq!((&udp["service"], &udp["state"]), (&Value::Null, &"open".into()), "{udp}");
    daemon.finish();
}

fn address(ip: &str, port: u16) -> (IpAddr, u16) {
    (ip.parse().expect("an address"), port)
}

/// A server connects to a client, which reports the address that it sees; both send data.
fn tcp(lab: &Lab, server: &str, local: &str, port: u16, client: &'static str) -> (IpAddr, u16) {
    let waits = lab.inside("client", move || TcpListener::bind((client, 0)).expect("a socket"));
    let waits = waits.join().expect("it ends");
    let to = waits.local_addr().expect("an address").port();
    let seen = lab.inside("client", move || {
        use std::io::{Read, Write};
        let (mut socket, peer) = waits.accept().expect("a connection");
        let mut said = vec![];
        socket.write_all(b"hello").expect("an open connection");
        socket.read_to_end(&mut said).expect("words");
        assert_eq!(said, b"hello back");
        (peer.ip(), peer.port())
    });
    run(
        lab,
        server,
        &format!(
            "import socket\n\
             family = socket.AF_INET6 if ':' in '{local}' else socket.AF_INET\n\
             one = socket.socket(family)\n\
             one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
             one.settimeout(20)\n\
             one.bind(('{local}', {port}))\n\
             one.connect(('{client}', {to}))\n\
             one.sendall(one.recv(5) + b' back')\n"
        ),
    );
    seen.join().expect("the server connects")
}

/// A server sends a datagram from this port, and gets the answer.
fn udp(lab: &Lab, server: &str, port: u16) -> (IpAddr, u16) {
    let waits = lab.inside("client", || UdpSocket::bind("10.78.0.10:0").expect("a socket"));
    let waits = waits.join().expect("it ends");
    let to = waits.local_addr().expect("an address").port();
    let seen = lab.inside("client", move || {
        waits.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a timeout");
        let (_, peer) = uninterrupted(|| waits.recv_from(&mut [0; 10])).expect("a datagram");
        waits.send_to(b"answer", peer).expect("a way");
        (peer.ip(), peer.port())
    });
    let script = format!(
        "import socket\n\
         one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         one.settimeout(20)\n\
         one.bind(('', {port}))\n\
         one.sendto(b'hello', ('10.78.0.10', {to}))\n\
         assert one.recvfrom(10) == (b'answer', ('10.78.0.10', {to}))\n"
    );
    run(lab, server, &script);
    seen.join().expect("the server sends")
}

fn run(lab: &Lab, server: &str, script: &str) {
    let file = lab.path("opens.py");
    std::fs::write(&file, script).expect("a script");
    lab.must(server, &format!("/usr/bin/python3 {}", file.display()));
}
