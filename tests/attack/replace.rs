//! Spoofed requests in the name of clients with running downloads.

use crate::attacker::Attacker;
use crate::daemon::{Daemon, Setup};
use crate::peers;
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP, uninterrupted, until};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

const SIZE: usize = 1_000_000;
/// Ports of one client, with a download each.
const PORTS: std::ops::RangeInclusive<u16> = 3001..=3020;

/// Spoofed requests end no download: a client goes on with the TID that it knows.
#[test]
fn running_downloads_outlive_spoofed_requests() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", SIZE), ("other", 5000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    let clients = Attacker::among_clients(&lab);
    let servers = Attacker::among_servers(&lab);
    let file = std::fs::read(lab.path("files/image")).expect("the file");
    for (attacker, service, vip, net) in [
        (&clients, "nat", NAT_VIP, 78),
        (&servers, "snat", SNAT_VIP, 77),
        (&servers, "dsr", DSR_VIP, 77),
    ] {
        let (client, server) = ends(vip, net);
        let running = start(&lab, (client, server));
        if service == "dsr" {
            // Before that, a repeated request counts as the client's own (SECURITY.md).
            std::thread::sleep(Duration::from_millis(1300));
        }
        let spoofed = PORTS.flat_map(|port| {
            [b"\0\x01other\0octet\0".as_slice(), b"\0\x01image\0octet\0", b"\0\x01none\0octet\0"]
                .map(|request| attacker.datagram((client, port).into(), server, request))
        });
        attacker.flood(spoofed, 100);
        for download in running {
            let got = download.join().expect("it ends");
            assert!(
                got.as_deref() == Some(&file),
                "{service}: {:?} bytes",
                got.map(|got| got.len())
            );
        }
        if service != "dsr" {
            until("all are completed", || daemon.total(service, "completed") == 20);
        }
    }
    daemon.finish();
}

/// An ERROR to the service's port, where no downloading client sends one, ends nothing either.
#[test]
fn running_downloads_outlive_spoofed_errors() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", SIZE)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    let clients = Attacker::among_clients(&lab);
    let servers = Attacker::among_servers(&lab);
    let file = std::fs::read(lab.path("files/image")).expect("the file");
    for (attacker, service, vip, net) in
        [(&clients, "nat", NAT_VIP, 78), (&servers, "snat", SNAT_VIP, 77)]
    {
        let (client, server) = ends(vip, net);
        let running = start(&lab, (client, server));
        let spoofed =
            PORTS.map(|port| attacker.datagram((client, port).into(), server, b"\0\x05\0\0gone\0"));
        attacker.flood(spoofed, 100);
        let got = running.into_iter().map(|download| download.join().expect("it ends"));
        let whole = got.filter(|got| got.as_deref() == Some(&file)).count();
        assert_eq!(whole, 20, "{service}");
    }
    daemon.finish();
}

/// The client, and the service's port at a VIP.
fn ends(vip: &str, net: u8) -> (Ipv4Addr, SocketAddr) {
    let vip: Ipv4Addr = vip.parse().expect("an address");
    (Ipv4Addr::new(10, net, 0, 10), (vip, 69).into())
}

/// Running downloads, one per port: every client has acknowledged some blocks.
fn start(lab: &Lab, (client, server): (Ipv4Addr, SocketAddr)) -> Vec<JoinHandle<Option<Vec<u8>>>> {
    let under_way = Arc::new(AtomicUsize::new(0));
    let running: Vec<_> = PORTS
        .map(|port| {
            let under_way = Arc::clone(&under_way);
            lab.inside("client", move || download((client, port).into(), server, &under_way))
        })
        .collect();
    until("all downloads run", || under_way.load(Relaxed) == running.len());
    running
}

/// The block from which on a download counts as running.
const SOME: u16 = 3;

/// Fetches the file slowly in blocks of 512, and ignores other TIDs than its server's.
fn download(from: SocketAddr, server: SocketAddr, under_way: &AtomicUsize) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind(from).expect("the address is the client's");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let (mut got, mut tid) = (vec![], None);
    let mut last = (b"\0\x01image\0octet\0".to_vec(), server);
    for _ in 0..10 {
        socket.send_to(&last.0, last.1).expect("a datagram");
        let mut message = [0; 516];
        while let Ok((len, peer)) = uninterrupted(|| socket.recv_from(&mut message)) {
            let next = ((got.len() / 512 + 1) as u16).to_be_bytes();
            if *tid.get_or_insert(peer) != peer || message[..4] != [0, 3, next[0], next[1]] {
                continue;
            }
            got.extend_from_slice(&message[4..len]);
            last = (vec![0, 4, next[0], next[1]], peer);
            std::thread::sleep(Duration::from_millis(2));
            socket.send_to(&last.0, last.1).expect("a datagram");
            if last.0[2..] == SOME.to_be_bytes() {
                under_way.fetch_add(1, Relaxed);
            }
            if len < 516 {
                return Some(got);
            }
        }
    }
    None
}
