//! Floods of requests from hosts that do not exist, more than there is room for.

use crate::attacker::{Attacker, MAC};
use crate::daemon::{Daemon, Setup};
use crate::peers::{self, Client};
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP, until};
use kit::packet::Packet;
use kit::segment::Segment;
use std::io::Read;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

/// Transfer limit of each backend, and number of clients during the flood.
const PLACES: u32 = 10;
const CLIENTS: usize = 20;

/// The configuration with a transfer limit for the backends of this service.
fn limited(text: &str, service: &str) -> String {
    let name = format!("name = \"{service}\"");
    let (before, rest) = text.split_once(&name).expect("the service");
    let end = rest.find("[[service]]").unwrap_or(rest.len());
    let backend = format!("[[service.backend]]\nmax_transfers = {PLACES}\n");
    let limited = rest[..end].replace("[[service.backend]]\n", &backend);
    [before, &name, &limited, &rest[end..]].concat()
}

/// The `n`th nonexistent host in the network of this VIP.
fn nobody(vip: &str, n: u16) -> SocketAddr {
    let [high, low] = n.to_be_bytes();
    let net = if vip == NAT_VIP { 78 } else { 77 };
    SocketAddr::from(([10, net, 128 | high, low], 2070))
}

fn requests(attacker: &Attacker, vip: &str, ns: std::ops::Range<u16>) -> Vec<Packet> {
    let to = SocketAddr::new(vip.parse().expect("an address"), 69);
    ns.map(|n| attacker.datagram(nobody(vip, n), to, b"\0\x01file\0octet\0")).collect()
}

/// Clients fetch a file during a flood whose rate leaves each request its room for a second.
fn clients_come(lab: &Lab, vip: &str, attacker: &Attacker, first: u16) {
    let flood = requests(attacker, vip, first..first + 120);
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| attacker.flood(flood, 2 * PLACES));
        (0..CLIENTS).for_each(|_| Client::Tftp.get(lab, vip, "file", None));
        drop(flood);
    });
}

#[test]
fn places_at_servers_are_for_clients_that_are_there() {
    let lab = Lab::new();
    peers::files(&lab, &[("file", 5000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let services = [("nat", NAT_VIP), ("snat", SNAT_VIP), ("dsr", DSR_VIP)];
    let text = Setup::default().text(&lab);
    let text = services.iter().fold(text, |text, (service, _)| limited(&text, service));
    let daemon = Daemon::with(&lab, &text);
    let (outside, inside) = (Attacker::among_clients(&lab), Attacker::among_servers(&lab));
    for (service, vip) in services {
        let attacker = if vip == NAT_VIP { &outside } else { &inside };
        attacker.flood(requests(attacker, vip, 0..2 * PLACES as u16), 100);
        until("they have all places", || daemon.total(service, "started") == 2 * u64::from(PLACES));
        clients_come(&lab, vip, attacker, 2 * PLACES as u16);
        assert!(daemon.total(service, "evicted") >= CLIENTS as u64, "{service}");
    }
    daemon.finish();
}

/// A server that answers any request by a whole small file.
struct Answering {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Answering {
    fn start(lab: &Lab, name: &str) -> Answering {
        let file = std::fs::read(lab.path("files/file")).expect("a file");
        let at = SocketAddr::new(peers::address(name).parse().expect("an address"), 69);
        let is_over = Arc::new(AtomicBool::default());
        let over = is_over.clone();
        let thread = lab.inside(name, move || {
            let socket = UdpSocket::bind(at).expect("a socket");
            socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
            let data = [b"\0\x03\0\x01", &file[..]].concat();
            let mut message = [0; 600];
            while !over.load(Relaxed) {
                let Ok((_, from)) = socket.recv_from(&mut message) else { continue };
                if message[1] == 1 {
                    let _ = socket.send_to(&data, from);
                }
            }
        });
        Answering { is_over, thread: Some(thread) }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn answers_to_nobody_do_not_fill_the_table() {
    const ROWS: u16 = 1024;
    let lab = Lab::new();
    peers::files(&lab, &[("file", 500)]);
    let _servers = ["s1", "s2"].map(|name| Answering::start(&lab, name));
    let text = Setup::default().text(&lab);
    let text = text.replace("max_flows = 4096", &format!("max_flows = {ROWS}"));
    let daemon = Daemon::with(&lab, &text);
    let (outside, inside) = (Attacker::among_clients(&lab), Attacker::among_servers(&lab));
    for (service, vip, attacker) in [("nat", NAT_VIP, &outside), ("snat", SNAT_VIP, &inside)] {
        attacker.flood(requests(attacker, vip, 0..ROWS), 1000);
        until("they are answered", || {
            daemon.total(service, "responded") >= u64::from(ROWS) * 9 / 10
        });
        clients_come(&lab, vip, attacker, ROWS);
        assert!(daemon.total(service, "evicted") > 0, "{service}");
    }
    assert_eq!(daemon.stat("drops", "flow-table-full"), 0);
    daemon.finish();
}

#[test]
fn half_open_connections_keep_nobody_out() {
    let lab = Lab::new();
    let _servers = [peers::sshd(&lab, "s1"), peers::sshd(&lab, "s2")];
    let setup = Setup { protocol: "tcp", service: "port = 22", ..Setup::default() };
    let daemon = Daemon::with(&lab, &limited(&setup.text(&lab), "nat"));
    let (outside, inside) = (Attacker::among_clients(&lab), Attacker::among_servers(&lab));
    // Older connections, of another service.
    inside.flood(syns(&inside, SNAT_VIP, 0..100), 500);
    until("they are half open", || daemon.total("snat", "started") == 100);
    outside.flood(syns(&outside, NAT_VIP, 0..2 * PLACES as u16), 100);
    until("they have all places", || daemon.total("nat", "started") == 2 * u64::from(PLACES));
    let flood = syns(&outside, NAT_VIP, 1000..1100);
    std::thread::scope(|scope| {
        scope.spawn(|| outside.flood(flood, 2 * PLACES));
        for _ in 0..CLIENTS {
            assert_eq!(&greeting(&lab), b"SSH-");
        }
    });
    assert!(daemon.total("nat", "evicted") >= CLIENTS as u64);
    daemon.finish();
}

fn syns(attacker: &Attacker, vip: &str, ns: std::ops::Range<u16>) -> Vec<Segment> {
    let destination = SocketAddr::new(vip.parse().expect("an address"), 22);
    let syn = |n| Segment {
        from: MAC,
        to: attacker.gate,
        source: nobody(vip, n),
        destination,
        ttl: 64,
        flags: "S".to_owned(),
        sequence: u32::from(n) << 16,
        acknowledgement: 0,
        options: vec![],
        payload: vec![],
    };
    ns.map(syn).collect()
}

/// The server's first bytes to a client.
fn greeting(lab: &Lab) -> [u8; 4] {
    let vip = SocketAddr::new(NAT_VIP.parse().expect("an address"), 22);
    let heard = lab.inside("client", move || {
        let mut stream = TcpStream::connect(vip).expect("it is let in");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let mut word = [0; 4];
        stream.read_exact(&mut word).expect("the server speaks");
        word
    });
    heard.join().expect("it ends")
}
