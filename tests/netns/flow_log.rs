//! The log of transfers: files, the journal and standard error; rotation, reload and trouble.

use crate::daemon::{Daemon, Setup};
use crate::peers::{self, CLIENTS, Client};
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, VIPS_V6, until};
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A configuration with these outputs.
fn with_logs(lab: &Lab, service: &'static str, logs: &[&str]) -> String {
    let text = Setup { service, ..Setup::default() }.text(lab);
    logs.iter().fold(text, |text, log| format!("{text}[[log]]\n{log}\n"))
}

/// The lines of a log in JSON.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Lines of `service` with this outcome.
fn count(lines: &[Value], service: &str, outcome: &str) -> u64 {
    let is_it = |line: &&Value| line["service"] == service && line["outcome"] == outcome;
    lines.iter().filter(is_it).count() as u64
}

/// Fetches a file that the servers do not have.
fn fetch_nothing(lab: &Lab, vip: &str) {
    assert!(!lab.run("client", &format!("curl -sS -o none tftp://{vip}/none")).status.success());
}

#[test]
fn each_end_has_a_line_that_says_what_the_counters_say() {
    let lab = Lab::new();
    peers::files(&lab, &[("boot.img", 300_000)]);
    let _servers = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    let [all, failures] = ["all.jsonl", "failures.log"].map(|name| lab.path(name));
    let logs = [
        format!("to = \"file:{}\"", all.display()),
        format!(
            "to = \"file:{}\"\nformat = \"text\"\noutcomes = [\"not-found\", \"refused\"]",
            failures.display()
        ),
    ];
    let logs: Vec<&str> = logs.iter().map(String::as_str).collect();
    let daemon = Daemon::with(&lab, &with_logs(&lab, "read_only = true", &logs));
    for vip in [NAT_VIP, SNAT_VIP] {
        for client in CLIENTS {
            client.get(&lab, vip, "boot.img", None);
        }
        fetch_nothing(&lab, vip);
    }
    let put = format!("curl -sS -T {} tftp://{NAT_VIP}/up", lab.path("files/boot.img").display());
    assert!(!lab.run("client", &put).status.success());
    until("the lines are written", || {
        let now = lines(&all);
        ["nat", "snat"].iter().all(|&service| {
            ["completed", "not-found", "failed"].iter().all(|outcome| {
                count(&now, service, outcome) == daemon.total(service, &outcome.replace('-', "_"))
            }) && count(&now, service, "completed") == 4
        }) && count(&now, "nat", "refused") >= 1
    });
    let now = lines(&all);
    let one = now.iter().find(|line| line["service"] == "snat" && line["outcome"] == "completed");
    let one = one.expect("a download through snat");
    assert_eq!((&one["event"], &one["file"]), (&"transfer".into(), &"boot.img".into()));
    assert_eq!((&one["client"], &one["vip"]), (&"10.77.0.10".into(), &SNAT_VIP.into()));
    assert_eq!(one["seen_as"].as_str().map(|at| at.starts_with("10.77.0.101:")), Some(true));
    assert_eq!((&one["bytes"], &one["mode"]), (&300_000.into(), &"nat + snat".into()));
    assert_eq!((&one["why"], &one["interface"]), (&"round-robin".into(), &"servers".into()));
    let mac = lab.must("client", "cat /sys/class/net/c1/address");
    assert_eq!(one["client_mac"], mac.trim());
    assert!(one["duration_ms"].as_u64() >= one["answer_ms"].as_u64(), "{one}");
    let seqs: Vec<_> = now.iter().map(|line| line["seq"].as_u64()).collect();
    assert!(seqs.is_sorted() && seqs.first() == Some(&Some(1)), "{seqs:?}");
    let text = std::fs::read_to_string(&failures).expect("the second log");
    assert!(text.lines().all(|line| line.contains(" not-found ") || line.contains(" refused ")));
    assert!(text.contains("write up refused (read-only)") && text.contains("error=1"), "{text}");
    daemon.finish();
}

#[test]
fn files_are_rotated_by_sighup_and_outputs_change_by_reload() {
    let lab = Lab::new();
    peers::files(&lab, &[("small", 1000)]);
    let _servers = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    let (log, old, bad) = (lab.path("log"), lab.path("log.1"), lab.path("not/there"));
    let to = format!("to = \"file:{}\"", log.display());
    let daemon = Daemon::with(&lab, &with_logs(&lab, "", &[&to]));
    let fetch = || Client::Tftp.get(&lab, NAT_VIP, "small", None);
    fetch();
    until("the line is written", || lines(&log).len() == 1);
    std::fs::rename(&log, &old).expect("it is moved");
    fetch();
    until("the moved file goes on", || lines(&old).len() == 2);
    lab.must("gate", &format!("kill -HUP {}", daemon.pid()));
    until("there is a new file", || log.exists());
    fetch();
    until("the new file goes on", || lines(&log).len() == 1);
    assert_eq!(lines(&old).len(), 2);

    let write = |logs: &[&str]| {
        std::fs::write(lab.path("tidegate.toml"), with_logs(&lab, "", logs)).expect("written");
    };
    write(&[&format!("to = \"file:{}\"", bad.display())]);
    let refused = daemon.tidegate("reload");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("cannot log to"), "{said}");
    fetch();
    until("it is logged as before", || lines(&log).len() == 2);
    write(&[]);
    assert!(daemon.tidegate("reload").status.success());
    fetch();
    daemon.completes("nat", 5);
    write(&[&to]);
    assert!(daemon.tidegate("reload").status.success());
    fetch();
    until("it is logged again", || lines(&log).len() == 3);
    daemon.finish();
}

/// A reload that is only checked makes no file, and one that the kernel refuses leaves the log where it was.
#[test]
fn a_reload_that_is_not_done_leaves_the_log_where_it_was() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("small", 1000)]);
    let _servers = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    let text = Setup { ipv6: true, ..Setup::default() }.text(&lab);
    let [before, after] = ["before", "after"].map(|name| lab.path(name));
    let log = |path: &Path| format!("[[log]]\nto = \"file:{}\"\n", path.display());
    let daemon = Daemon::with(&lab, &(text.clone() + &log(&before)));
    let write = |text: String| std::fs::write(lab.path("tidegate.toml"), text).expect("written");
    let fetch = || Client::Tftp.get(&lab, NAT_VIP, "small", None);

    write(text.clone() + &log(&after));
    let checked = daemon.tidegate("reload --check");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && said.contains("only checked"), "{said}");
    assert!(!after.exists(), "a check makes no file");
    fetch();
    until("the check has changed nothing", || lines(&before).len() == 1);

    lab.must("gate", "sysctl -q -w net.ipv6.conf.servers.disable_ipv6=1");
    let more = format!("\"{}\", \"fd00:77::110\"", VIPS_V6[0]);
    write(text.replace(&format!("\"{}\"", VIPS_V6[0]), &more) + &log(&after));
    let refused = daemon.tidegate("reload");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("fd00:77::110"), "{said}");
    fetch();
    until("it is logged as before", || lines(&before).len() == 2);
    assert!(lines(&after).is_empty());
    daemon.finish();
}

/// A FIFO that is full, and its reader, which does not read.
fn full_fifo(path: &Path) -> File {
    let made = Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
    assert!(made.success());
    let mut reader = File::options().read(true).write(true).open(path).expect("a FIFO");
    // All that it holds (pipe(7)).
    reader.write_all(&[b'x'; 65_536]).expect("there is room");
    reader
}

/// A full disk, a FIFO whose reader does not read and a journal that is away lose lines, and nothing else; the daemon's own
/// log tells each once.
#[test]
fn what_can_t_be_written_is_lost_and_told_once() {
    let lab = Lab::new();
    peers::files(&lab, &[("small", 1000)]);
    let _servers = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    let (good, fifo) = (lab.path("log"), lab.path("fifo"));
    let _reader = full_fifo(&fifo);
    let [to, to_fifo] = [&good, &fifo].map(|path| format!("to = \"file:{}\"", path.display()));
    let logs = ["to = \"file:/dev/full\"", "to = \"journald\"", &to_fifo, &to];
    let daemon = start_with_own_run(&lab, &with_logs(&lab, "", &logs), "");
    for _ in 0..5 {
        Client::Tftp.get(&lab, NAT_VIP, "small", None);
    }
    until("the good log is whole", || lines(&good).len() == 5);
    let said = lab.log();
    for to in ["/dev/full", "journald", &fifo.display().to_string()] {
        let told = format!("the log to {to} is not written, and lines are lost");
        assert_eq!(said.matches(&told).count(), 1, "{said}");
    }
    daemon.finish();
    let text = with_logs(&lab, "", &["to = \"file:/not/there\""]);
    let mut refused = Daemon::launch(&lab, &text);
    assert_eq!(refused.process.0.wait().expect("it ends").code(), Some(1));
    assert!(lab.log().contains("cannot log to /not/there: No such file"), "{}", lab.log());
}

/// Starts the daemon with a `/run` of its own, which a script fills.
fn start_with_own_run<'a>(lab: &'a Lab, text: &str, script: &str) -> Daemon<'a> {
    let file = lab.path("own-run");
    let script = format!("mount -t tmpfs none /run && {script} exec \"$@\"\n");
    std::fs::write(&file, script).expect("the script is written");
    let daemon = Daemon::launch_by(lab, text, &format!("sh -e {}", file.display()));
    until("all backends are up", || {
        let backends = daemon.ask("backends");
        let is_up = |all: &Value| crate::daemon::rows(all).all(|one| one["state"] == "up");
        backends.is_some_and(|all| is_up(&all))
    });
    daemon
}

#[test]
fn the_journal_gets_a_field_for_each_value() {
    let lab = Lab::new();
    peers::files(&lab, &[("small", 1000)]);
    let _servers = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    let path = lab.path("journal");
    let journal = UnixDatagram::bind(&path).expect("a socket");
    journal.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let script = format!(
        "mkdir -p /run/systemd/journal && touch /run/systemd/journal/socket && \
         mount --bind {} /run/systemd/journal/socket &&",
        path.display()
    );
    let daemon = start_with_own_run(&lab, &with_logs(&lab, "", &["to = \"journald\""]), &script);
    Client::Tftp.get(&lab, NAT_VIP, "small", None);
    let mut message = [0; 8192];
    let mut len = 0;
    // The first datagram only finds out whether there is a journal.
    while len == 0 {
        len = kit::lab::uninterrupted(|| journal.recv(&mut message)).expect("an entry");
    }
    let text = String::from_utf8_lossy(&message[..len]).into_owned();
    for field in [
        "SYSLOG_IDENTIFIER",
        "tidegate",
        "TIDEGATE_CLIENT",
        "10.78.0.10",
        "TIDEGATE_FILE",
        "small",
        "TIDEGATE_OUTCOME",
        "completed",
    ] {
        assert!(text.contains(field), "no {field}: {text:?}");
    }
    daemon.finish();
}
