//! Addresses that another program adds and removes, as keepalived does on a pair's gates.

use crate::client::{Failure, Habits, fetch};
use crate::daemon::{Daemon, Setup, rows};
use crate::peers;
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP, until};

/// The SNAT address.
const POOL: &str = "10.77.0.101";
/// Each service with its VIP, the interface that has it, and a client on that link.
const SERVICES: [(&str, &str, &str, &str); 3] = [
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
fn held(lab: &Lab) -> Vec<&'static str> {
    let all = lab.must("gate", "ip -o address show");
    let ours = [NAT_VIP, SNAT_VIP, DSR_VIP, POOL].into_iter();
    ours.filter(|address| all.contains(&format!(" {address}/"))).collect()
}

fn is(daemon: &Daemon, name: &str, state: &str) -> bool {
    let services = daemon.ask("services").expect("services");
    rows(&services).any(|row| row["name"] == name && row["state"] == state)
}

fn file(lab: &Lab, vip: &str, client: &str) -> Result<usize, Failure> {
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
    // The TAPs have taken them along.
    assert_eq!(held(&lab), [""; 0], "none is added after a crash");
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
