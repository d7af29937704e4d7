//! Changes while transfers run: commands and reloads. No transfer is affected.

use crate::daemon::{Daemon, Setup, rows};
use crate::peers::{self, Client};
use kit::lab::{DSR_VIP, Lab, NAT_VIP, Process, SNAT_VIP, VIPS, until};
use std::path::PathBuf;

const LARGE: usize = 30 << 20;
/// VIP and SNAT address that a reload adds.
const NEW_VIP: &str = "10.77.0.110";
const NEW_SNAT: &str = "10.77.0.111";

const SERVICES: [(&str, &str); 3] = [("nat", NAT_VIP), ("snat", SNAT_VIP), ("dsr", DSR_VIP)];

/// A client that fetches the large file.
struct Fetch<'a> {
    lab: &'a Lab,
    client: Process,
    got: PathBuf,
}

impl<'a> Fetch<'a> {
    /// Starts the client, and waits until blocks come.
    fn start(lab: &'a Lab, n: usize, vip: &str) -> Fetch<'a> {
        let got = lab.path(&format!("got{n}"));
        let client = lab.spawn(
            "client",
            &format!("timeout 120 curl -sS -o {} tftp://{vip}/large", got.display()),
        );
        until("blocks come", || std::fs::metadata(&got).is_ok_and(|file| file.len() > 10_000));
        Fetch { lab, client, got }
    }

    fn is_running(&mut self) -> bool {
        self.client.0.try_wait().expect("a child can be waited for").is_none()
    }

    /// Asserts that the file is complete.
    fn finish(mut self) {
        let status = self.client.0.wait().expect("it has ended");
        assert!(status.success(), "curl: {status}");
        let original = std::fs::read(self.lab.path("files/large")).expect("the file");
        assert!(std::fs::read(&self.got).expect("a file") == original, "other bytes");
    }
}

/// One client in each mode; waits until the gate shows all of them.
fn fetch_all<'a>(lab: &'a Lab, daemon: &Daemon) -> Vec<Fetch<'a>> {
    let all: Vec<_> =
        SERVICES.iter().enumerate().map(|(n, (_, vip))| Fetch::start(lab, n, vip)).collect();
    let flows = daemon.ask("flows").expect("flows");
    assert_eq!(flows["matching"], 3, "{flows}");
    all
}

/// The backend of a service's only transfer, and the other one.
fn at(daemon: &Daemon, service: &str) -> (String, String) {
    let flows = daemon.ask(&format!("flows --service {service}")).expect("flows");
    let at = flows["flows"][0]["backend"].as_str().expect("a transfer").to_owned();
    let other = if at == "s1" { "s2" } else { "s1" };
    (at, other.to_owned())
}

fn started(daemon: &Daemon, service: &str, backend: &str) -> u64 {
    let backends = daemon.ask("backends").expect("backends");
    let row = rows(&backends).find(|row| row["service"] == service && row["name"] == backend);
    row.expect("the backend")["totals"]["started"].as_u64().expect("a counter")
}

fn must(daemon: &Daemon, command: &str) -> String {
    let output = daemon.tidegate(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Counters that no transfer here may move.
fn nothing_was_lost(daemon: &Daemon) {
    for reason in
        ["no-transfer", "no-service", "vip-down", "backend-down", "no-backend", "stray-tid"]
    {
        assert_eq!(daemon.stat("drops", reason), 0, "{reason}");
    }
    for counter in ["failed", "timed_out", "unanswered", "replaced"] {
        for service in ["nat", "snat"] {
            assert_eq!(daemon.total(service, counter), 0, "{service}: {counter}");
        }
    }
}

#[test]
fn a_drained_backend_finishes_what_it_has_and_gets_nothing_new() {
    let lab = Lab::new();
    peers::files(&lab, &[("large", LARGE), ("small", 100)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon =
        Daemon::start(&lab, Setup { service: "persistence = \"100s\"", ..Setup::default() });
    let running = fetch_all(&lab, &daemon);
    let places: Vec<_> = SERVICES.map(|(service, _)| (service, at(&daemon, service))).into();
    for (service, (backend, _)) in &places {
        let shown = must(&daemon, &format!("backend drain {service} {backend}"));
        assert!(shown.contains("draining"), "{shown}");
    }
    for (vip, (service, (backend, other))) in VIPS.iter().zip(&places) {
        let before = [backend, other].map(|name| started(&daemon, service, name));
        // Not even by persistence.
        (0..4).for_each(|_| Client::Curl.get(&lab, vip, "small", None));
        let after = [backend, other].map(|name| started(&daemon, service, name));
        assert_eq!([after[0] - before[0], after[1] - before[1]], [0, 4], "{service}");
    }
    running.into_iter().for_each(Fetch::finish);
    for (vip, (service, (backend, other))) in VIPS.iter().zip(&places) {
        must(&daemon, &format!("backend enable {service} {backend}"));
        must(&daemon, &format!("backend disable {service} {other}"));
        let before = [backend, other].map(|name| started(&daemon, service, name));
        (0..4).for_each(|_| Client::Curl.get(&lab, vip, "small", None));
        let after = [backend, other].map(|name| started(&daemon, service, name));
        assert_eq!([after[0] - before[0], after[1] - before[1]], [4, 0], "{service}");
        must(&daemon, &format!("backend enable {service} {other}"));
    }
    nothing_was_lost(&daemon);
    let said = lab.log();
    assert!(
        said.contains(&format!("backend {} of nat is drained by command", places[0].1.0)),
        "{said}"
    );
    daemon.finish();
}

#[test]
fn a_weight_by_command_counts_until_the_file_s() {
    let lab = Lab::new();
    peers::files(&lab, &[("small", 100)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    for (service, vip) in SERVICES {
        let shares = || {
            let before = ["s1", "s2"].map(|name| started(&daemon, service, name));
            (0..8).for_each(|_| Client::Curl.get(&lab, vip, "small", None));
            let after = ["s1", "s2"].map(|name| started(&daemon, service, name));
            [after[0] - before[0], after[1] - before[1]]
        };
        let shown = must(&daemon, &format!("backend weight {service} s2 3"));
        assert!(shown.contains("3 (file: 1)"), "{shown}");
        assert_eq!(shares(), [2, 6], "{service}");
        must(&daemon, &format!("backend weight {service} s1 0"));
        assert_eq!(shares(), [0, 8], "{service}");
        for name in ["s1", "s2"] {
            must(&daemon, &format!("backend weight {service} {name} 1"));
        }
        assert_eq!(shares(), [4, 4], "{service}");
    }
    nothing_was_lost(&daemon);
    daemon.finish();
}

/// The configuration with one more service, VIP and SNAT address, without `dsr`, and without the backends `gone`.
fn changed(text: &str, gone: &[(&str, &str)]) -> String {
    let mut services: Vec<String> = text
        .split("[[service]]")
        .map(str::to_owned)
        .filter(|one| !one.contains("\"dsr\""))
        .collect();
    for service in &mut services {
        for (name, backend) in gone {
            if service.contains(&format!("name = \"{name}\"")) {
                let mut parts: Vec<_> = service.split("[[service.backend]]").collect();
                parts.retain(|part| !part.contains(&format!("name = \"{backend}\"")));
                *service = parts.join("[[service.backend]]");
            }
        }
    }
    services.push(format!(
        "\nname = \"new\"\nprotocol = \"tftp\"\nvip = \"{NEW_VIP}\"\nsnat = [\"{NEW_SNAT}\"]\n\
         [[service.backend]]\nname = \"s1\"\naddress = \"10.77.0.30\"\n\
         [[service.backend]]\nname = \"s2\"\naddress = \"10.77.0.31\"\n"
    ));
    services.join("[[service]]")
}

fn addresses(lab: &Lab) -> String {
    lab.must("gate", "ip -o address show dev servers")
}

/// Transfers in all modes run while their backends, and one service, are removed and others added.
fn reload_under_load(workers: &'static str, reload: impl Fn(&Lab, &Daemon)) {
    let lab = Lab::new();
    peers::files(&lab, &[("large", LARGE), ("small", 100)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let device_arguments = if workers == "1" { "" } else { ",qpairs=2" };
    let setup = Setup { workers, device_arguments, ..Setup::default() };
    let text = setup.text(&lab);
    let daemon = Daemon::start(&lab, setup);
    let mut running = fetch_all(&lab, &daemon);
    let [nat, snat] = ["nat", "snat"].map(|service| at(&daemon, service));
    let next = changed(&text, &[("nat", &nat.0), ("snat", &snat.0)]);
    std::fs::write(lab.path("tidegate.toml"), &next).expect("the configuration is written");

    let shown = must(&daemon, "reload --check");
    for line in ["service dsr: removed", "service new: added"] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(shown.contains(&format!("service nat, backend {}: removed", nat.0)), "{shown}");
    assert_eq!(rows(&daemon.ask("services").expect("services")).count(), 3, "only checked");

    reload(&lab, &daemon);
    until("it is reloaded", || {
        rows(&daemon.ask("services").expect("services"))
            .any(|row| row["state"] == "live" && row["name"] == "new")
    });
    assert!(running.iter_mut().all(Fetch::is_running), "too fast: a larger file is needed");
    let backends = daemon.ask("backends").expect("backends");
    let removed = rows(&backends).filter(|row| row["state"] == "removed");
    assert_eq!(
        removed.map(|row| row["transfers"].as_u64()).sum::<Option<u64>>(),
        Some(3),
        "{backends}"
    );
    // New services work, removed ones get nothing, and clients of the others go to other backends.
    for vip in [NEW_VIP, NAT_VIP, SNAT_VIP] {
        (0..2).for_each(|_| Client::Curl.get(&lab, vip, "small", None));
    }
    assert_eq!(daemon.by_backend("new", "started"), [1, 1]);
    assert_eq!(started(&daemon, "nat", &nat.1), 2);
    assert!(addresses(&lab).contains(DSR_VIP), "its transfer still runs");
    let dropped = daemon.stat("drops", "no-service");
    lab.run("client", &format!("timeout 2 curl -s tftp://{DSR_VIP}/small"));
    assert!(daemon.stat("drops", "no-service") > dropped, "a removed service gets nothing");

    running.into_iter().for_each(Fetch::finish);
    for reason in ["no-transfer", "vip-down", "backend-down", "no-backend", "stray-tid"] {
        assert_eq!(daemon.stat("drops", reason), 0, "{reason}");
    }
    // In `dsr` only the idle timeout ends a transfer.
    until("those of the others are over", || {
        let backends = daemon.ask("backends").expect("backends");
        rows(&backends).all(|row| row["state"] != "removed" || row["service"] == "dsr")
    });
    daemon.finish();
}

#[test]
fn a_reload_under_load() {
    reload_under_load("1", |_, daemon| {
        let shown = must(daemon, "reload");
        assert!(shown.ends_with("reloaded\n"), "{shown}");
    });
}

#[test]
fn a_reload_under_load_with_two_workers() {
    reload_under_load("0, 1", |_, daemon| {
        must(daemon, "reload");
    });
}

#[test]
fn sighup_reloads_too() {
    reload_under_load("1", |lab, daemon| {
        daemon.process.signal("HUP");
        until("it says so", || lab.log().contains("reload: service new: added"));
    });
}

/// A service is added and removed: the kernel holds its addresses for as long as needed.
#[test]
fn addresses_come_and_go() {
    let lab = Lab::new();
    peers::files(&lab, &[("large", LARGE), ("small", 100)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    let old = Setup::default().text(&lab);
    let write = |text: &str| {
        std::fs::write(lab.path("tidegate.toml"), text).expect("the configuration is written");
        must(&daemon, "reload")
    };
    for n in 0..3 {
        write(&changed(&old, &[]));
        until("the VIP is live", || {
            let services = daemon.ask("services").expect("services");
            rows(&services).any(|row| row["name"] == "new" && row["state"] == "live")
        });
        let running = Fetch::start(&lab, n, NEW_VIP);
        write(&old);
        assert!([NEW_VIP, NEW_SNAT].iter().all(|one| addresses(&lab).contains(one)));
        running.finish();
        until("they are let go of", || {
            [NEW_VIP, NEW_SNAT].iter().all(|one| !addresses(&lab).contains(one))
        });
        assert!(lab.log().contains(&format!("{NEW_VIP} is let go of")));
        Client::Curl.get(&lab, DSR_VIP, "small", None);
    }
    nothing_was_lost(&daemon);
    daemon.finish();
}

#[test]
fn a_broken_file_is_refused_and_the_gate_goes_on() {
    let lab = Lab::new();
    peers::files(&lab, &[("small", 100)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    let sound = Setup::default().text(&lab);
    for (text, words) in [
        (sound.replace("10.77.0.31", "10.77.0.310"), "`10.77.0.310` is no IP address"),
        (sound.replace("[dataplane]", "mtu = 1400\n[dataplane]"), "unknown key `mtu`"),
        (
            sound.replace("max_flows = 4096", "max_flows = 2048"),
            "needs a restart: dataplane: max_flows 4096 → 2048",
        ),
    ] {
        std::fs::write(lab.path("tidegate.toml"), text).expect("the configuration is written");
        let output = daemon.tidegate("reload");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(words), "{said}");
        daemon.process.signal("HUP");
        until("the log says so too", || lab.log().contains(words));
        assert_eq!(daemon.ask("status").expect("status")["last_reload"]["successful"], false);
        Client::Curl.get(&lab, NAT_VIP, "small", None);
    }
    std::fs::write(lab.path("tidegate.toml"), &sound).expect("the configuration is written");
    assert_eq!(must(&daemon, "reload"), "the file says nothing new\n");
    assert_eq!(daemon.ask("status").expect("status")["last_reload"]["successful"], true);
    nothing_was_lost(&daemon);
    daemon.finish();
}

/// The kernel refuses an address: the earlier configuration is restored.
#[test]
fn what_the_kernel_refuses_is_put_back() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("large", LARGE), ("small", 100)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let setup = Setup { ipv6: true, ..Setup::default() };
    let text = setup.text(&lab);
    let daemon = Daemon::start(&lab, setup);
    let running = Fetch::start(&lab, 0, NAT_VIP);
    lab.must("gate", "sysctl -q -w net.ipv6.conf.servers.disable_ipv6=1");
    let new = format!("[\"{NEW_VIP}\", \"fd00:77::110\"]");
    let next = changed(&text, &[]).replace(&format!("\"{NEW_VIP}\""), &new);
    std::fs::write(lab.path("tidegate.toml"), next).expect("the configuration is written");
    let output = daemon.tidegate("reload");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("fd00:77::110"), "{said}");
    let services = daemon.ask("services").expect("services");
    let names: Vec<_> = rows(&services).map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["nat", "snat", "dsr"]);
    for vip in VIPS {
        Client::Curl.get(&lab, vip, "small", None);
    }
    running.finish();
    until("the new ones are let go of", || {
        [NEW_VIP, NEW_SNAT].iter().all(|one| !addresses(&lab).contains(one))
    });
    nothing_was_lost(&daemon);
    daemon.finish();
}

/// Many concurrent reloads and a stop: each is done or refused, and the end is clean.
#[test]
fn reloads_at_once_and_a_stop_between() {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab, Setup::default());
    let old = Setup::default().text(&lab);
    let texts = [changed(&old, &[]), old];
    for n in 0..20 {
        std::fs::write(lab.path("tidegate.toml"), &texts[n % 2]).expect("it is written");
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(|| daemon.tidegate("reload"))).collect();
            daemon.process.signal("HUP");
            let done = all.into_iter().map(|one| one.join().expect("it ends"));
            assert!(done.map(|output| output.status.code()).all(|code| code == Some(0)));
        });
    }
    std::fs::write(lab.path("tidegate.toml"), &texts[0]).expect("it is written");
    daemon.process.signal("HUP");
    daemon.finish();
}
