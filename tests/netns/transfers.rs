//! Files in each mode, with every client, from both servers, compared byte by byte.

use crate::daemon::{Daemon, Setup};
use crate::peers::{self, CLIENTS, Client};
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP, VIPS};

const SIZES: [(&str, usize); 4] =
    [("empty", 0), ("small", 100), ("even", 8 * 512), ("image", 4 << 20)];

#[test]
fn every_client_reads_every_size_in_every_mode_from_both_servers() {
    let lab = Lab::new();
    peers::files(&lab, &SIZES);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    for client in CLIENTS {
        for vip in VIPS {
            // curl never ends with an empty file, even without a gate.
            let sizes = if client == Client::Curl { &SIZES[1..] } else { &SIZES[..] };
            for (file, _) in sizes {
                // Round robin: one from each server.
                client.get(&lab, vip, file, None);
                client.get(&lab, vip, file, None);
            }
        }
    }
    for service in ["nat", "snat", "dsr"] {
        assert_eq!(daemon.by_backend(service, "started"), [15, 15], "{service}");
    }
    for service in ["nat", "snat"] {
        daemon.completes(service, 30);
        assert_eq!(daemon.total(service, "failed"), 0, "{service}");
    }
    assert_eq!(daemon.stat("drops", "bad-tftp"), 0);
    daemon.finish();
}

#[test]
fn every_client_writes_in_every_mode_to_both_servers() {
    let lab = Lab::new();
    peers::files(&lab, &SIZES);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    for client in CLIENTS {
        for vip in VIPS {
            for (file, _) in &SIZES {
                client.put(&lab, vip, file, None);
                client.put(&lab, vip, file, None);
            }
        }
    }
    for service in ["nat", "snat", "dsr"] {
        assert_eq!(daemon.by_backend(service, "started"), [16, 16], "{service}");
    }
    for service in ["nat", "snat"] {
        daemon.completes(service, 32);
        assert_eq!(daemon.total(service, "failed"), 0, "{service}");
    }
    daemon.finish();
}

/// dnsmasq answers from a port per transfer, or always from 69.
#[test]
fn every_client_reads_from_dnsmasq_in_both_port_modes() {
    let lab = Lab::new();
    peers::files(&lab, &[("small", 100), ("image", 1 << 20)]);
    let _servers = [peers::dnsmasq(&lab, "s1", ""), peers::single_port(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    for client in CLIENTS {
        for vip in VIPS {
            for file in ["small", "image"] {
                client.get(&lab, vip, file, None);
                client.get(&lab, vip, file, None);
            }
        }
    }
    for service in ["nat", "snat"] {
        daemon.completes(service, 16);
        assert_eq!(daemon.by_backend(service, "completed"), [8, 8], "{service}");
    }
    daemon.finish();
}

#[test]
fn larger_blocks_in_both_directions() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 1 << 20)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    for vip in VIPS {
        for client in [Client::Curl, Client::Atftp, Client::Busybox] {
            for blksize in [512, 1428] {
                client.get(&lab, vip, "image", Some(blksize));
                client.get(&lab, vip, "image", Some(blksize));
            }
        }
        for client in [Client::Curl, Client::Atftp, Client::Busybox] {
            client.put(&lab, vip, "image", Some(1428));
            client.put(&lab, vip, "image", Some(1428));
        }
    }
    for service in ["nat", "snat"] {
        daemon.completes(service, 18);
    }
    daemon.finish();
}

/// In `dsr` only requests and ACKs pass the gate: only client and server need a large MTU.
#[test]
fn jumbo_blocks_by_direct_server_return() {
    let lab = Lab::with_mtu(9000);
    peers::files(&lab, &[("image", 1 << 20)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    for client in [Client::Curl, Client::Atftp] {
        client.get(&lab, DSR_VIP, "image", Some(8192));
        client.get(&lab, DSR_VIP, "image", Some(8192));
    }
    assert_eq!(daemon.total("dsr", "started"), 4);
    daemon.finish();
}

/// The client follows the first answer, which bypasses the gate.
#[test]
fn a_server_that_answers_from_its_own_address_in_dsr() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 100_000)]);
    let _servers = ["s1", "s2"].map(|name| peers::tftpd_hpa_at(&lab, name, "0.0.0.0"));
    let daemon = Daemon::start(&lab, Setup::default());
    Client::Curl.get(&lab, DSR_VIP, "image", None);
    Client::Curl.get(&lab, DSR_VIP, "image", None);
    assert_eq!(daemon.by_backend("dsr", "packets_in"), [1, 1]);
    daemon.finish();
}

#[test]
fn block_numbers_wrap_in_nat() {
    wrap(NAT_VIP);
}

#[test]
fn block_numbers_wrap_in_nat_and_snat() {
    wrap(SNAT_VIP);
}

#[test]
fn block_numbers_wrap_in_dsr() {
    wrap(DSR_VIP);
}

/// 40 MiB are 81,920 blocks of 512, and one of 0.
fn wrap(vip: &str) {
    let lab = Lab::new();
    peers::files(&lab, &[("large", 40 << 20)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    Client::Tftp.get(&lab, vip, "large", None);
    Client::Curl.get(&lab, vip, "large", None);
    Client::Tftp.put(&lab, vip, "large", None);
    Client::Curl.put(&lab, vip, "large", None);
    if vip != DSR_VIP {
        let service = if vip == NAT_VIP { "nat" } else { "snat" };
        daemon.completes(service, 4);
        assert_eq!(daemon.total(service, "started"), 4);
    }
    daemon.finish();
}
