//! The gate is killed or stopped during transfers and started again: they go on.

use crate::daemon::{Daemon, Setup, rows};
use crate::patient_clients::{CLIENTS, Clients, lab};
use crate::peers;
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP, uninterrupted, until};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// All counters, by their names on the page of metrics, that a worker counts.
fn totals(daemon: &Daemon) -> BTreeMap<String, u64> {
    let mut totals = BTreeMap::new();
    for (table, sections) in [("stats", vec!["packets", "drops"]), ("services", vec!["totals"])] {
        let answer = daemon.ask(table).expect("an answer");
        let objects = if table == "stats" { vec![&answer] } else { rows(&answer).collect() };
        for object in objects {
            for section in &sections {
                let counters = object[section].as_object().expect("counters");
                let named = counters.iter().map(|(name, value)| {
                    let of = &object["name"];
                    (format!("{of} {section} {name}"), value.as_u64().expect("a number"))
                });
                totals.extend(named);
            }
        }
    }
    totals
}

/// The TAP's number, which another one would not get.
fn tap(lab: &Lab) -> String {
    lab.must("gate", "cat /sys/class/net/clients/ifindex")
}

/// Ends the gate by this signal during transfers in each mode, and starts it again.
fn again(setup: fn() -> Setup, signal: &str) {
    let lab = lab();
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let mut daemon = Daemon::start(&lab, setup());
    assert!(!lab.log().contains("counters begin"), "before it there was none: {}", lab.log());
    for (service, vip, net) in [("nat", NAT_VIP, 78), ("snat", SNAT_VIP, 77), ("dsr", DSR_VIP, 77)]
    {
        let running = Clients::start(&lab, vip, net);
        let all = u64::from(CLIENTS);
        until("all transfers run", || daemon.total(service, "responded") == all);
        let (before, tap) = (totals(&daemon), tap(&lab));
        daemon.process.signal(signal);
        daemon.process.0.wait().expect("it ends");
        drop(daemon);
        daemon = Daemon::start(&lab, setup());
        assert_eq!(
            self::tap(&lab) == tap,
            signal != "TERM",
            "a stop removes the TAP, nothing else"
        );
        let after = totals(&daemon);
        for (name, before) in before {
            let after = after.get(&name).copied().unwrap_or_default();
            assert!(after >= before, "{name}: {before}, and after the restart {after}");
        }
        running.finish(&lab, service);
        assert_eq!(daemon.total(service, "inherited"), all, "{service}: {}", lab.log());
        assert_eq!(daemon.total(service, "started"), all, "none is counted twice");
        if service != "dsr" {
            until("all are counted", || daemon.total(service, "completed") == all);
        }
    }
    assert!(lab.log().contains("8 transfers of before go on"), "{}", lab.log());
    daemon.finish();
}

#[test]
fn a_killed_gate_goes_on() {
    again(Setup::default, "KILL");
}

#[test]
fn a_stopped_gate_goes_on() {
    again(Setup::default, "TERM");
}

#[test]
fn a_gate_that_is_restarted_goes_on() {
    again(Setup::default, "USR2");
}

/// The TAPs are there before the workers, and outlive a process that is only killed.
#[test]
fn a_stop_during_the_start_leaves_nothing() {
    let lab = Lab::new();
    for _ in 0..3 {
        let daemon = Daemon::launch(&lab, &Setup::default().text(&lab));
        until("it has begun", || lab.must("gate", "ip -o link").contains("clients"));
        daemon.stop();
    }
}

/// keepalived's sockets and BGP sessions are such connections.
#[test]
fn connections_of_other_programs_outlive_the_gate() {
    let lab = Lab::new();
    let mut daemon = Daemon::start(&lab, Setup::default());
    let listener = lab.inside("gate", || TcpListener::bind("10.78.0.1:179").expect("a port"));
    let listener = listener.join().expect("it listens");
    let far = lab.inside("client", || TcpStream::connect("10.78.0.1:179").expect("a connection"));
    let mut far = far.join().expect("it is there");
    let (mut near, _) = listener.accept().expect("the connection");
    far.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    for signal in ["USR2", "KILL"] {
        daemon.process.signal(signal);
        daemon.process.0.wait().expect("it ends");
        drop(daemon);
        let carrier = lab.must("gate", "cat /sys/class/net/clients/carrier");
        assert_eq!(carrier.trim(), "0", "{signal}");
        near.write_all(signal.as_bytes()).expect("the kernel keeps it");
        daemon = Daemon::start(&lab, Setup::default());
        let mut got = vec![0; signal.len()];
        uninterrupted(|| far.read_exact(&mut got)).expect("the kernel sends it again");
        assert_eq!(got, signal.as_bytes());
    }
    daemon.finish();
}

#[test]
fn two_workers_that_are_killed_go_on() {
    let setup = || Setup { workers: "0, 1", device_arguments: ",qpairs=2", ..Setup::default() };
    again(setup, "KILL");
}

/// Commands persist, and a changed configuration is in force.
#[test]
fn orders_outlive_the_gate_and_the_file_may_change() {
    let lab = lab();
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let mut daemon = Daemon::start(&lab, Setup::default());
    let running = Clients::start(&lab, NAT_VIP, 78);
    until("all transfers run", || daemon.total("nat", "responded") == u64::from(CLIENTS));
    assert!(daemon.tidegate("backend drain snat s1").status.success());
    daemon.process.signal("KILL");
    daemon.process.0.wait().expect("it was killed");
    drop(daemon);
    // One of the backends was removed from the configuration.
    let s1 = "[[service.backend]]\nname = \"s1\"\naddress = \"10.77.0.30\"\n\n";
    let text = Setup::default().text(&lab).replacen(s1, "", 1);
    assert_ne!(text, Setup::default().text(&lab));
    let daemon = Daemon::launch(&lab, &text);
    running.finish(&lab, "nat");
    let backends = daemon.ask("backends").expect("backends");
    let state = |service: &str, name: &str| {
        let row = rows(&backends).find(|row| row["service"] == service && row["name"] == name);
        row.map(|row| row["state"].clone())
    };
    assert_eq!(state("snat", "s1"), Some("draining".into()));
    assert!(state("nat", "s1").is_none_or(|state| state == "removed"), "{backends}");
    daemon.finish();
}

/// From one worker to two with larger tables, and back.
#[test]
fn other_workers_go_on_with_them() {
    let lab = lab();
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let two = Setup { workers: "0, 1", device_arguments: ",qpairs=2", ..Setup::default() };
    let texts = [
        Setup::default().text(&lab),
        two.text(&lab).replace("max_flows = 4096", "max_flows = 8192"),
    ];
    assert_ne!(texts[0], texts[1]);
    let mut daemon = Daemon::with(&lab, &texts[0]);
    for (round, (service, vip, net)) in
        [("nat", NAT_VIP, 78), ("snat", SNAT_VIP, 77), ("dsr", DSR_VIP, 77)].into_iter().enumerate()
    {
        let before = daemon.total(service, "responded");
        let running = Clients::start(&lab, vip, net);
        let all = u64::from(CLIENTS);
        until("all transfers run", || daemon.total(service, "responded") == before + all);
        daemon.process.signal("KILL");
        daemon.process.0.wait().expect("it was killed");
        drop(daemon);
        daemon = Daemon::with(&lab, &texts[(round + 1) % 2]);
        assert_eq!(daemon.total(service, "inherited"), all, "{service}: {}", lab.log());
        assert!(!lab.log().contains("do not go on"), "{}", lab.log());
        running.finish(&lab, service);
    }
    daemon.finish();
}
