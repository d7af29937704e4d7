//! Changes to the gate's kernel by others: a restarted firewall, flushed addresses, deleted links. Transfers and
//! connections go on.

use crate::daemon::{Daemon, Setup, rows};
use crate::echo;
use crate::fetching::{Fetching, lab};
use crate::peers::Client;
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, VIPS, VIPS_V6, until};
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

const SIZE: usize = 4 << 20;

fn tidegate(daemon: &Daemon, command: &str) -> String {
    let output = daemon.tidegate(command);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Debian's `systemctl restart nftables` flushes all tables, those of other programs too.
#[test]
fn a_firewall_that_is_started_anew_resets_no_connection() {
    let lab = Lab::new().with_ipv6();
    let _servers = ["s1", "s2"].map(|name| echo::server(&lab, name, echo::PORT));
    let setup = Setup { protocol: "tcp", service: "port = 7007", ipv6: true, ..Setup::default() };
    let daemon = Daemon::start(&lab, setup);
    let vips = VIPS.into_iter().chain(VIPS_V6);
    let vips: Vec<SocketAddr> =
        vips.map(|vip| SocketAddr::new(vip.parse().expect("an address"), echo::PORT)).collect();
    let mut clients: Vec<_> = (0..12).map(|n| echo::Client::tcp(&lab, vips[n % 6])).collect();
    for _ in 0..3 {
        lab.must("gate", "nft flush ruleset");
        for client in &mut clients {
            let answer = client.say("again").expect("it is not reset");
            assert_eq!(answer, client.first);
        }
    }
    daemon.finish();
}

/// Probe routing in `dsr` uses nftables. Neither health checks nor transfers notice its loss.
#[test]
fn a_flush_of_nftables_is_mended_and_logged() {
    let (lab, _servers) = lab(SIZE);
    let health = "[service.health]\ncheck = \"icmp\"\ninterval = \"500ms\"\ntimeout = \"500ms\"\n";
    let text = Setup { service: "#health", ..Setup::default() }.text(&lab);
    let daemon = Daemon::with(&lab, &text.replace("#health", health));
    let passed = || {
        let backends = daemon.ask("backends").expect("backends");
        rows(&backends).all(|row| row["state"] == "up" && row["check"]["verdict"] == "passed")
    };
    until("all have passed", passed);
    let table = "nft list table netdev tidegate-dsr-servers";
    let before = lab.must("gate", table);
    let running = Fetching::start(&lab, &daemon);
    for n in 1..=2 {
        lab.must("gate", "nft flush ruleset");
        until("it is made anew", || lab.run("gate", table).stdout == before.as_bytes());
        let said =
            lab.log().matches("somebody changed the table `netdev tidegate-dsr-servers`").count();
        assert_eq!(said, n, "{}", lab.log());
        // A second change at once would be repaired only after a second.
        sleep(Duration::from_secs(3));
        assert!(passed(), "{:?}", daemon.ask("backends"));
    }
    running.finish(&lab);
    daemon.finish();
}

/// By hand, by `ifdown`, or by another network manager, while transfers run.
#[test]
fn flushed_addresses_are_put_back_and_logged() {
    let (lab, _servers) = lab(SIZE);
    let daemon = Daemon::start(&lab, Setup::default());
    let running = Fetching::start(&lab, &daemon);
    for (n, mishap) in
        ["ip address flush dev clients", "ip address flush dev servers", "ip link set clients down"]
            .into_iter()
            .enumerate()
    {
        lab.must("gate", mishap);
        until("it is put back", || lab.log().matches(": put back").count() > n);
        for vip in [NAT_VIP, SNAT_VIP] {
            Client::Tftp.get(&lab, vip, "small", None);
        }
        // A second loss at once would be repaired later.
        sleep(Duration::from_secs(5));
    }
    running.finish(&lab);
    let said = lab.log();
    let mut lines = said.lines().filter(|line| line.contains("interface `clients` has lost"));
    let all = |line: &str| line.contains("10.78.0.1/16") && line.contains("10.78.0.100: put back");
    assert!(lines.any(all), "{said}");
    assert_eq!(tidegate(&daemon, "reload").trim(), "the file says nothing new");
    daemon.finish();
}

/// Removing a single address is intended, for example by keepalived. A reload restores it.
#[test]
fn a_reload_compares_with_the_kernel() {
    let (lab, _servers) = lab(SIZE);
    let daemon = Daemon::start(&lab, Setup::default());
    let state = || {
        let services = daemon.ask("services").expect("services");
        let nat = rows(&services).find(|row| row["name"] == "nat").expect("the service");
        nat["state"].clone()
    };
    lab.must("gate", &format!("ip address del {NAT_VIP}/32 dev clients"));
    until("the VIP is down", || state() == "vip down");
    until("it is said how it comes back", || lab.log().contains("or `tidegate reload`"));
    assert_eq!(state(), "vip down");
    let lost = format!("kernel: interface `clients` has lost {NAT_VIP}");
    assert!(tidegate(&daemon, "reload --check").contains(&lost));
    assert_eq!(state(), "vip down");
    assert!(tidegate(&daemon, "reload").contains(&lost));
    until("the VIP is live", || state() == "live");
    assert!(!tidegate(&daemon, "reload").contains("kernel:"));
    Client::Tftp.get(&lab, NAT_VIP, "small", None);
    daemon.finish();
}

/// The process has ended with this line and its exit code.
fn ended(lab: &Lab, daemon: &mut Daemon, why: &str) {
    let mut status = None;
    until("it ends", || {
        status = daemon.process.0.try_wait().expect("a child can be waited for");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{}", lab.log());
    let log = lab.log();
    let behind = log.split("ready:").last().unwrap_or_default();
    let lines: Vec<_> = behind.lines().skip(1).filter(|line| !line.contains(" INFO ")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains(why), "{log}");
}

/// The supervisor restarts the process, and all transfers go on.
#[test]
fn a_deleted_tap_ends_the_process_and_no_transfer() {
    let (lab, _servers) = lab(SIZE);
    let mut daemon = Daemon::start(&lab, Setup::default());
    let running = Fetching::start(&lab, &daemon);
    lab.must("gate", "ip link delete clients");
    ended(&lab, &mut daemon, "the TAP `clients` is gone");
    drop(daemon);
    let daemon = Daemon::start(&lab, Setup::default());
    running.finish(&lab);
    assert_eq!(daemon.total("nat", "inherited"), 1, "{}", lab.log());
    Client::Tftp.get(&lab, NAT_VIP, "small", None);
    daemon.finish();
}

/// Replaces the link to the client's first interface; hardware addresses stay.
fn replug(lab: &Lab, macs: [&str; 2]) {
    let client = lab.space("client");
    lab.must("gate", &format!("ip link add dev0 type veth peer name c0 netns {client}"));
    for ((name, end), mac) in [("gate", "dev0"), ("client", "c0")].into_iter().zip(macs) {
        lab.must(name, &format!("sysctl -q -w net.ipv6.conf.{end}.disable_ipv6=1"));
        lab.must(name, &format!("ethtool -K {end} tx off"));
        lab.must(name, &format!("ip link set {end} address {mac} up"));
    }
    lab.must("client", "ip address add 10.78.0.10/16 dev c0");
}

fn deleted_device(driver: &'static str, is_back: bool) {
    let (lab, _servers) = lab(SIZE);
    let mut daemon = Daemon::start(&lab, Setup { driver, ..Setup::default() });
    let running = Fetching::start(&lab, &daemon);
    let macs = [("gate", "dev0"), ("client", "c0")]
        .map(|(name, end)| lab.must(name, &format!("cat /sys/class/net/{end}/address")));
    let macs = [macs[0].trim(), macs[1].trim()];
    lab.must("gate", "ip link delete dev0");
    if is_back {
        replug(&lab, macs);
    }
    ended(&lab, &mut daemon, "the device `dev0` is gone");
    drop(daemon);
    if !is_back {
        replug(&lab, macs);
    }
    let daemon = Daemon::start(&lab, Setup { driver, ..Setup::default() });
    running.finish(&lab);
    assert_eq!(daemon.total("nat", "inherited"), 1, "{}", lab.log());
    Client::Tftp.get(&lab, NAT_VIP, "small", None);
    daemon.finish();
}

#[test]
fn a_deleted_device_of_af_packet_ends_the_process_and_no_transfer() {
    deleted_device("net_af_packet", false);
}

/// A new device with the same name is not the opened one.
#[test]
fn a_device_that_is_made_again_ends_the_process_and_no_transfer() {
    deleted_device("net_af_packet", true);
}

#[test]
fn a_deleted_device_of_af_xdp_ends_the_process_and_no_transfer() {
    deleted_device("net_af_xdp", true);
}
