//! Access rules and option limits, as real clients and servers see them.

use crate::daemon::{Daemon, Setup};
use crate::peers::{self, Client};
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, VIPS, VIPS_V6, uninterrupted};
use std::net::UdpSocket;
use std::time::Duration;

const SIZES: [(&str, usize); 3] = [("image", 200_000), ("secret", 100), ("boot.efi", 3000)];

fn lab() -> Lab {
    let lab = Lab::new();
    peers::files(&lab, &SIZES);
    lab
}

/// Output of a client whose request is refused.
fn denied(lab: &Lab, command: &str) -> String {
    let output = lab.run("client", &format!("timeout 20 {command}"));
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn clients_hear_why_they_get_nothing() {
    let lab = lab().with_ipv6();
    let _v4 = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let _v6 = [peers::tftpd_hpa_v6(&lab, "s1"), peers::tftpd_hpa_v6(&lab, "s2")];
    let service = "read_only = true\ndeny_files = [\"secret\"]\n";
    let daemon = Daemon::start(&lab, Setup { service, ipv6: true, ..Setup::default() });
    for vip in VIPS.into_iter().chain(VIPS_V6) {
        let said = denied(&lab, &format!("tftp {vip} -m binary -c get secret got"));
        assert!(said.contains("This file is not served here"), "{vip}: {said}");
        let said = denied(&lab, &format!("tftp {vip} -m binary -c put files/image sent"));
        assert!(said.contains("This service takes no uploads"), "{vip}: {said}");
        Client::Curl.get(&lab, vip, "image", None);
    }
    let services = daemon.ask("services").expect("services");
    for service in services.as_array().expect("a list") {
        assert_eq!(
            (&service["refused"]["file"], &service["refused"]["read_only"]),
            (&2.into(), &2.into())
        );
    }
    assert_eq!(daemon.stat("refused", "file"), 6);
    daemon.finish();
}

/// A spoofed request causes two packets of the file, and no more.
#[test]
fn a_server_is_told_that_nobody_hears_it() {
    let lab = lab();
    let quick = |name, address| peers::tftpd_hpa_with(&lab, name, address, "--retransmit 100000");
    let _servers = [quick("s1", "10.77.0.30"), quick("s2", "10.77.0.31")];
    let daemon = Daemon::start(&lab, Setup::default());
    for (service, vip) in [("nat", NAT_VIP), ("snat", SNAT_VIP)] {
        let heard = lab.inside("client", move || {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
            socket.send_to(b"\0\x01image\0octet\0", (vip, 69)).expect("it is sent");
            socket.set_read_timeout(Some(Duration::from_secs(4))).expect("a timeout");
            (0..100).take_while(|_| uninterrupted(|| socket.recv(&mut [0; 600])).is_ok()).count()
        });
        let heard = heard.join().expect("it ends");
        assert!((1..=2).contains(&heard), "{service}: {heard} times");
        assert_eq!(daemon.total(service, "unheard"), 1, "{service}");
    }
    daemon.finish();
}

#[test]
fn a_client_that_asks_too_often_has_to_wait() {
    let lab = lab();
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let service = "max_requests_per_client = 3\n";
    let daemon = Daemon::start(&lab, Setup { service, ..Setup::default() });
    for _ in 0..3 {
        Client::Curl.get(&lab, NAT_VIP, "boot.efi", None);
    }
    let said = denied(&lab, &format!("tftp {NAT_VIP} -m binary -c get image got"));
    assert!(said.contains("Too many requests"), "{said}");
    Client::Curl.get(&lab, SNAT_VIP, "boot.efi", None);
    assert_eq!(daemon.stat("refused", "rate"), 1);
    daemon.finish();
}

/// Blocks of 8192 bytes would be fragmented, and reassembled by the kernel on af_packet.
#[test]
fn options_are_held_to_what_the_way_takes() {
    let lab = lab().with_ipv6();
    let _v4 = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let _v6 = [peers::tftpd_hpa_v6(&lab, "s1"), peers::tftpd_hpa_v6(&lab, "s2")];
    let service = "max_blksize = 1400\nstrip_options = [\"multicast\", \"tsize\"]\n";
    let daemon = Daemon::start(&lab, Setup { service, ipv6: true, ..Setup::default() });
    for vip in VIPS.into_iter().chain(VIPS_V6) {
        for client in [Client::Curl, Client::Atftp] {
            client.get(&lab, vip, "image", Some(8192));
            client.put(&lab, vip, "image", Some(8192));
        }
    }
    for service in ["nat", "snat"] {
        daemon.completes(service, 8);
        // 143 blocks per file; 391 with blocks of 512.
        assert!(daemon.total(service, "packets_out") < 8 * 200, "{service}: smaller blocks");
    }
    assert_eq!(daemon.stat("drops", "fragment"), 0);
    daemon.finish();
}

#[test]
fn uploads_go_to_the_one_server_that_takes_them() {
    let lab = lab();
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let service = "[[service.rule]]\noperation = \"write\"\nbackends = [\"s2\"]\n\
                   [[service.rule]]\nfiles = [\"*.efi\"]\nbackends = [\"s1\"]\n";
    let daemon = Daemon::start(&lab, Setup { service, ..Setup::default() });
    for _ in 0..3 {
        Client::Curl.put(&lab, NAT_VIP, "image", None);
    }
    assert_eq!(daemon.by_backend("nat", "started"), [0, 3]);
    for _ in 0..3 {
        Client::Curl.get(&lab, NAT_VIP, "boot.efi", None);
    }
    assert_eq!(daemon.by_backend("nat", "started"), [3, 3]);
    for _ in 0..2 {
        Client::Curl.get(&lab, NAT_VIP, "image", None);
    }
    assert_eq!(daemon.by_backend("nat", "started"), [4, 4]);
    daemon.finish();
}
