//! Habits of clients and servers that are known to work: docs/interop.md names each test.

use crate::daemon::{Daemon, Setup};
use crate::firmware::Firmware;
use crate::ipv6::{CROSSING, OLD_CLIENTS, OLD_FARM, dual};
use crate::peers::{self, Server};
use kit::lab::{DSR_VIP, Lab, VIPS, VIPS_V6};

/// All services: in each mode over both versions of IP, and between them.
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
    let range = "--port-range 50000:50003";
    all.map(|at| peers::tftpd_hpa_with(lab, name, at, range)).into()
}

/// What boots does this: the size first, then the file, then the next one; always from one port. Both servers answer
/// from the first of their ports that is free.
#[test]
fn firmware_on_one_port_at_servers_with_few_ports() {
    let lab = Lab::new().with_ipv6();
    const FILES: [(&str, usize); 4] =
        [("loader", 60_000), ("tiny", 100), ("small", 200), ("config", 1500)];
    peers::files(&lab, &FILES);
    let _first = ranged(&lab, "s1");
    let _second = peers::dnsmasq(&lab, "s2", "--tftp-port-range=50000,50003");
    let daemon = Daemon::with(&lab, &(dual().text(&lab) + CROSSING));
    for (service, vip) in ALL {
        let machine = Firmware::new(&lab, vip, 2070);
        // Round robin deals an odd number of requests: probe and file come from one server, and from two.
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
        assert_eq!(daemon.total(service, "completed"), 42, "{service}");
        assert_eq!(daemon.total(service, "size_probes"), 24, "{service}");
    }
    for service in ["old-farm", "old-clients"] {
        assert_eq!(daemon.total(service, "completed"), 21, "{service}");
    }
    daemon.finish();
}
