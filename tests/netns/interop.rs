//! Habits of clients and servers that are known to work: docs/interop.md names each test.

use crate::daemon::{Daemon, Setup};
use crate::firmware::{Firmware, WINDOW, Window};
use crate::ipv6::{CROSSING, OLD_CLIENTS, OLD_FARM, dual};
use crate::peers::{self, Server};
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP, VIPS, VIPS_V6};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Services in each mode over IPv4, IPv6, and between them.
const ALL: [(&str, &str); 8] = [
    ("nat", VIPS[0]),
    ("snat", VIPS[1]),
    ("dsr", VIPS[2]),
    ("nat", VIPS_V6[0]),
    ("snat", VIPS_V6[1]),
    ("dsr", VIPS_V6[2]),
    ("old-farm", OLD_FARM),
    ("old-clients", OLD_CLIENTS),
];

fn compare(lab: &Lab, file: &str, got: &[u8], vip: &str) {
    let original = std::fs::read(lab.path("files").join(file)).expect("the file");
    assert!(got == original, "{file} from {vip}: {} bytes", got.len());
}

/// tftpd-hpa at all addresses of its host, with a range of ports.
fn ranged(lab: &Lab, name: &str) -> Server {
    let (v6, dsr) = (format!("[{}]", peers::address_v6(name)), format!("[{}]", VIPS_V6[2]));
    let all = [peers::address(name), DSR_VIP, &v6, &dsr];
    let range = "--port-range 50000:50015";
    all.map(|at| peers::tftpd_hpa_with(lab, name, at, range)).into()
}

/// A boot sequence: the size, the file, the next file; always from one port. Both servers answer from their first free
/// port.
#[test]
fn firmware_on_one_port_at_servers_with_few_ports() {
    let lab = Lab::new().with_ipv6();
    const FILES: [(&str, usize); 4] =
        [("loader", 60_000), ("tiny", 100), ("small", 200), ("config", 1500)];
    peers::files(&lab, &FILES);
    let _first = ranged(&lab, "s1");
    let _second = peers::dnsmasq(&lab, "s2", "--tftp-port-range=50000,50015");
    let daemon = Daemon::with(&lab, &(dual().text(&lab) + CROSSING));
    for (service, vip) in ALL {
        let machine = Firmware::new(&lab, vip, 2070);
        // Round robin with an odd number of requests: probe and file come from one server, and from two.
        for _ in 0..3 {
            for (file, size) in FILES {
                let what = format!("{service} {vip} {file}");
                assert_eq!(machine.size(file), Ok(size as u64), "{what}");
                let got = machine.fetch(file, &[("blksize", "1400")]).expect(&what);
                compare(&lab, file, &got.bytes, vip);
            }
            for file in ["tiny", "small", "config"] {
                let got = machine
                    .fetch(file, &[])
                    .unwrap_or_else(|why| panic!("{service} {vip} {file}: {why:?}"));
                compare(&lab, file, &got.bytes, vip);
            }
        }
        assert_eq!(daemon.total(service, "silences"), 0, "{service}");
    }
    for service in ["nat", "snat"] {
        daemon.completes(service, 42);
        assert_eq!(daemon.total(service, "size_probes"), 24, "{service}");
    }
    for service in ["old-farm", "old-clients"] {
        daemon.completes(service, 21);
    }
    daemon.finish();
}

/// U-Boot cannot reassemble, and asks for the largest block that fits an IPv4 packet.
#[test]
fn u_boot_s_blocks_come_in_one_packet_from_servers_over_ipv6() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("image", 1 << 20)]);
    let _v4 = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let _v6 = [peers::tftpd_hpa_v6(&lab, "s1"), peers::tftpd_hpa_v6(&lab, "s2")];
    let daemon = Daemon::with(&lab, &(dual().text(&lab) + CROSSING));
    let machine = Firmware::new(&lab, OLD_CLIENTS, 1600);
    for _ in ["s1", "s2"] {
        let options = [("timeout", "5"), ("tsize", "0"), ("blksize", "1468")];
        let got = machine.fetch("image", &options).expect("the file");
        compare(&lab, "image", &got.bytes, OLD_CLIENTS);
        assert!(got.granted.contains(&("blksize".into(), "1448".into())), "{:?}", got.granted);
    }
    daemon.completes("old-clients", 2);
    daemon.finish();
}

#[test]
fn blksize2_is_a_block_size() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 100_000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let setup = Setup { service: "max_blksize = 1428", ..Setup::default() };
    let daemon = Daemon::start(&lab, setup);
    for vip in VIPS {
        let machine = Firmware::new(&lab, vip, 2071);
        for _ in ["s1", "s2"] {
            let got = machine.fetch("image", &[("blksize2", "4096")]).expect("the file");
            compare(&lab, "image", &got.bytes, vip);
            assert_eq!(got.granted, [("blksize2".into(), "1024".into())], "{vip}");
        }
    }
    for service in ["nat", "snat"] {
        daemon.completes(service, 2);
    }
    daemon.finish();
}

/// A client pauses for longer than the idle timeout, but within the timeout that it negotiated.
#[test]
fn a_granted_timeout_is_waited_for() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 100_000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon =
        Daemon::start(&lab, Setup { service: "idle_timeout = \"1s\"", ..Setup::default() });
    for vip in VIPS {
        let pause = Duration::from_secs(6);
        let machine = Firmware::new(&lab, vip, 2072).with_pause(pause);
        let got = machine.fetch("image", &[("timeout", "4")]).expect(vip);
        compare(&lab, "image", &got.bytes, vip);
    }
    for service in ["nat", "snat"] {
        daemon.completes(service, 1);
        assert_eq!(daemon.total(service, "timed_out"), 0, "{service}");
    }
    daemon.finish();
}

/// A server like WDS: each ACK has a fifth byte, the number of blocks to send.
struct Wds {
    file: Vec<u8>,
    /// Blocks after which the server process dies.
    lives: usize,
}

impl Wds {
    const BLKSIZE: usize = 1400;

    /// Answers requests until told to end.
    fn serve(&self, asked: &UdpSocket, ends: &AtomicBool) {
        asked.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        while !ends.load(Ordering::Relaxed) {
            let mut request = [0; 512];
            if let Ok((_, client)) = asked.recv_from(&mut request) {
                let from = SocketAddr::new(asked.local_addr().expect("ours").ip(), 0);
                self.send(&UdpSocket::bind(from).expect("a port"), client);
            }
        }
    }

    fn send(&self, socket: &UdpSocket, client: SocketAddr) {
        socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
        let oack = format!(
            "\0\x06tsize\0{}\0blksize\0{}\0msftwindow\027182\0",
            self.file.len(),
            Wds::BLKSIZE
        );
        let mut blocks: Vec<&[u8]> = self.file.chunks(Wds::BLKSIZE).collect();
        if self.file.len().is_multiple_of(Wds::BLKSIZE) {
            blocks.push(&[]);
        }
        socket.send_to(oack.as_bytes(), client).expect("a datagram");
        let (mut had, mut window) = (0, 0);
        while had < blocks.len() && had < self.lives {
            for (n, block) in (1..).zip(&blocks).skip(had).take(window) {
                let data = [&[0, 3][..], &(n as u16).to_be_bytes(), block].concat();
                socket.send_to(&data, client).expect("a datagram");
            }
            let mut ack = [0; 512];
            match socket.recv_from(&mut ack) {
                Ok((5, _)) if ack[..2] == [0, 4] => {
                    had = usize::from(u16::from_be_bytes([ack[2], ack[3]]));
                    window = usize::from(ack[4]);
                }
                // The server ignores all other messages.
                Ok(_) => window = 0,
                Err(_) => {}
            }
        }
    }
}

#[test]
fn microsoft_s_window_outlives_its_server() {
    let lab = Lab::new();
    peers::files(&lab, &[("boot.wim", 200_000)]);
    let file = std::fs::read(lab.path("files/boot.wim")).expect("the file");
    let ends = Arc::new(AtomicBool::new(false));
    let servers: Vec<_> = [("s1", 20), ("s2", usize::MAX)]
        .into_iter()
        .map(|(name, lives)| {
            let (wds, ends) = (Wds { file: file.clone(), lives }, ends.clone());
            lab.inside(name, move || {
                let at = (peers::address(name), 69);
                wds.serve(&UdpSocket::bind(at).expect("a free port"), &ends);
            })
        })
        .collect();
    let daemon = Daemon::start(&lab, Setup::default());
    for (service, vip) in [("nat", NAT_VIP), ("snat", SNAT_VIP)] {
        let machine = Firmware::new(&lab, vip, 2073);
        let machine = machine.with_window(Window::Microsoft);
        let options = [("tsize", "0"), ("blksize", "1400"), ("msftwindow", "31416")];
        let got = machine.fetch("boot.wim", &options).expect("the file");
        assert_eq!(got.granted.len(), 3, "{WINDOW} blocks at a time: {:?}", got.granted);
        compare(&lab, "boot.wim", &got.bytes, vip);
        assert_eq!(daemon.total(service, "resumed"), 1, "{service}");
        assert_eq!(daemon.total(service, "lost"), 0, "{service}");
    }
    ends.store(true, Ordering::Relaxed);
    servers.into_iter().for_each(|server| server.join().expect("its thread ends"));
    daemon.finish();
}
