//! All modes over IPv6, beside IPv4 in the same services.

use crate::daemon::{Daemon, Setup};
use crate::peers::{self, CLIENTS, Client};
use kit::lab::{Lab, VIPS, VIPS_V6, until};

const SIZES: [(&str, usize); 3] = [("small", 100), ("even", 8 * 512), ("image", 1 << 20)];

pub fn dual() -> Setup {
    Setup { ipv6: true, ..Setup::default() }
}

#[test]
fn every_client_reads_in_every_mode_from_several_servers() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &SIZES);
    let _first = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa_v6(&lab, "s1")];
    let _second = peers::dnsmasq(&lab, "s2", "");
    let daemon = Daemon::start(&lab, dual());
    for vip in VIPS_V6 {
        for client in CLIENTS {
            for (file, _) in SIZES {
                // Round robin: one from each server.
                client.get(&lab, vip, file, None);
                client.get(&lab, vip, file, None);
            }
        }
    }
    for service in ["nat", "dsr"] {
        assert_eq!(daemon.by_backend(service, "started"), [0, 0, 12, 12], "{service}");
    }
    // Behind a SNAT pool, all servers serve all clients.
    assert_eq!(daemon.by_backend("snat", "started"), [6, 6, 6, 6]);
    for service in ["nat", "snat"] {
        daemon.completes(service, 24);
    }
    assert_eq!(daemon.stat("drops", "bad-udp"), 0);
    daemon.finish();
}

#[test]
fn single_port_servers_answer_from_69_over_ipv6_too() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &SIZES);
    let _servers = ["s1", "s2"].map(|name| peers::single_port(&lab, name));
    let daemon = Daemon::start(&lab, dual());
    for vip in VIPS_V6 {
        for client in [Client::Tftp, Client::Curl] {
            client.get(&lab, vip, "image", None);
        }
    }
    daemon.finish();
}

#[test]
fn one_service_serves_clients_over_both_families() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &SIZES);
    let _v4 = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let _v6 = [peers::tftpd_hpa_v6(&lab, "s1"), peers::tftpd_hpa_v6(&lab, "s2")];
    let setup = Setup { workers: "0, 1", device_arguments: ",qpairs=2", ..dual() };
    let daemon = Daemon::start(&lab, setup);
    daemon.has_workers(2);
    for vip in VIPS.into_iter().chain(VIPS_V6) {
        for blksize in [512, 1408] {
            Client::Curl.get(&lab, vip, "image", Some(blksize));
            Client::Atftp.get(&lab, vip, "image", Some(blksize));
            Client::Curl.put(&lab, vip, "image", Some(blksize));
            Client::Atftp.put(&lab, vip, "image", Some(blksize));
        }
    }
    for service in ["nat", "snat", "dsr"] {
        assert_eq!(daemon.by_backend(service, "started"), [4, 4, 4, 4], "{service}");
    }
    let flows = daemon.ask("flows --client fd00:77::10").expect("flows");
    assert!(flows["matching"].as_u64() > Some(0), "{flows}");
    daemon.finish();
}

/// The VIP of `old-farm`.
pub const OLD_FARM: &str = "fd00:78::150";
/// The VIP of `old-clients`.
pub const OLD_CLIENTS: &str = "10.77.0.150";

/// Services whose clients and servers have different address families.
pub const CROSSING: &str = r#"
[[service]]
name = "old-farm"
protocol = "tftp"
vip = "fd00:78::150"
snat = ["10.77.0.151"]
[[service.backend]]
name = "s1"
address = "10.77.0.30"
[[service.backend]]
name = "s2"
address = "10.77.0.31"

[[service]]
name = "old-clients"
protocol = "tftp"
vip = "10.77.0.150"
snat = ["fd00:77::151"]
[[service.backend]]
name = "s1"
address = "fd00:77::30"
[[service.backend]]
name = "s2"
address = "fd00:77::31"
"#;

#[test]
fn clients_reach_servers_of_the_other_family_behind_a_pool() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &SIZES);
    let _v4 = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let _v6 = [peers::tftpd_hpa_v6(&lab, "s1"), peers::tftpd_hpa_v6(&lab, "s2")];
    let setup = Setup { workers: "0, 1", device_arguments: ",qpairs=2", ..dual() };
    let daemon = Daemon::with(&lab, &(setup.text(&lab) + CROSSING));
    daemon.has_workers(2);
    for vip in [OLD_FARM, OLD_CLIENTS] {
        for client in CLIENTS {
            for (file, _) in SIZES {
                client.get(&lab, vip, file, None);
                client.get(&lab, vip, file, None);
            }
            client.put(&lab, vip, "image", None);
        }
        // A block that fills an IPv6 packet, as EDK2's UEFI asks for.
        Client::Curl.get(&lab, vip, "image", Some(1448));
        Client::Atftp.put(&lab, vip, "image", Some(1448));
    }
    for service in ["old-farm", "old-clients"] {
        daemon.completes(service, 30);
        assert_eq!(daemon.total(service, "started"), 30, "{service}");
    }
    daemon.finish();
}

#[test]
fn pings_and_neighbours_of_vips() {
    let lab = Lab::new().with_ipv6();
    let daemon = Daemon::start(&lab, dual());
    for address in VIPS_V6.into_iter().chain(["fd00:77::1", "fd00:78::1", "fd00:77::101"]) {
        lab.must("client", &format!("ping -c 2 -i 0.2 -W 2 {address}"));
    }
    // The client verifies a known neighbour, by unicast to the VIP.
    lab.must("client", "sysctl -q -w net.ipv6.neigh.c0.base_reachable_time_ms=500");
    lab.must("client", "sysctl -q -w net.ipv6.neigh.c0.delay_first_probe_time=1");
    for _ in 0..8 {
        lab.must("client", &format!("ping -c 4 -i 0.5 -W 2 {}", VIPS_V6[0]));
        let known = lab.must("client", &format!("ip neigh show {}", VIPS_V6[0]));
        assert!(!known.contains("FAILED") && !known.contains("INCOMPLETE"), "{known}");
    }
    daemon.finish();
}

#[test]
fn a_vip_lives_as_long_as_the_kernel_holds_it() {
    let lab = Lab::new().with_ipv6();
    let daemon = Daemon::start(&lab, dual());
    let state = |wanted: &str| {
        let services = daemon.ask("services").expect("services");
        services[0]["state"] == wanted
    };
    assert!(state("live"));
    lab.must("gate", "ip address del fd00:78::100/128 dev clients");
    until("one VIP is down", || state("partly live"));
    lab.must("gate", "ip address del 10.78.0.100/32 dev clients");
    until("both are", || state("vip down"));
    lab.must("gate", "ip address add fd00:78::100/128 dev clients nodad");
    lab.must("gate", "ip address add 10.78.0.100/32 dev clients");
    until("both are back", || state("live"));
    daemon.finish();
}
