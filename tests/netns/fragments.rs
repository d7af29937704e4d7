//! Blocks larger than a packet: every one comes in fragments, as kernels make them.

use crate::daemon::{Daemon, Setup};
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
    // Fragments do not cross: behind this pool are servers over IPv6 alone.
    let (before, after) = text.split_once("name = \"snat\"").expect("a service");
    let (snat, rest) = after.split_once("[[service]]").expect("another one");
    let (head, backends) = snat.split_once("[[service.backend]]").expect("backends");
    let v6 = backends.split("[[service.backend]]").filter(|backend| backend.contains("fd00"));
    let v6: String = v6.map(|backend| format!("[[service.backend]]{backend}")).collect();
    let text = format!("{before}name = \"snat\"{head}{v6}[[service]]{rest}");
    let text = text.replace("\"10.77.0.101\", ", "");
    let daemon = Daemon::with(&lab, &text);
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
