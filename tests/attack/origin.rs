//! Spoofed packets in a server's name, and in a client's to get its answers.

mod questions;

use crate::attacker::{Attacker, MAC};
use crate::daemon::{Daemon, Setup, rows};
use crate::peers;
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, until};
use kit::packet::Packet;
use kit::segment::Segment;
use kit::topology::first_port;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

const SERVERS: [(&str, &str); 2] = [("s1", "10.77.0.30"), ("s2", "10.77.0.31")];
const CLIENTS: usize = 20;
const FIRST_PORT: u16 = 20_000;
const PORT: u16 = 7007;

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), port)
}

/// Sockets on these ports of a host.
fn sockets(lab: &Lab, host: &str, address: &'static str, ports: Vec<u16>) -> Vec<UdpSocket> {
    let made = lab.inside(host, move || {
        let all = ports.into_iter().map(|port| UdpSocket::bind((address, port)));
        all.collect::<Result<_, _>>().expect("the ports are free")
    });
    made.join().expect("it ends")
}

/// Clients that have asked silent servers: the first answer is a spoofed one.
fn asked(lab: &Lab, address: &'static str, vip: &str) -> Vec<UdpSocket> {
    let ports = (0..CLIENTS as u16).map(|n| FIRST_PORT + n).collect();
    let clients = sockets(lab, "client", address, ports);
    for client in &clients {
        client.send_to(b"\0\x01file\0octet\0", at(vip, 69)).expect("it is sent");
    }
    clients
}

/// Number of clients that have received something.
fn heard(clients: &[UdpSocket]) -> usize {
    std::thread::sleep(Duration::from_millis(500));
    let has_heard = |client: &&UdpSocket| {
        client.set_nonblocking(true).expect("it can be");
        client.recv(&mut [0; 600]).is_ok()
    };
    clients.iter().filter(has_heard).count()
}

/// DATA 1 to these clients, from each server's address.
fn answers<'a>(
    attacker: &'a Attacker,
    to: impl Iterator<Item = SocketAddr> + 'a,
) -> impl Iterator<Item = Packet> + 'a {
    to.flat_map(move |to| {
        SERVERS.map(|(_, server)| attacker.datagram(at(server, 40_000), to, b"\0\x03\0\x01evil"))
    })
}

fn silent_servers(lab: &Lab) -> Vec<UdpSocket> {
    SERVERS.iter().flat_map(|(host, _)| sockets(lab, host, "0.0.0.0", vec![69])).collect()
}

/// Servers' addresses are accepted on their own interface only.
#[test]
fn nobody_answers_for_a_server_on_the_clients_link() {
    let lab = Lab::new();
    let _silent = silent_servers(&lab);
    let daemon = Daemon::start(&lab, Setup::default());
    let attacker = Attacker::among_clients(&lab);
    let clients = asked(&lab, "10.78.0.10", NAT_VIP);
    until("all have asked", || daemon.total("nat", "started") == CLIENTS as u64);
    let to = (0..CLIENTS as u16).map(|n| at("10.78.0.10", FIRST_PORT + n));
    attacker.flood(answers(&attacker, to), 500);
    until("each server's are dropped", || daemon.stat("drops", "wrong-origin") >= CLIENTS as u64);
    assert_eq!(heard(&clients), 0, "clients that took the attacker's block");
    daemon.finish();
}

/// On that interface, only from the servers' hardware addresses.
#[test]
fn nobody_answers_for_a_server_on_its_own_link() {
    let lab = Lab::new();
    let _silent = silent_servers(&lab);
    let daemon = Daemon::start(&lab, Setup::default());
    let attacker = Attacker::among_servers(&lab);
    let clients = asked(&lab, "10.77.0.10", SNAT_VIP);
    until("all have asked", || daemon.total("snat", "started") == CLIENTS as u64);
    let first = first_port(at("10.77.0.10", 0).ip());
    let to = (first..first + 100).map(|port| at("10.77.0.101", port));
    attacker.flood(answers(&attacker, to), 500);
    until("each server's are dropped", || daemon.stat("drops", "wrong-origin") >= CLIENTS as u64);
    assert_eq!(heard(&clients), 0, "clients that took the attacker's block");
    daemon.finish();
}

/// Both ends of a TCP connection through the gate.
struct Ends {
    client: TcpStream,
    server: TcpStream,
}

impl Ends {
    fn connect(lab: &Lab, vip: &str) -> Ends {
        let listen = |host: &str| {
            let made = lab.inside(host, || TcpListener::bind(("0.0.0.0", PORT)));
            let listener = made.join().expect("it ends").expect("the port is free");
            listener.set_nonblocking(true).expect("it can be");
            listener
        };
        let listeners = SERVERS.map(|(host, _)| listen(host));
        let vip = at(vip, PORT);
        let client = lab.inside("client", move || TcpStream::connect(vip));
        let client = client.join().expect("it ends").expect("a server accepts");
        let mut server = None;
        until("one has accepted", || {
            server = listeners.iter().find_map(|one| one.accept().ok());
            server.is_some()
        });
        let (server, _) = server.expect("one has");
        server.set_nonblocking(false).expect("it can be");
        for end in [&client, &server] {
            end.set_read_timeout(Some(Duration::from_secs(10))).expect("it can be");
        }
        Ends { client, server }
    }

    /// The server sends and the client receives in time; then the other way round.
    fn talk(&mut self) {
        let mut word = [0; 5];
        self.server.write_all(b"hello").expect("it is sent");
        self.client.read_exact(&mut word).expect("the client hears it");
        self.client.write_all(b"world").expect("it is sent");
        self.server.read_exact(&mut word).expect("the server hears it");
    }
}

fn tcp() -> Setup {
    Setup { protocol: "tcp", service: "port = 7007", ..Setup::default() }
}

/// Segments between these ends with guessed numbers.
fn blind(attacker: &Attacker, source: SocketAddr, destination: SocketAddr) -> Vec<Segment> {
    let to = attacker.datagram(source, destination, b"").to;
    let guess = |n: u32, flags: &str| Segment {
        from: MAC,
        to,
        source,
        destination,
        ttl: 64,
        flags: flags.into(),
        sequence: n.wrapping_mul(0x1357_9bdf),
        acknowledgement: n.wrapping_mul(0x2468_ace1),
        options: vec![],
        payload: vec![],
    };
    (1..40).flat_map(|n| ["A", "AP", "S", "FA"].map(|flags| guess(n, flags))).collect()
}

/// Spoofed client segments without valid numbers.
#[test]
fn a_blind_segment_does_not_have_a_client_s_answers() {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab, tcp());
    let attacker = Attacker::among_clients(&lab);
    let mut ends = Ends::connect(&lab, NAT_VIP);
    ends.talk();
    let client = ends.client.local_addr().expect("it has one");
    for segment in blind(&attacker, client, at(NAT_VIP, PORT)) {
        attacker.send(segment);
    }
    ends.talk();
    daemon.finish();
}

/// Spoofed server segments without valid numbers.
#[test]
fn a_blind_segment_does_not_have_a_server_s_answers() {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab, tcp());
    let attacker = Attacker::among_servers(&lab);
    let mut ends = Ends::connect(&lab, NAT_VIP);
    ends.talk();
    let client = ends.client.local_addr().expect("it has one");
    let server = ends.server.local_addr().expect("it has one");
    let sent = blind(&attacker, server, client);
    let count = sent.len() as u64;
    for segment in sent {
        attacker.send(segment);
    }
    until("all are dropped", || daemon.stat("drops", "wrong-origin") == count);
    ends.talk();
    daemon.finish();
}

/// The protection does not cut off a client whose network card is replaced.
#[test]
fn a_client_with_another_hardware_address_goes_on() {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab, tcp());
    let mut ends = Ends::connect(&lab, NAT_VIP);
    ends.talk();
    lab.must("client", "ip link set dev c0 address 02:00:00:00:99:99");
    // A client that moves sends first.
    ends.client.write_all(b"moved").expect("it is sent");
    ends.server.read_exact(&mut [0; 5]).expect("the server hears it");
    ends.talk();
    daemon.finish();
}

/// A kernel route past a backend's own network, such as from a router advertisement, is ignored.
#[test]
fn a_backend_is_not_looked_for_on_another_link() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("file", 5000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup { ipv6: true, ..Setup::default() });
    let state = |address: &str| {
        let all = daemon.ask("backends").expect("it answers");
        let states = rows(&all).filter(|one| one["service"] == "nat" && one["address"] == address);
        states.map(|one| one["state"].as_str().unwrap_or_default().to_owned()).next()
    };
    for (address, by) in [
        ("fd00:77::30", "fd00:77::30/128 via fe80::66"),
        ("10.77.0.30", "10.77.0.30/32 via 10.78.0.66"),
    ] {
        assert_eq!(state(address).as_deref(), Some("up"));
        lab.must("gate", "ip neigh replace fe80::66 lladdr 02:00:00:00:66:66 dev clients");
        lab.must("gate", "ip neigh replace 10.78.0.66 lladdr 02:00:00:00:66:66 dev clients");
        lab.must("gate", &format!("ip route add {by} dev clients"));
        until("it is not reached", || state(address).as_deref() == Some("unresolved"));
        let log = lab.log();
        let said = log.lines().filter(|line| line.contains(address) && line.contains("past its"));
        assert_eq!(said.count(), 1, "one line says why");
        peers::Client::Tftp.get(&lab, NAT_VIP, "file", None);
        lab.must("gate", &format!("ip route del {by} dev clients"));
        until("it is reached again", || state(address).as_deref() == Some("up"));
    }
    daemon.finish();
}
