//! Lasting FTP sessions: long transfers, drained and dead backends, many sessions at once.

use crate::daemon::{Daemon, Setup, rows};
use crate::ftp::ftp;
use crate::ftp_clients::{ftplib, must_ftplib, said};
use crate::ftp_servers::{Ftpd, Manner};
use crate::peers;
use kit::lab::{Lab, NAT_VIP, Process, SNAT_VIP, VIPS, until};
use serde_json::Value;
use std::net::SocketAddr;

fn lab_with_servers() -> (Lab, [Process; 2]) {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 1 << 20), ("long", 32 << 20)]);
    let servers = [
        Ftpd::Vsftpd.start(&lab, "s1", Manner::default()),
        Ftpd::Pure.start(&lab, "s2", Manner::default()),
    ];
    (lab, servers)
}

fn v4() -> Setup {
    Setup { ipv6: false, ..ftp() }
}

#[test]
fn fifty_sessions_at_once_by_one_worker() {
    fifty_at_once(v4(), 1);
}

#[test]
fn fifty_sessions_at_once_by_two_workers() {
    fifty_at_once(Setup { workers: "0, 1", device_arguments: ",qpairs=2", ..v4() }, 2);
}

/// Half of them are active; with two workers, clients have many addresses so that both workers get some.
fn fifty_at_once(setup: Setup, workers: usize) {
    let (lab, _servers) = lab_with_servers();
    for n in 1..=50 {
        lab.must("client", &format!("ip address add 10.78.2.{n}/16 dev c0"));
        lab.must("client", &format!("ip address add 10.77.2.{n}/16 dev c1"));
    }
    let daemon = Daemon::start(&lab, setup);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    daemon.has_workers(workers.min(cores));
    for vip in VIPS {
        let net = if vip == NAT_VIP { 78 } else { 77 };
        must_ftplib(&lab, &format!("crowd {vip} both 50 10.{net}.2."));
    }
    daemon.finish();
}

/// The control connection exceeds its idle timeout, but its data connection is active.
#[test]
fn a_long_transfer_keeps_its_control_connection() {
    let (lab, _servers) = lab_with_servers();
    let daemon = Daemon::start(&lab, Setup { service: "idle_timeout = \"3s\"", ..v4() });
    std::thread::scope(|scope| {
        for vip in VIPS {
            let lab = &lab;
            // In dsr, data connections cannot be assigned to one of a client's sessions.
            scope.spawn(move || {
                for how in ["passive", "active"] {
                    must_ftplib(lab, &format!("slow {vip} {how} 8"));
                }
            });
        }
    });
    daemon.finish();
}

/// Without a transfer the session expires, and its client gets a RST.
#[test]
fn an_idle_session_ends() {
    let (lab, _servers) = lab_with_servers();
    let daemon = Daemon::start(&lab, Setup { service: "idle_timeout = \"5s\"", ..v4() });
    let mut sessions =
        VIPS.map(|vip| lab.spawn("client", &ftplib(&format!("stay {vip} passive runs-{vip} go"))));
    until("all run", || VIPS.iter().all(|vip| lab.path(&format!("runs-{vip}")).exists()));
    until("all are over", || {
        let flows = daemon.ask("flows").expect("flows");
        rows(&flows["connections"]).all(|row| row["state"] == "closed")
    });
    std::fs::write(lab.path("go"), "").expect("a file");
    for session in &mut sessions {
        assert!(!session.0.wait().expect("it ends").success());
    }
    let log = std::fs::read_to_string(lab.path("client.log")).expect("a log");
    // The clients log concurrently, each in lines of its own.
    assert_eq!(log.matches("ConnectionResetError: [Errno").count(), 3, "{log}");
    daemon.finish();
}

/// Both connections of a session, with all endpoints.
#[test]
fn a_session_is_seen_while_it_runs() {
    let (lab, _servers) = lab_with_servers();
    let daemon = Daemon::start(&lab, v4());
    for (service, vip) in [("nat", NAT_VIP), ("snat", SNAT_VIP)] {
        for (active, data_port) in [("", None), ("--ftp-port -", Some(20))] {
            let slow = "curl -s --limit-rate 500k -o got";
            let mut client = lab.spawn("client", &format!("{slow} {active} ftp://{vip}/long"));
            let mut open = vec![];
            until("the transfer is seen", || {
                let flows = daemon.ask(&format!("flows --service {service}")).expect("flows");
                let is_open = |row: &&Value| row["state"] == "open";
                open = rows(&flows["connections"]).filter(is_open).cloned().collect();
                open.len() == 2 && open.iter().any(|row| row["bytes_out"].as_u64() > Some(100_000))
            });
            let of_kind = |kind: &str| open.iter().find(|row| row["kind"] == kind).expect("one");
            let end = |row: &Value, end: &str| -> SocketAddr {
                row[end].as_str().and_then(|end| end.parse().ok()).expect("an endpoint")
            };
            let (control, data) = (of_kind("client"), of_kind("data"));
            assert_eq!(end(control, "vip").to_string(), format!("{vip}:21"));
            assert_eq!(end(control, "server").port(), 21);
            assert_eq!(end(control, "server").ip(), end(data, "server").ip());
            assert_eq!(end(control, "client").ip(), end(data, "client").ip());
            assert_eq!(end(data, "vip").ip().to_string(), vip);
            assert!(data_port.is_none_or(|port| end(data, "vip").port() == port), "{data}");
            for row in [control, data] {
                let seen_as = end(row, "seen_as");
                assert_eq!(seen_as == end(row, "client"), service == "nat", "{row}");
                assert_eq!(row["protocol"], "tcp");
            }
            let text = String::from_utf8(daemon.tidegate("flows").stdout).expect("text");
            assert!(text.contains(&end(data, "client").to_string()), "{text}");
            client.0.kill().expect("it runs");
            client.0.wait().expect("it was killed");
            until("it is over", || {
                let flows = daemon.ask(&format!("flows --service {service}")).expect("flows");
                rows(&flows["connections"]).all(|row| row["state"] != "open")
            });
        }
    }
    daemon.finish();
}

/// Existing sessions go on; new ones go to the other backend.
#[test]
fn a_backend_that_is_drained() {
    let (lab, _servers) = lab_with_servers();
    lab.must("client", "ip address add 10.78.0.11/16 dev c0");
    lab.must("client", "ip address add 10.77.0.11/16 dev c1");
    let daemon = Daemon::start(&lab, v4());
    for (service, vip) in [("nat", NAT_VIP), ("snat", SNAT_VIP), ("dsr", VIPS[2])] {
        let (runs, go_on) = ([1, 2].map(|n| format!("{service}-{n}")), format!("{service}-go"));
        let mut sessions = runs.each_ref().map(|runs| {
            lab.spawn("client", &ftplib(&format!("stay {vip} passive {runs} {go_on}")))
        });
        until("both sessions run", || runs.iter().all(|runs| lab.path(runs).exists()));
        let before = daemon.by_backend(service, "started");
        // In dsr a client's sessions are at one backend.
        let at = usize::from(before[0] == 0);
        let drain = format!("backend drain {service} {}", ["s1", "s2"][at]);
        assert!(daemon.tidegate(&drain).status.success());
        // These belong to another client.
        (0..4).for_each(|_| {
            let from = if vip == NAT_VIP { "10.78.0.11" } else { "10.77.0.11" };
            let curl = format!("curl -sS --max-time 60 --interface {from} -o got");
            lab.must("client", &format!("{curl} ftp://{vip}/image"));
        });
        let after = daemon.by_backend(service, "started");
        assert_eq!(after[at], before[at], "{service}: new ones at the drained one");
        assert!(after[1 - at] >= before[1 - at] + 4, "{service}: {before:?} {after:?}");
        std::fs::write(lab.path(&go_on), "").expect("a file");
        for session in &mut sessions {
            let status = session.0.wait().expect("it ends");
            let log = std::fs::read_to_string(lab.path("client.log")).unwrap_or_default();
            assert!(status.success(), "{service}: {log}");
        }
    }
    daemon.finish();
}

/// Transfers from a dead host end at once, in both directions.
#[test]
fn a_backend_that_dies_in_the_middle() {
    const HEALTH: &str = "[service.health]\ncheck = \"ftp\"\ninterval = \"500ms\"\n\
                          timeout = \"500ms\"";
    let (lab, _servers) = lab_with_servers();
    let setup = Setup { service: HEALTH, ..v4() };
    let text = setup.text(&lab);
    // From the dying server only.
    let text = text.replace("name = \"s2\"", "name = \"s2\"\nweight = 0");
    let daemon = Daemon::with(&lab, &text);
    std::thread::scope(|scope| {
        let mut clients = vec![];
        for vip in VIPS {
            for data in ["", "--ftp-port -"] {
                let slow = "curl -sSv --max-time 60 --limit-rate 500k";
                let command = format!("{slow} {data} -o /dev/null ftp://{vip}/long");
                let lab = &lab;
                let run = move || (command.clone(), lab.run("client", &command));
                clients.push(scope.spawn(run));
            }
        }
        until("all transfers run", || {
            let sockets = lab.must("client", "ss -Htn state established");
            sockets.lines().count() == 12
        });
        lab.must("s1", "ip link set eth0 down");
        for client in clients {
            let (command, output) = client.join().expect("it ends");
            let said = said(&output);
            assert_eq!(output.status.code(), Some(56), "{command}: {said}");
            assert!(said.contains("reset by peer"), "{command}: {said}");
        }
    });
    let backends = daemon.ask("backends").expect("backends");
    assert!(rows(&backends).filter(|row| row["name"] == "s1").all(|row| row["state"] != "up"));
    daemon.finish();
}
