//! Amplification: spoofed requests make servers send more to a victim than the attacker has sent.

use crate::daemon::{Daemon, Setup};
use crate::peers;
use kit::lab::{Lab, NAT_VIP, SNAT_VIP};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// Time for which the victim is watched: the slowest of these servers repeats itself after five seconds.
const WATCH: Duration = Duration::from_secs(11);

const PLAIN: &[u8] = b"\0\x01large\0octet\0";
const WINDOW: &[u8] = b"\0\x01large\0octet\0blksize\x001428\0windowsize\x0016\0tsize\x000\0";

/// A victim's socket, which only receives.
struct Victim {
    socket: UdpSocket,
    request: &'static [u8],
}

impl Victim {
    fn new(vip: &'static str, request: &'static [u8]) -> Victim {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        // Packets from any source.
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        socket.send_to(request, (vip, 69)).expect("it is sent");
        Victim { socket, request }
    }

    /// Messages received for a while, and their bytes by IP length.
    fn hears(&self) -> (usize, usize) {
        let (start, mut heard) = (Instant::now(), (0, 0));
        let mut message = [0; 2048];
        while start.elapsed() < WATCH {
            if let Ok(len) = self.socket.recv(&mut message) {
                heard = (heard.0 + 1, heard.1 + 28 + len);
            }
        }
        heard
    }
}

/// A spoofed request causes at most two messages of the server; with options, these are two OACKs.
fn two_messages_for_a_request(lab: &Lab, server: &str) {
    let daemon = Daemon::start(lab, Setup::default());
    let victims = [NAT_VIP, SNAT_VIP].map(|vip| {
        [PLAIN, WINDOW].map(|request| {
            lab.inside("client", move || {
                let victim = Victim::new(vip, request);
                let once = victim.hears();
                victim.socket.send_to(victim.request, (vip, 69)).expect("it is sent");
                (once, victim.hears())
            })
        })
    });
    for (service, victims) in ["nat", "snat"].into_iter().zip(victims) {
        for (victim, request) in victims.into_iter().zip([PLAIN, WINDOW]) {
            let (once, again) = victim.join().expect("it ends");
            // The first request's messages may come while the second one is sent.
            let both = (once.0 + again.0, once.1 + again.1);
            for (requests, (messages, bytes)) in [(1, once), (2, both)] {
                let times = bytes as f64 / (requests * (28 + request.len())) as f64;
                println!("{server}, {service}: {messages} messages, {times:.1} times the request");
                let some = requests..=2 * requests;
                assert!(some.contains(&messages), "{server}, {service}: {messages} messages");
                let most = if request == PLAIN { 2.0 * 544.0 / 42.0 } else { 2.0 };
                assert!(times <= most, "{server}, {service}: {times} times the request");
            }
        }
    }
    assert!(daemon.stat("drops", "unheard-client") > 0, "{server} did not repeat itself");
    daemon.finish();
}

fn lab() -> Lab {
    let lab = Lab::new();
    peers::files(&lab, &[("large", 100_000)]);
    lab
}

#[test]
fn tftpd_hpa() {
    let lab = lab();
    let quick = |name, address| peers::tftpd_hpa_with(&lab, name, address, "--retransmit 100000");
    let _servers = [quick("s1", "10.77.0.30"), quick("s2", "10.77.0.31")];
    two_messages_for_a_request(&lab, "tftpd-hpa");
}

#[test]
fn atftpd() {
    let lab = lab();
    let _servers = [peers::atftpd(&lab, "s1"), peers::atftpd(&lab, "s2")];
    two_messages_for_a_request(&lab, "atftpd");
}

#[test]
fn dnsmasq() {
    let lab = lab();
    let _servers = ["s1", "s2"].map(|name| peers::dnsmasq(&lab, name, ""));
    two_messages_for_a_request(&lab, "dnsmasq");
}

/// A server that answers everything from port 69.
#[test]
fn dnsmasq_with_a_single_port() {
    let lab = lab();
    let _servers = ["s1", "s2"].map(|name| peers::single_port(&lab, name));
    two_messages_for_a_request(&lab, "dnsmasq --tftp-single-port");
}
