//! Addresses that another program adds and removes, as keepalived does on a pair's gates.

use crate::client::{Failure, Habits, fetch};
use crate::daemon::{Daemon, Setup, rows};
use crate::peers;
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP, VIPS_V6, until};

/// The SNAT address.
pub const POOL: &str = "10.77.0.101";
/// Each service with its VIP, the interface that has it, and a client on that link.
pub const SERVICES: [(&str, &str, &str, &str); 3] = [
    ("nat", NAT_VIP, "clients", "10.78.0.10:0"),
    ("snat", SNAT_VIP, "servers", "10.77.0.10:0"),
    ("dsr", DSR_VIP, "servers", "10.77.0.10:0"),
];
const SIZE: usize = 100;

fn elsewhere() -> Setup {
    Setup { service: "addresses = \"elsewhere\"", ..Setup::default() }
}

fn ip(lab: &Lab, what: &str, address: &str, interface: &str) {
    lab.must("gate", &format!("ip address {what} {address}/32 dev {interface}"));
}

/// The services' addresses that the gate's kernel holds.
pub fn held(lab: &Lab) -> Vec<&'static str> {
    let all = lab.must("gate", "ip -o address show");
    let ours = [NAT_VIP, SNAT_VIP, DSR_VIP, POOL].into_iter();
    ours.filter(|address| all.contains(&format!(" {address}/"))).collect()
}

pub fn is(daemon: &Daemon, name: &str, state: &str) -> bool {
    let services = daemon.ask("services").expect("services");
    rows(&services).any(|row| row["name"] == name && row["state"] == state)
}

pub fn file(lab: &Lab, vip: &str, client: &str) -> Result<usize, Failure> {
    let to = format!("{vip}:69").parse().expect("an endpoint");
    let from = client.parse().expect("an endpoint");
    // Whoever had the address before is forgotten.
    lab.must("client", "ip neigh flush all");
    let client = lab.inside("client", move || fetch(from, to, "small", Habits::default()));
    client.join().expect("it ends").map(|file| file.len())
}

#[test]
fn vips_are_served_while_somebody_else_has_the_kernel_hold_them() {
    let lab = Lab::new();
    peers::files(&lab, &[("small", SIZE)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let mut daemon = Daemon::start(&lab, elsewhere());
    assert_eq!(held(&lab), [""; 0], "none is added at the start");
    assert!(SERVICES.iter().all(|(name, ..)| is(&daemon, name, "elsewhere")));
    let check = String::from_utf8(daemon.tidegate("check").stdout).expect("text");
    assert!(check.starts_with("TIDEGATE OK"), "{check}");

    ip(&lab, "add", POOL, "servers");
    for (name, vip, interface, client) in SERVICES {
        ip(&lab, "add", vip, interface);
        until("it is live", || is(&daemon, name, "live"));
        assert_eq!(file(&lab, vip, client), Ok(SIZE), "{name}");
        ip(&lab, "del", vip, interface);
        until("it is elsewhere", || is(&daemon, name, "elsewhere"));
        assert!(!lab.run("client", &format!("ping -c 1 -W 1 {vip}")).status.success(), "{name}");
    }
    let reload = daemon.tidegate("reload");
    assert!(reload.status.success());
    assert_eq!(held(&lab), [POOL], "none is put back: {}", String::from_utf8_lossy(&reload.stdout));

    ip(&lab, "add", NAT_VIP, "clients");
    daemon.process.signal("KILL");
    daemon.process.0.wait().expect("it ends");
    drop(daemon);
    let daemon = Daemon::start(&lab, elsewhere());
    assert_eq!(held(&lab), [NAT_VIP, POOL], "none is added after a crash, and none is taken off");
    assert!(is(&daemon, "nat", "live") && is(&daemon, "dsr", "elsewhere"));
    daemon.finish();
}

/// Nothing is taken off when addresses become somebody else's, and what becomes ours is added.
#[test]
fn a_reload_gives_addresses_away_and_takes_them_over() {
    let lab = Lab::new();
    peers::files(&lab, &[("small", SIZE)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    let reload = |text: &str| {
        std::fs::write(lab.path("tidegate.toml"), text).expect("the configuration is written");
        let output = daemon.tidegate("reload");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let ours = Setup::default().text(&lab);
    let theirs = ours.replacen("[control]\n", "[control]\naddresses = \"elsewhere\"\n", 1);
    assert_eq!(held(&lab).len(), 4);

    let said = reload(&theirs);
    assert!(said.contains("control: addresses not set → \"elsewhere\""), "{said}");
    assert_eq!(held(&lab).len(), 4, "whoever takes over has them");
    assert!(is(&daemon, "nat", "live"));
    assert_eq!(file(&lab, NAT_VIP, "10.78.0.10:0"), Ok(SIZE));
    for (name, vip, interface, _) in SERVICES {
        ip(&lab, "del", vip, interface);
        until("it is elsewhere", || is(&daemon, name, "elsewhere"));
    }
    reload(&theirs);
    assert_eq!(held(&lab), [POOL]);

    reload(&ours);
    assert_eq!(held(&lab).len(), 4, "what is ours is added");
    until("it is live", || is(&daemon, "nat", "live"));
    assert_eq!(file(&lab, NAT_VIP, "10.78.0.10:0"), Ok(SIZE));
    daemon.finish();
}

#[test]
fn a_pool_is_used_while_the_kernel_holds_it() {
    let lab = Lab::new();
    peers::files(&lab, &[("small", SIZE)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, elsewhere());
    ip(&lab, "add", SNAT_VIP, "servers");
    until("the pool is away", || is(&daemon, "snat", "pool down"));
    let check = String::from_utf8(daemon.tidegate("check").stdout).expect("text");
    assert!(
        check.contains("service snat: the kernel holds no address of its SNAT pool"),
        "{check}"
    );
    let client = lab.spawn("client", &format!("tftp {SNAT_VIP} -m binary -c get small lost"));
    until("its request is dropped", || daemon.stat("drops", "snat-down") > 0);
    drop(client);
    ip(&lab, "add", POOL, "servers");
    until("all is there", || is(&daemon, "snat", "live"));
    assert_eq!(file(&lab, SNAT_VIP, "10.77.0.10:0"), Ok(SIZE));
    assert!(lab.log().contains(&format!("SNAT address {POOL} is live")), "{}", lab.log());
    daemon.finish();
}

/// As keepalived does with `use_vmac`.
#[test]
fn an_address_on_a_macvlan_link_is_served_at_its_virtual_hardware_address() {
    const VIRTUAL: &str = "00:00:5e:00:01:33";
    let lab = Lab::new();
    peers::files(&lab, &[("small", SIZE)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, elsewhere());
    // Hosts that have used the address of another gate hear of this one.
    let known = || lab.must("client", &format!("ip neigh show {NAT_VIP} dev c0"));
    let before = "lladdr 02:00:00:00:00:99 dev c0 nud reachable";
    lab.must("client", &format!("ip neigh replace {NAT_VIP} {before}"));
    lab.must("gate", "sysctl -q -w net.ipv4.conf.clients.arp_ignore=1");
    lab.must("gate", "ip link add vrrp51 link clients type macvlan mode private");
    lab.must("gate", &format!("ip link set vrrp51 address {VIRTUAL} up"));
    for all in ["all", "vrrp51"] {
        lab.must("gate", &format!("sysctl -q -w net.ipv4.conf.{all}.rp_filter=0"));
    }
    ip(&lab, "add", NAT_VIP, "vrrp51");
    until("it is live", || is(&daemon, "nat", "live"));
    until("it is announced", || known().contains(VIRTUAL));
    assert_eq!(file(&lab, NAT_VIP, "10.78.0.10:0"), Ok(SIZE));
    assert!(known().contains(VIRTUAL), "{}", known());
    lab.must("client", &format!("ping -c 2 -i 0.2 -W 2 {NAT_VIP}"));
    // The kernel gets the frames to that address.
    ip(&lab, "add", "10.78.0.7", "vrrp51");
    let there = format!("ip neigh replace 10.78.0.7 lladdr {VIRTUAL} dev c0 nud permanent");
    lab.must("client", &there);
    lab.must("client", "ping -c 2 -i 0.2 -W 2 10.78.0.7");

    // It moves to the interface itself, and away.
    ip(&lab, "add", NAT_VIP, "clients");
    lab.must("gate", "ip link del vrrp51");
    until("it is announced anew", || !known().contains(VIRTUAL));
    assert_eq!(file(&lab, NAT_VIP, "10.78.0.10:0"), Ok(SIZE));
    ip(&lab, "del", NAT_VIP, "clients");
    until("it is elsewhere", || is(&daemon, "nat", "elsewhere"));
    daemon.finish();
}

#[test]
fn another_host_that_has_an_address_of_ours_is_shown() {
    let lab = Lab::new().with_ipv6();
    let setup = Setup { ipv6: true, ..elsewhere() };
    let daemon = Daemon::start(&lab, setup);
    let mac = lab.must("s1", "cat /sys/class/net/eth0/address");
    let (mac, both) = (mac.trim(), [SNAT_VIP, VIPS_V6[1]]);
    let conflicts = || {
        let services = daemon.ask("services").expect("services");
        let service = rows(&services).find(|row| row["name"] == "snat").expect("the service");
        let all =
            rows(&service["conflicts"]).map(|one| (one["address"].clone(), one["mac"].clone()));
        all.collect::<Vec<_>>()
    };
    let each = |name: &str, what: &str, interface: &str| {
        for (address, length) in both.into_iter().zip([32, 128]) {
            let flag = if what == "add" && length == 128 { "nodad" } else { "" };
            lab.must(name, &format!("ip address {what} {address}/{length} dev {interface} {flag}"));
        }
    };
    each("gate", "add", "servers");
    until("both are live", || is(&daemon, "snat", "pool down"));
    each("gate", "del", "servers");
    until("none is", || is(&daemon, "snat", "elsewhere"));
    assert!(conflicts().is_empty());

    each("s1", "add", "eth0");
    each("gate", "add", "servers");
    until("both are known", || conflicts().len() == 2);
    assert!(conflicts().iter().all(|(_, other)| other == mac), "{:?}", conflicts());
    let status = String::from_utf8(daemon.tidegate("status").stdout).expect("text");
    for address in both {
        let words = format!("servers: conflict: {address} is also at {mac}");
        assert!(status.contains(&words), "{status}");
    }
    let said = |words: &str| lab.log().lines().filter(|line| line.contains(words)).count();
    assert_eq!(said("is also at"), 2, "{}", lab.log());

    each("gate", "del", "servers");
    until("they are over", || conflicts().is_empty());
    assert_eq!((said("is also at"), said("is over")), (2, 2), "{}", lab.log());
    daemon.finish();
}
