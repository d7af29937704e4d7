//! Devices that Tidegate runs on here, with and without hugepages.

use crate::daemon::{Daemon, Setup};
use crate::peers::{self, Client};
use kit::lab::{Lab, NAT_VIP, VIPS, until};
use serde_json::json;
use std::path::Path;

#[test]
fn af_xdp() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 200_000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup { driver: "net_af_xdp", ..Setup::default() });
    for vip in VIPS {
        Client::Curl.get(&lab, vip, "image", None);
        Client::Atftp.get(&lab, vip, "image", Some(1428));
    }
    daemon.completes("nat", 2);
    daemon.finish();
}

/// Blocks larger than af_packet's largest MTU of 1500, in every mode.
#[test]
fn jumbo_frames_by_af_xdp() {
    let lab = Lab::with_mtu(2800);
    peers::files(&lab, &[("image", 1 << 20)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let setup = Setup { driver: "net_af_xdp", interface: "mtu = 2800", ..Setup::default() };
    let daemon = Daemon::start(&lab, setup);
    for vip in VIPS {
        for client in [Client::Curl, Client::Atftp] {
            client.get(&lab, vip, "image", Some(2700));
            client.put(&lab, vip, "image", Some(2700));
        }
    }
    for service in ["nat", "snat"] {
        daemon.completes(service, 4);
    }
    // 389 blocks per file, an OACK, and some repetitions: blocks of 512 would be 2049 per file.
    assert!(daemon.total("nat", "packets_out") < 4 * 450, "smaller blocks were agreed");
    daemon.finish();
}

#[test]
fn fewer_queues_than_workers() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 200_000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup { workers: "0, 1", ..Setup::default() });
    Client::Curl.get(&lab, VIPS[0], "image", None);
    let status = daemon.ask("status").expect("status");
    assert_eq!(status["workers"].as_array().map(Vec::len), Some(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let log = lab.log();
    assert_eq!(log.contains("has queues for 1 of 2 workers"), cores > 1, "{log}");
    daemon.finish();
}

/// Devices without network: the gate starts, counts and stops.
#[test]
fn net_null_and_net_pcap() {
    let lab = Lab::new();
    let pcap = lab.path("in.pcap");
    std::fs::write(&pcap, trace()).expect("a trace");
    let text = Setup::default()
        .text(&lab)
        .replace("net_af_packet0,iface=dev0", &format!("net_pcap0,rx_pcap={}", pcap.display()))
        .replace("net_af_packet1,iface=dev1", "net_null1");
    let mut daemon = Daemon::launch(&lab, &text);
    until("it counts", || {
        // net_null generates zeroed frames for ever, net_pcap one frame of its file.
        daemon.ask("stats").is_some() && daemon.stat("drops", "foreign-mac") > 1000
    });
    assert!(daemon.process.terminate().success());
}

/// The status shows receive queues as configured, and RSS by the client's address on either side. Among these devices
/// only net_null accepts a key and a table.
#[test]
fn queues_and_rss_are_shown() {
    let lab = Lab::new();
    let with = |more: &str| {
        Setup { workers: "0, 1", interface: "rx_ring = 512", ..Setup::default() }
            .text(&lab)
            .replace("net_af_packet0,iface=dev0", "net_null0")
            .replace("net_af_packet1,iface=dev1", "net_null1")
            .replace("address = [\"10.78", &format!("{more}address = [\"10.78"))
            // All VIPs are on the servers' side.
            .replace(NAT_VIP, "10.77.0.150")
    };
    let shown = |text: &str| {
        let mut daemon = Daemon::launch(&lab, text);
        until("it answers", || daemon.ask("status").is_some());
        let status = daemon.ask("status").expect("status");
        assert!(daemon.process.terminate().success());
        let workers = status["workers"].as_array().map_or(0, Vec::len);
        let both = [0, 1].map(|n| status["interfaces"][n].clone());
        (workers, both.map(|one| (one["queues"].clone(), one["rss"].clone())))
    };
    let (workers, both) = shown(&with(""));
    if workers == 1 {
        assert_eq!(both, [(json!(1), json!("-")), (json!(1), json!("-"))], "a single core");
        return;
    }
    assert_eq!(both, [(json!(2), json!("by destination")), (json!(2), json!("by source"))]);
    let (_, both) = shown(&with("queues = 1\n"));
    assert_eq!(both, [(json!(1), json!("-")), (json!(2), json!("by source"))]);
}

/// One frame of 60 bytes to another host.
fn trace() -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    for word in [0, 0, 65_535, 1, 0, 0, 60, 60u32] {
        file.extend(word.to_le_bytes());
    }
    file.extend([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0]);
    file.extend([0; 46]);
    file
}

#[test]
fn hugepages() {
    let pages = Path::new("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
    let read = || std::fs::read_to_string(pages).expect("the kernel has hugepages");
    let before = read();
    std::fs::write(pages, "300").expect("root may reserve them");
    let restore = Restore(pages, before);
    assert!(read().trim() == "300", "only {} pages could be had", read().trim());
    let lab = Lab::new();
    peers::files(&lab, &[("image", 200_000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let text = Setup::default().text(&lab).replace("hugepages = false", "hugepages = true");
    let daemon = Daemon::launch(&lab, &text);
    until("it answers", || {
        daemon.ask("backends").is_some_and(|all| !all.to_string().contains("unresolved"))
    });
    Client::Curl.get(&lab, VIPS[0], "image", None);
    daemon.finish();
    drop(restore);
}

struct Restore<'a>(&'a Path, String);

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0, self.1.trim());
    }
}
