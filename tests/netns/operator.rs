//! Commands, refusals and exit codes, as operators see them.

use crate::daemon::{Daemon, Setup, rows, tidegated};
use crate::peers;
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, until};
use std::process::Output;

fn refusal(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Runs tidegated in the gate; it must refuse in one line, with this exit code and these words.
pub fn refused(lab: &Lab, text: &str, words: &str) {
    std::fs::write(lab.path("other.toml"), text).expect("the configuration is written");
    let file = lab.path("other.toml");
    let output =
        lab.run("gate", &format!("timeout 30 {} --config {}", tidegated(), file.display()));
    let (code, said) = refusal(&output);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(words), "not `{words}`: {said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(output.stdout.is_empty(), "{:?}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_transfer_is_seen_while_it_runs() {
    let lab = Lab::new();
    peers::files(&lab, &[("large", 60 << 20)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    for (service, vip) in [("nat", NAT_VIP), ("snat", SNAT_VIP)] {
        let mut client = lab.spawn("client", &format!("curl -s -o got tftp://{vip}/large"));
        let mut flow = serde_json::Value::Null;
        until("the transfer is seen", || {
            let flows = daemon.ask(&format!("flows --service {service}")).expect("flows");
            flow = flows["flows"][0].clone();
            flow["state"] == "established" && flow["blocks"].as_u64() > Some(10)
        });
        assert_eq!((&flow["file"], &flow["kind"]), (&"large".into(), &"read".into()));
        assert!(flow["tid"].as_u64() > Some(0) && flow["bytes"].as_u64() > Some(5000), "{flow}");
        let seen_as = flow["seen_as"].as_str().expect("an endpoint");
        assert_eq!(seen_as.starts_with("10.77.0.101:"), service == "snat", "{seen_as}");
        let text = String::from_utf8(daemon.tidegate("flows").stdout).expect("text");
        assert!(text.contains("large") && text.contains("established"), "{text}");
        let client_ip = if service == "nat" { "10.78.0.10" } else { "10.77.0.10" };
        let of = |ip: &str| {
            daemon.ask(&format!("flows --client {ip} --limit 5")).expect("flows")["matching"]
                .as_u64()
        };
        assert_eq!((of(client_ip), of("10.1.2.3")), (Some(1), Some(0)));
        client.0.kill().expect("it runs");
    }
    daemon.finish();
}

#[test]
fn commands_in_words_and_in_json() {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab, Setup::default());
    for (command, words) in [
        ("status", "net_af_packet0,iface=dev0"),
        ("services", "10.78.0.100:69"),
        ("backends", "10.77.0.31"),
        ("flows", "CLIENT"),
        ("stats", "received"),
    ] {
        let output = daemon.tidegate(command);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains(words), "{command}: {text}");
        assert!(daemon.ask(command).is_some(), "{command}");
    }
    assert_eq!(rows(&daemon.ask("services").expect("services")).count(), 3);
    let (code, said) = refusal(&daemon.tidegate("flows --service nothing"));
    assert_eq!((code, said.contains("no service `nothing`")), (Some(1), true), "{said}");
    assert_eq!(daemon.tidegate("dance").status.code(), Some(2));
    let socket = daemon.socket();
    daemon.finish();
    let gone = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["--socket".as_ref(), socket.as_os_str(), "status".as_ref()])
        .output()
        .expect("tidegate runs");
    let (code, said) = refusal(&gone);
    assert_eq!((code, said.contains("no tidegated answers")), (Some(3), true), "{said}");
}

#[test]
fn the_operators_hand_does_not_link_dpdk() {
    for (program, links) in
        [(env!("CARGO_BIN_EXE_tidegate"), false), (env!("CARGO_BIN_EXE_tidegated"), true)]
    {
        let output = std::process::Command::new("ldd").arg(program).output().expect("ldd runs");
        let libraries = String::from_utf8_lossy(&output.stdout);
        assert_eq!(libraries.contains("librte_"), links, "{program}: {libraries}");
    }
}

#[test]
fn a_second_daemon_on_the_socket() {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab, Setup::default());
    refused(&lab, &Setup::default().text(&lab), "another tidegated runs on the socket");
    assert!(daemon.ask("status").is_some(), "the first one goes on");
    daemon.finish();
}

#[test]
fn a_killed_daemon_is_no_obstacle() {
    let lab = Lab::new();
    let mut daemon = Daemon::start(&lab, Setup::default());
    daemon.process.signal("KILL");
    daemon.process.0.wait().expect("it was killed");
    drop(daemon);
    assert!(lab.path("control.sock").exists());
    Daemon::start(&lab, Setup::default()).finish();
}

#[test]
fn what_is_missing_is_one_line() {
    let lab = Lab::new();
    let sound = Setup::default().text(&lab);
    refused(&lab, &sound.replace("iface=dev1", "iface=dev7"), "no network interface `dev7`");
    refused(&lab, &sound.replace("workers = [1]", "workers = [200]"), "no CPU core 200");
    let pci = sound.replace("net_af_packet0,iface=dev0", "0000:ff:1f.7");
    refused(&lab, &pci, "no PCI device 0000:ff:1f.7");
    let huge = sound.replace("hugepages = false", "hugepages = true\nmemory = \"900 GiB\"");
    refused(&lab, &huge, "tidegate-hugepages");
    let driver = sound.replace("net_af_packet0,iface=dev0", "net_nonesuch0");
    refused(&lab, &driver, "net_nonesuch0");
    let little = sound.replace("hugepages = false", "hugepages = false\nmemory = \"64 MiB\"");
    refused(&lab, &little, "give DPDK more memory");
}

#[test]
fn nobody_is_told_to_be_root() {
    let lab = Lab::new();
    std::fs::write(lab.path("other.toml"), Setup::default().text(&lab)).expect("it is written");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(lab.dir.path(), open).expect("it is ours");
    let config = lab.path("other.toml");
    let command =
        format!("setpriv --reuid 65534 --regid 65534 --clear-groups {} --config", tidegated());
    let (code, said) = refusal(&lab.run("gate", &format!("{command} {}", config.display())));
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("run it as root"), "{said}");
}

#[test]
fn a_broken_configuration() {
    let lab = Lab::new();
    let text = Setup::default().text(&lab).replacen("10.77.0.30", "10.77.0.300", 1);
    std::fs::write(lab.path("other.toml"), &text).expect("the configuration is written");
    let line = text.lines().position(|line| line.contains("10.77.0.300")).expect("a line") + 1;
    for more in ["", "--check"] {
        let config = lab.path("other.toml");
        let command = format!("{} {more} --config {}", tidegated(), config.display());
        let (code, said) = refusal(&lab.run("gate", &command));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(&format!("other.toml:{line}:11")) && said.contains("^^^^"), "{said}");
    }
    std::fs::write(lab.path("other.toml"), Setup::default().text(&lab)).expect("it is written");
    let config = lab.path("other.toml");
    lab.must("gate", &format!("{} --check --config {}", tidegated(), config.display()));
    assert_eq!(lab.run("gate", &format!("{} --dance", tidegated())).status.code(), Some(2));
}
