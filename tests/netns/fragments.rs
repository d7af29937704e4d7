//! Blocks larger than a packet: every one comes in fragments, as kernels make them.

use crate::daemon::{Daemon, Setup};
use crate::ipv6::{CROSSING, OLD_CLIENTS, OLD_FARM, dual};
use crate::peers::{self, Client};
use kit::lab::{Lab, VIPS, VIPS_V6};

const SIZES: [(&str, usize); 2] = [("small", 5000), ("image", 1 << 20)];

#[test]
fn large_blocks_pass_in_every_mode() {
    let lab = Lab::new();
    peers::files(&lab, &SIZES);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    // On af_packet the kernel joins fragments of IPv4 before Tidegate sees them.
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
        assert_eq!(daemon.total(service, "completed"), 24, "{service}");
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
    let text =
        Setup { ipv6: true, workers: "0, 1", device_arguments: ",qpairs=2", ..Setup::default() };
    let text = text.text(&lab);
    // Behind this pool are servers over IPv6 alone: on af_packet the kernel joins the others' fragments.
    let (before, after) = text.split_once("name = \"snat\"").expect("a service");
    let (snat, rest) = after.split_once("[[service]]").expect("another one");
    let (head, backends) = snat.split_once("[[service.backend]]").expect("backends");
    let v6 = backends.split("[[service.backend]]").filter(|backend| backend.contains("fd00"));
    let v6: String = v6.map(|backend| format!("[[service.backend]]{backend}")).collect();
    let text = format!("{before}name = \"snat\"{head}{v6}[[service]]{rest}");
    let text = text.replace("\"10.77.0.101\", ", "");
    let daemon = Daemon::with(&lab, &text);
    daemon.has_workers(2);
    for vip in VIPS_V6 {
        for blksize in [1470, 8192, 65_464] {
            Client::Curl.get(&lab, vip, "image", Some(blksize));
            Client::Atftp.put(&lab, vip, "image", Some(blksize));
        }
    }
    for service in ["nat", "snat"] {
        assert_eq!(daemon.total(service, "completed"), 6, "{service}");
    }
    daemon.finish();
}

/// From IPv4 to IPv6 blocks are held to what fits a packet, the other way they come in fragments.
#[test]
fn large_blocks_cross_between_the_versions() {
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
        assert_eq!(daemon.total(service, "completed"), 36, "{service}");
    }
    daemon.finish();
}
