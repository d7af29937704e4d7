//! Health checks of servers that die, lose a file or an address, and come back.

use crate::daemon::{Daemon, Setup, rows};
use crate::ftp_servers::{Ftpd, Manner};
use crate::ipv6::dual;
use crate::peers::{self, Client};
use kit::lab::{DSR_VIP, Lab, VIPS, VIPS_V6, until};
use serde_json::Value;

/// A fast pace, for the tests' sake.
const PACE: &str = "interval = \"500ms\"\ntimeout = \"500ms\"\n";
pub const CANARY: &str = "check = \"tftp\"\nfile = \"canary\"\nsize = 13\n";
const MODES: [&str; 3] = ["nat", "snat", "dsr"];

/// A configuration with these checks in `nat`, `snat` and `dsr`.
pub fn text(lab: &Lab, setup: Setup, checks: [&str; 3]) -> String {
    let mut text = Setup { service: "#health", ..setup }.text(lab);
    for check in checks {
        text = text.replacen("#health", &format!("[service.health]\n{check}{PACE}"), 1);
    }
    text
}

fn backend(daemon: &Daemon, service: &str, name: &str) -> Value {
    let backends = daemon.ask("backends").expect("backends");
    let mut rows = rows(&backends);
    let row = rows.find(|row| row["service"] == service && row["name"] == name);
    row.expect("the backend").clone()
}

/// Waits until a backend has this state, with these words of its last check.
fn becomes(daemon: &Daemon, [service, name]: [&str; 2], state: &str, words: &str) {
    let mut last = Value::Null;
    until(&format!("{name} of {service} is {state}: {words}"), || {
        last = backend(daemon, service, name);
        let check = &last["check"];
        let verdict = if state == "up" { "passed" } else { "failed" };
        last["state"] == state
            && check["verdict"] == verdict
            && check["last"].as_str().is_some_and(|last| last.contains(words))
    });
    assert!(last["check"]["since"].as_u64().is_some(), "{last}");
}

fn all_become(daemon: &Daemon, name: &str, state: &str, words: &str) {
    MODES.into_iter().for_each(|service| becomes(daemon, [service, name], state, words));
}

/// The canary file has thirteen bytes. ICMP rate limits are off, so that each closed port is reported.
pub fn files(lab: &Lab) {
    for (name, ip) in
        [("s1", "ipv4.icmp_"), ("s1", "ipv6.icmp."), ("s2", "ipv4.icmp_"), ("s2", "ipv6.icmp.")]
    {
        lab.must(name, &format!("sysctl -q -w net.{ip}ratelimit=0"));
    }
    peers::files(lab, &[("canary", 13), ("small", 1000)]);
}

#[test]
fn a_dead_server_gets_nothing_until_it_is_back() {
    let lab = Lab::new();
    files(&lab);
    let mut one = peers::tftpd_hpa(&lab, "s1");
    let _two = peers::atftpd(&lab, "s2");
    let daemon = Daemon::with(&lab, &text(&lab, Setup::default(), [CANARY; 3]));
    ["s1", "s2"].into_iter().for_each(|name| all_become(&daemon, name, "up", ""));
    let fetch = || {
        let before = MODES.map(|service| daemon.by_backend(service, "started"));
        for vip in VIPS.into_iter().cycle().take(12) {
            Client::Curl.get(&lab, vip, "small", None);
        }
        let after = MODES.map(|service| daemon.by_backend(service, "started"));
        let gained = |n: usize, at: usize| after[n][at] - before[n][at];
        [0, 1, 2].map(|n| [gained(n, 0), gained(n, 1)])
    };
    assert_eq!(fetch(), [[2, 2]; 3]);
    for process in &mut one {
        process.signal("KILL");
        process.0.wait().expect("it was killed");
    }
    all_become(&daemon, "s1", "down", "port 69 is closed");
    assert_eq!(fetch(), [[0, 4]; 3]);
    for mode in MODES {
        let line = format!("backend s1 of {mode} (10.77.0.30) is down: port 69 is closed");
        assert_eq!(lab.log().matches(&line).count(), 1, "{}", lab.log());
    }
    let shown = String::from_utf8(daemon.tidegate("backends").stdout).expect("text");
    assert!(shown.contains(": port 69 is closed") && shown.contains("passed "), "{shown}");
    let one = peers::tftpd_hpa(&lab, "s1");
    all_become(&daemon, "s1", "up", "");
    assert!(lab.log().contains("backend s1 of dsr (10.77.0.30) is up: it passes its checks"));
    let fair = fetch();
    assert!(fair.iter().all(|[one, _]| *one > 0), "{fair:?}");
    // A paused server keeps its port open and does not answer.
    one.iter().for_each(|process| process.signal("STOP"));
    all_become(&daemon, "s1", "down", "no answer within 500ms");
    one.iter().for_each(|process| process.signal("CONT"));
    all_become(&daemon, "s1", "up", "");
    daemon.finish();
}

#[test]
fn a_server_without_the_file_says_so_and_one_with_another_does_too() {
    let lab = Lab::new();
    files(&lab);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::with(&lab, &text(&lab, Setup::default(), [CANARY; 3]));
    let canary = lab.path("files/canary");
    let both = |state, words| ["s1", "s2"].map(|name| all_become(&daemon, name, state, words));
    both("up", "");
    std::fs::remove_file(&canary).expect("it is there");
    both("down", "file not found: the server is up but has no such file");
    std::fs::write(&canary, "short").expect("it is written");
    both("down", "the file has 5 bytes, not 13");
    std::fs::write(&canary, "thirteen here").expect("it is written");
    both("up", "");
    // Kernel state left by a killed gate is taken over by the next one.
    let mut killed = daemon;
    killed.process.signal("KILL");
    killed.process.0.wait().expect("it was killed");
    drop(killed);
    let daemon = Daemon::with(&lab, &text(&lab, Setup::default(), [CANARY; 3]));
    ["s1", "s2"].into_iter().for_each(|name| all_become(&daemon, name, "up", ""));
    daemon.finish();
}

#[test]
fn a_backend_without_the_vip_is_found_over_both_families() {
    let lab = Lab::new().with_ipv6();
    files(&lab);
    let v4 = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    let v6 = ["s1", "s2"].map(|name| peers::tftpd_hpa_v6(&lab, name));
    let daemon = Daemon::with(&lab, &text(&lab, dual(), [CANARY; 3]));
    let all = ["s1", "s2", "s1-v6", "s2-v6"];
    all.into_iter().for_each(|name| all_become(&daemon, name, "up", ""));
    lab.must("s2", &format!("ip address del {DSR_VIP}/32 dev lo"));
    let words = format!("no answer within 500ms: is {DSR_VIP} on its loopback?");
    becomes(&daemon, ["dsr", "s2"], "down", &words);
    lab.must("s2", &format!("ip address del {}/128 dev lo", VIPS_V6[2]));
    let words = format!("no answer within 500ms: is {} on its loopback?", VIPS_V6[2]);
    becomes(&daemon, ["dsr", "s2-v6"], "down", &words);
    for (service, name) in [("dsr", "s1"), ("dsr", "s1-v6"), ("nat", "s2"), ("snat", "s2-v6")] {
        assert_eq!(backend(&daemon, service, name)["state"], "up", "{name} of {service}");
    }
    for vip in [DSR_VIP, VIPS_V6[2]] {
        (0..3).for_each(|_| Client::Curl.get(&lab, vip, "small", None));
    }
    lab.must("s2", &format!("ip address add {DSR_VIP}/32 dev lo"));
    lab.must("s2", &format!("ip address add {}/128 dev lo nodad", VIPS_V6[2]));
    ["s2", "s2-v6"].into_iter().for_each(|name| becomes(&daemon, ["dsr", name], "up", ""));
    drop((v4, v6));
    all.into_iter().for_each(|name| all_become(&daemon, name, "down", "port 69 is closed"));
    daemon.finish();
}

/// Debian's plugins, and Tidegate's built-in checks that replace them.
#[test]
fn ftp_and_ssh_by_plugins_and_without() {
    let lab = Lab::new();
    files(&lab);
    let sshd = ["s1", "s2"].map(|name| peers::sshd(&lab, name));
    let vsftpd = ["s1", "s2"].map(|name| Ftpd::Vsftpd.start(&lab, name, Manner::default()));
    let checks = [
        "check = \"command\"\ncommand = \"check_ssh -H HOST -p 22\"\n",
        "check = \"command\"\ncommand = \"check_ftp -H HOST -p PORT\"\nport = 21\n",
        "check = \"ssh\"\n",
    ];
    let daemon = Daemon::with(&lab, &text(&lab, Setup::default(), checks));
    for name in ["s1", "s2"] {
        becomes(&daemon, ["nat", name], "up", "SSH OK - OpenSSH");
        becomes(&daemon, ["snat", name], "up", "FTP OK - ");
        becomes(&daemon, ["dsr", name], "up", "SSH-2.0-OpenSSH");
    }
    drop(sshd);
    drop(vsftpd);
    for name in ["s1", "s2"] {
        becomes(&daemon, ["nat", name], "down", "exit 2: connect to address 10.77.0.3");
        becomes(&daemon, ["snat", name], "down", "exit 2: connect to address 10.77.0.3");
        becomes(&daemon, ["dsr", name], "down", "port 22 is closed");
    }
    daemon.finish();
}

#[test]
fn ftp_with_a_login_and_echoes_and_connections() {
    let lab = Lab::new().with_ipv6();
    files(&lab);
    let vsftpd = ["s1", "s2"].map(|name| Ftpd::Vsftpd.start(&lab, name, Manner::default()));
    let checks = [
        "check = \"ftp\"\nuser = \"anonymous\"\npassword = \"gate@example.com\"\n",
        "check = \"ftp\"\n",
        "check = \"icmp\"\n",
    ];
    let daemon = Daemon::with(&lab, &text(&lab, dual(), checks));
    let all = ["s1", "s2", "s1-v6", "s2-v6"];
    all.into_iter().for_each(|name| all_become(&daemon, name, "up", ""));
    drop(vsftpd);
    for name in all {
        becomes(&daemon, ["nat", name], "down", "port 21 is closed");
        becomes(&daemon, ["snat", name], "down", "port 21 is closed");
        assert_eq!(backend(&daemon, "dsr", name)["state"], "up", "{name}");
    }
    lab.must("s1", &format!("ip address del {DSR_VIP}/32 dev lo"));
    lab.must("s1", &format!("ip address del {}/128 dev lo", VIPS_V6[2]));
    for name in ["s1", "s1-v6"] {
        becomes(&daemon, ["dsr", name], "down", "on its loopback?");
    }
    daemon.finish();
}
