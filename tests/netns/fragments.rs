//! Blocks and datagrams larger than a packet, fragmented by real kernels.

use crate::daemon::{Daemon, Setup, rows};
use crate::echo::{self, PORT};
use crate::ipv6::{CROSSING, OLD_CLIENTS, OLD_FARM, dual};
use crate::peers::{self, Client};
use kit::lab::{Lab, VIPS, VIPS_V6};
use std::net::SocketAddr;

const SIZES: [(&str, usize); 2] = [("small", 5000), ("image", 1 << 20)];

#[test]
fn large_blocks_pass_in_every_mode() {
    let lab = Lab::new();
    peers::files(&lab, &SIZES);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    // On af_packet the kernel reassembles IPv4 fragments before Tidegate sees them.
    let daemon = Daemon::start(&lab, Setup { driver: "net_af_xdp", ..Setup::default() });
    for vip in VIPS {
        for blksize in [1470, 8192, 65_464] {
            for (file, _) in SIZES {
                for client in [Client::Curl, Client::Atftp] {
                    client.get(&lab, vip, file, Some(blksize));
                    client.put(&lab, vip, file, Some(blksize));
                }
            }
        }
    }
    for service in ["nat", "snat"] {
        daemon.completes(service, 24);
        assert_eq!(daemon.total(service, "started"), 24, "{service}");
    }
    assert_eq!(daemon.stat("drops", "fragment"), 0);
    daemon.finish();
}

#[test]
fn large_blocks_pass_over_ipv6_with_two_workers() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &SIZES);
    let _v6 = [peers::tftpd_hpa_v6(&lab, "s1"), peers::tftpd_hpa_v6(&lab, "s2")];
    let daemon = Daemon::with(&lab, &v6_farm(&lab, two_workers("tftp")));
    daemon.has_workers(2);
    for vip in VIPS_V6 {
        for blksize in [1470, 8192, 65_464] {
            Client::Curl.get(&lab, vip, "image", Some(blksize));
            Client::Atftp.put(&lab, vip, "image", Some(blksize));
        }
    }
    for service in ["nat", "snat"] {
        daemon.completes(service, 6);
    }
    daemon.finish();
}

/// From IPv4 to IPv6 blocks are limited to one packet; in the other direction they are fragmented.
#[test]
fn large_blocks_are_translated() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &SIZES);
    let _v4 = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let _v6 = [peers::tftpd_hpa_v6(&lab, "s1"), peers::tftpd_hpa_v6(&lab, "s2")];
    let setup = Setup { driver: "net_af_xdp", ..dual() };
    let daemon = Daemon::with(&lab, &(setup.text(&lab) + CROSSING));
    for vip in [OLD_FARM, OLD_CLIENTS] {
        for client in [Client::Curl, Client::Atftp, Client::Busybox] {
            for blksize in [1470, 8192, 65_464] {
                // Round robin: both servers.
                for _ in 0..2 {
                    client.get(&lab, vip, "image", Some(blksize));
                }
                for _ in 0..2 {
                    client.put(&lab, vip, "image", Some(blksize));
                }
            }
        }
    }
    for service in ["old-farm", "old-clients"] {
        daemon.completes(service, 36);
    }
    daemon.finish();
}

/// Two workers need pairs of queues, which a veth pair has only on af_packet.
fn two_workers(protocol: &'static str) -> Setup {
    let workers = "0, 1";
    Setup { protocol, ipv6: true, workers, device_arguments: ",qpairs=2", ..Setup::default() }
}

/// Only IPv6 servers are behind the SNAT pool: on af_packet the kernel reassembles other fragments.
fn v6_farm(lab: &Lab, setup: Setup) -> String {
    let text = setup.text(lab);
    let (before, after) = text.split_once("name = \"snat\"").expect("a service");
    let (snat, rest) = after.split_once("[[service]]").expect("another one");
    let (head, backends) = snat.split_once("[[service.backend]]").expect("backends");
    let v6 = backends.split("[[service.backend]]").filter(|backend| backend.contains("fd00"));
    let v6: String = v6.map(|backend| format!("[[service.backend]]{backend}")).collect();
    let text = format!("{before}name = \"snat\"{head}{v6}[[service]]{rest}");
    text.replace("\"10.77.0.101\", ", "")
}

const AT_PORT: &str = "port = 7007";

#[test]
fn large_datagrams_pass_in_every_mode() {
    let lab = Lab::new().with_ipv6();
    let _servers = ["s1", "s2"].map(|name| echo::server(&lab, name, PORT));
    let setup = Setup { protocol: "udp", service: AT_PORT, ..Setup::default() };
    let daemon = Daemon::start(&lab, Setup { driver: "net_af_xdp", ..setup });
    large_datagrams_come_back(&lab, &daemon, VIPS);
    daemon.finish();
}

#[test]
fn large_datagrams_pass_over_ipv6_with_two_workers() {
    let lab = Lab::new().with_ipv6();
    let _servers = ["s1", "s2"].map(|name| echo::server(&lab, name, PORT));
    let setup = Setup { service: AT_PORT, ..two_workers("udp") };
    let daemon = Daemon::with(&lab, &v6_farm(&lab, setup));
    daemon.has_workers(2);
    large_datagrams_come_back(&lab, &daemon, VIPS_V6);
    daemon.finish();
}

/// Clients of all services send and receive 8 KiB at a time.
fn large_datagrams_come_back(lab: &Lab, daemon: &Daemon, vips: [&str; 3]) {
    for vip in vips {
        let vip = SocketAddr::new(vip.parse().expect("an address"), PORT);
        let clients: Vec<_> = (0..4).map(|_| echo::Client::udp(lab, vip)).collect();
        for n in 0..20 {
            for client in &clients {
                assert_eq!(client.say(&large(n)), client.first, "at {vip}");
            }
        }
    }
    let flows = daemon.ask("flows").expect("flows");
    for connection in rows(&flows["connections"]) {
        let bytes = |side: &str| connection[side].as_u64().expect("a number");
        let is_dsr = connection["service"] == "dsr";
        let answers = if is_dsr { bytes("bytes_out") == 0 } else { bytes("bytes_out") > 20 * 8192 };
        assert!(bytes("bytes_in") > 20 * 8192 && answers, "{connection}");
    }
    assert_eq!(rows(&flows["connections"]).count(), 12);
    assert_eq!(daemon.stat("drops", "fragment"), 0);
}

/// 8 KiB without repetition.
fn large(n: usize) -> String {
    (0..8192 / 8).map(|word| format!("{n:03}{word:05}")).collect()
}

/// A datagram that fills an IPv4 link is too large for IPv6: the sender gets one ICMP error and sends again.
#[test]
fn large_datagrams_are_translated() {
    let lab = Lab::new().with_ipv6();
    let _servers = ["s1", "s2"].map(|name| echo::server(&lab, name, PORT));
    let setup = Setup { protocol: "udp", service: AT_PORT, ipv6: true, ..Setup::default() };
    let daemon = Daemon::start(&lab, Setup { driver: "net_af_xdp", ..setup });
    for vip in [VIPS[1], VIPS_V6[1]] {
        let vip = SocketAddr::new(vip.parse().expect("an address"), PORT);
        // One client per server, of either family.
        let clients: Vec<_> = (0..4).map(|_| echo::Client::udp(&lab, vip)).collect();
        for client in &clients {
            assert_eq!(client.say_until_heard(&large(0)), client.first, "at {vip}");
        }
        for client in &clients {
            assert_eq!(client.say(&large(0)), client.first, "at {vip}");
        }
    }
    assert_eq!(daemon.stat("drops", "fragment"), 0);
    daemon.finish();
}
