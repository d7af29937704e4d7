//! Packets for no service: the kernel's, or dropped.

use crate::client::{Habits, fetch};
use crate::crowd::is_answered;
use crate::daemon::{Daemon, Setup, rows};
use crate::peers;
use crate::wiring::plug;
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP, VIPS, uninterrupted, until};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

#[test]
fn pings_to_interfaces_vips_and_servers() {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab, Setup::default());
    for address in ["10.78.0.1", "10.77.0.1", NAT_VIP, SNAT_VIP, DSR_VIP, "10.77.0.101"] {
        lab.must("client", &format!("ping -c 2 -i 0.2 -W 2 {address}"));
    }
    // For VIPs and SNAT pool; neighbour requests for a VIP included.
    let answered = daemon.stat("packets", "answered");
    assert!(answered >= 8 + 3, "{answered}");
    // Server and client reach each other through the gate, by kernel routing.
    lab.must("client", "ip route add 10.77.0.30/32 via 10.78.0.1");
    lab.must("s1", "ping -c 2 -i 0.2 -W 2 10.78.0.10");
    let neighbours = lab.must("client", &format!("ip neigh show {NAT_VIP}"));
    let mac = lab.must("gate", "cat /sys/class/net/dev0/address");
    assert!(neighbours.contains(mac.trim()), "{neighbours} is not {mac}");
    daemon.finish();
}

#[test]
fn nothing_but_the_service_is_reached_through_a_vip() {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab, Setup::default());
    let heard = lab.inside("gate", || {
        let listener = UdpSocket::bind("0.0.0.0:9999").expect("a free port");
        listener.set_read_timeout(Some(Duration::from_secs(4))).expect("a timeout");
        uninterrupted(|| listener.recv(&mut [0; 16])).map_err(|error| error.kind())
    });
    let ssh = lab.inside("gate", || TcpListener::bind("0.0.0.0:22").expect("a free port"));
    let _ssh = ssh.join().expect("it listens");
    let reached = lab.inside("client", || TcpStream::connect("10.78.0.1:22").is_ok());
    assert!(reached.join().expect("it ends"), "at the interface's own address it answers");
    for vip in VIPS {
        let refused = lab.inside("client", move || {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
            socket.send_to(b"hello", (vip, 9999)).expect("a datagram");
            let vip = format!("{vip}:22").parse().expect("an address");
            TcpStream::connect_timeout(&vip, Duration::from_millis(500)).is_err()
        });
        assert!(refused.join().expect("it ends"), "{vip}: port 22 answers");
    }
    assert!(daemon.stat("drops", "no-service") >= 6);
    let heard = heard.join().expect("it ends");
    assert_eq!(heard, Err(ErrorKind::WouldBlock), "the kernel got it");
    // Such a listener has the interface's own address, so the test can receive.
    let heard = lab.inside("gate", || {
        let listener = UdpSocket::bind("0.0.0.0:9998").expect("a free port");
        listener.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        uninterrupted(|| listener.recv(&mut [0; 16])).map_err(|error| error.kind())
    });
    let sent = lab.inside("client", || {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        for _ in 0..20 {
            socket.send_to(b"hello", "10.78.0.1:9998").expect("a datagram");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    sent.join().expect("it ends");
    assert_eq!(heard.join().expect("it ends"), Ok(5));
    daemon.finish();
}

#[test]
fn a_vip_lives_as_long_as_the_kernel_holds_it() {
    let lab = Lab::new();
    peers::files(&lab, &[("small", 100)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    let state = |wanted: &str| {
        let services = daemon.ask("services").expect("services");
        rows(&services).any(|row| row["name"] == "nat" && row["state"] == wanted)
    };
    let file = |lab: &Lab| {
        let (from, to) = ("10.78.0.10:0", format!("{NAT_VIP}:69"));
        let (from, to) = (from.parse().expect("an endpoint"), to.parse().expect("an endpoint"));
        let client = lab.inside("client", move || fetch(from, to, "small", Habits::default()));
        client.join().expect("it ends")
    };
    assert!(state("live"));
    assert_eq!(file(&lab).map(|file| file.len()), Ok(100));

    lab.must("gate", &format!("ip address del {NAT_VIP}/32 dev clients"));
    until("the VIP is down", || state("vip down"));
    lab.must("client", "ip neigh flush dev c0");
    assert!(!lab.run("client", &format!("ping -c 1 -W 1 {NAT_VIP}")).status.success());
    let neighbours = lab.must("client", &format!("ip neigh show {NAT_VIP}"));
    assert!(!neighbours.contains("lladdr"), "somebody answers ARP for it: {neighbours}");

    lab.must("gate", &format!("ip address add {NAT_VIP}/32 dev clients"));
    until("the VIP is live", || state("live"));
    lab.must("client", "ip neigh flush dev c0");
    assert_eq!(file(&lab).map(|file| file.len()), Ok(100));
    daemon.finish();
}

/// Datagrams per second: more than the kernel forwards on two busy cores.
const BULK: u32 = 200_000;
const QUESTIONS: u8 = 50;
const DISCARD: u16 = 9;
const BFD: u16 = 3784;

/// A server sends through the gate to a host that is no client, while hosts resolve an address of the gate's kernel.
/// Such bulk traffic does not count as BFD.
#[test]
fn bulk_that_is_routed_pushes_no_questions_for_neighbours_out() {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab, Setup::default());
    lab.must("client", "ip route add 10.77.0.30/32 via 10.78.0.1");
    let link = plug(&lab, "switch", "asker");
    link.set_nonblocking(true).expect("it can be");
    lab.must("switch", "ip link set asker master br0");
    for port in [DISCARD, BFD] {
        let is_over = Arc::new(AtomicBool::new(false));
        let before = daemon.stat("packets", "to_kernel");
        let bulk = lab.inside("s1", {
            let is_over = Arc::clone(&is_over);
            move || send_bulk(port, &is_over)
        });
        // Most of it is lost, depending on the machine.
        until("it comes", || daemon.stat("packets", "to_kernel") > before + 1000);
        let answered = (1..=QUESTIONS).filter(|&n| {
            let host = Ipv4Addr::new(10, 77, 16, n).into();
            is_answered(&link, host, Ipv4Addr::new(10, 77, 0, 1).into())
        });
        assert_eq!(answered.count(), usize::from(QUESTIONS), "bulk to port {port}");
        is_over.store(true, Relaxed);
        bulk.join().expect("it ends");
    }
    daemon.finish();
}

/// Sends datagrams to a client at a fixed rate, for twenty seconds at most.
fn send_bulk(port: u16, is_over: &AtomicBool) {
    let socket = UdpSocket::bind("10.77.0.30:9").expect("the address is the server's");
    let start = Instant::now();
    let mut sent = 0;
    while !is_over.load(Relaxed) && start.elapsed() < Duration::from_secs(20) {
        let due = (start.elapsed().as_secs_f64() * f64::from(BULK)) as u32;
        for _ in sent..due {
            let _ = socket.send_to(&[0; 1000], ("10.78.0.10", port));
        }
        sent = due;
    }
}
