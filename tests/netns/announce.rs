//! VIPs that the gate holds while a backend serves.

use crate::addresses::{POOL, SERVICES, file, held, is};
use crate::daemon::{Daemon, Setup, rows};
use crate::health::{CANARY, files, text};
use crate::peers;
use kit::lab::{Lab, Process, until};
use std::process::Output;

const SIZE: usize = 1000;

fn configuration(lab: &Lab) -> String {
    let text = text(lab, Setup::default(), [CANARY; 3]);
    text.replacen("[control]\n", "[control]\nannounce = \"while-served\"\n", 1)
}

fn servers(lab: &Lab) -> [peers::Server; 2] {
    ["s1", "s2"].map(|name| peers::tftpd_hpa(lab, name))
}

fn all_are(daemon: &Daemon, state: &str) {
    until(&format!("all are {state}"), || {
        SERVICES.iter().all(|(name, ..)| is(daemon, name, state))
    });
}

fn all_pass(daemon: &Daemon) {
    until("all have passed their checks", || {
        let backends = daemon.ask("backends").expect("backends");
        rows(&backends).all(|backend| backend["check"]["verdict"] == "passed")
    });
}

fn all_serve(lab: &Lab, daemon: &Daemon) {
    all_are(daemon, "live");
    assert_eq!(held(lab).len(), 4);
    for (name, vip, _, client) in SERVICES {
        assert_eq!(file(lab, vip, client), Ok(SIZE), "{name}");
    }
}

fn kill(lab: &Lab) {
    ["s1", "s2"].into_iter().for_each(|name| peers::signal_all(lab, name, "KILL"));
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The changes of the gate's addresses, until it is ended.
fn monitor(lab: &Lab) -> Process {
    let [changes, script] = ["changes", "monitor"].map(|name| lab.path(name));
    let text = format!("exec ip -o monitor address > {}", changes.display());
    std::fs::write(&script, text).expect("the script is written");
    let monitor = lab.spawn("gate", &format!("sh {}", script.display()));
    // It tells of this one once it runs.
    until("it runs", || {
        lab.must("gate", "ip address add 10.99.0.1/32 dev lo");
        lab.must("gate", "ip address del 10.99.0.1/32 dev lo");
        std::fs::read_to_string(&changes).is_ok_and(|text| text.contains("10.99.0.1/"))
    });
    monitor
}

#[test]
fn vips_are_held_while_a_backend_serves() {
    let lab = Lab::new();
    files(&lab);
    let daemon = Daemon::launch(&lab, &configuration(&lab));
    until("it answers", || daemon.ask("services").is_some());
    all_are(&daemon, "withdrawn");
    assert_eq!(held(&lab), [POOL], "none is added before a check has passed");
    let mut running = servers(&lab);
    all_serve(&lab, &daemon);

    kill(&lab);
    all_are(&daemon, "withdrawn");
    assert_eq!(held(&lab), [POOL]);
    let reload = daemon.tidegate("reload");
    assert!(reload.status.success());
    assert_eq!(held(&lab), [POOL], "none is put back: {}", words(&reload));
    let metrics = words(&daemon.tidegate("check"));
    assert!(metrics.contains("no backend is available"), "{metrics}");
    running = {
        drop(running);
        servers(&lab)
    };
    all_serve(&lab, &daemon);
    let said = |line: &str| lab.log().lines().filter(|said| said.contains(line)).count();
    let vip = SERVICES[0].1;
    let times = said(&format!("VIP {vip} is withdrawn: no backend of nat serves"));
    assert_eq!(times, 1, "{}", lab.log());
    let times = said(&format!("VIP {vip} is announced: a backend of nat serves"));
    assert_eq!(times, 2, "{}", lab.log());

    // By order, one after the other: a VIP is held as soon as one of them serves.
    all_pass(&daemon);
    for order in ["drain", "disable"] {
        for name in ["s1", "s2"] {
            assert!(is(&daemon, "nat", "live"));
            assert!(daemon.tidegate(&format!("backend {order} nat {name}")).status.success());
        }
        until("it is withdrawn", || is(&daemon, "nat", "withdrawn"));
        assert!(is(&daemon, "snat", "live"));
        assert!(daemon.tidegate("backend enable nat s2").status.success());
        until("it is announced", || is(&daemon, "nat", "live"));
        assert!(daemon.tidegate("backend enable nat s1").status.success());
    }
    daemon.finish();
    drop(running);
}

#[test]
fn a_restart_withdraws_no_vip_that_is_served() {
    let lab = Lab::new();
    files(&lab);
    let _servers = servers(&lab);
    let mut daemon = Daemon::with(&lab, &configuration(&lab));
    all_serve(&lab, &daemon);
    let monitor = monitor(&lab);
    for signal in ["USR2", "KILL"] {
        daemon.process.signal(signal);
        daemon.process.0.wait().expect("it ends");
        drop(daemon);
        daemon = Daemon::with(&lab, &configuration(&lab));
        all_pass(&daemon);
        all_serve(&lab, &daemon);
    }
    drop(monitor);
    let changes = std::fs::read_to_string(lab.path("changes")).expect("changes");
    let is_ours =
        |line: &&str| SERVICES.iter().any(|(_, vip, ..)| line.contains(&format!("{vip}/")));
    let changes: Vec<_> =
        changes.lines().filter(|line| line.contains("Deleted")).filter(is_ours).collect();
    assert!(changes.is_empty(), "{changes:?}");

    // Servers that have died meanwhile.
    daemon.process.signal("KILL");
    daemon.process.0.wait().expect("it ends");
    drop(daemon);
    kill(&lab);
    let daemon = Daemon::launch(&lab, &configuration(&lab));
    until("it answers", || daemon.ask("services").is_some());
    all_are(&daemon, "withdrawn");
    assert_eq!(held(&lab), [POOL]);
    daemon.finish();
}
