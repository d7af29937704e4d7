//! Health checks by misbehaving programs, for long enough to see leaks.

use crate::daemon::{Daemon, Setup};
use crate::peers;
use kit::lab::{Lab, SNAT_VIP, until};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Programs and their behaviour, after each has written a line.
const PLUGINS: [(&str, &str); 6] = [
    ("ends", "exit 0"),
    ("fails", "exit 2"),
    ("hangs", "sleep MARK"),
    ("orphans", "sleep MARK >/dev/null & exit 0"),
    ("clings", "sleep MARK & exit 0"),
    ("killed", "kill -9 $$"),
];
/// Services per kind, with two backends each.
const SERVICES: usize = 2;
/// Checks per kind until the first look, and until the last one.
const CHECKS: [usize; 2] = [50, 300];
/// Most time on a busy machine.
const LIMIT: Duration = Duration::from_secs(240);

/// A sleep time in seconds that only this process's programs use.
fn mark() -> String {
    format!("9{:07}", std::process::id())
}

/// Writes the programs to the lab's folder, executable for everybody.
fn write_plugins(lab: &Lab) {
    for (name, does) in PLUGINS {
        let path = lab.path(name);
        let count = lab.path(&format!("{name}.count"));
        fs::write(&count, "").expect("a file");
        fs::set_permissions(&count, Permissions::from_mode(0o666)).expect("all may write it");
        let does = does.replace("MARK", &mark());
        let script = format!("#!/bin/sh\necho >>{}\n{does}\n", count.display());
        fs::write(&path, script).expect("a script");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("all may run it");
    }
}

fn text(lab: &Lab, is_checked: bool) -> String {
    let all = Setup::default().text(lab);
    let mut text = all[..all.find("[[service]]").expect("services")].to_owned();
    for (n, (name, _)) in PLUGINS.iter().enumerate() {
        for m in 0..SERVICES {
            let port = 1000 + 10 * n + m;
            text += &format!(
                "[[service]]\nname = \"{name}-{m}\"\nprotocol = \"tftp\"\nvip = \"{SNAT_VIP}\"\n\
                 port = {port}\nsnat = [\"10.77.0.101\"]\n\
                 [[service.backend]]\nname = \"s1\"\naddress = \"10.77.0.30\"\n\
                 [[service.backend]]\nname = \"s2\"\naddress = \"10.77.0.31\"\n"
            );
            if is_checked {
                text += &format!(
                    "[service.health]\ncheck = \"command\"\ncommand = \"{}\"\n\
                     interval = \"200ms\"\ntimeout = \"100ms\"\n",
                    lab.path(name).display()
                );
            }
        }
    }
    text
}

/// Waits until each program has run so often.
fn wait_for_checks(lab: &Lab, count: usize) {
    let ran = |name: &str| fs::read(lab.path(&format!("{name}.count"))).expect("a file").len();
    let start = Instant::now();
    while PLUGINS.iter().any(|(name, _)| ran(name) < count) {
        let all = PLUGINS.map(|(name, _)| (name, ran(name)));
        assert!(start.elapsed() < LIMIT, "{all:?} of {count}");
        sleep(Duration::from_millis(100));
    }
}

/// Children of the gate, zombies included, and sleeping descendants of the programs.
fn left(daemon: &Daemon) -> Vec<String> {
    let children = format!("ps -o pid=,stat=,args= --ppid {}", daemon.pid());
    let sleepers = format!("pgrep -a -f sleep.{}", mark());
    let said = [children, sleepers].map(|command| {
        let words: Vec<_> = command.split(' ').collect();
        let output = Command::new(words[0]).args(&words[1..]).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    said.concat().lines().map(str::to_owned).collect()
}

#[test]
fn programs_that_behave_badly_leave_nothing_behind() {
    let lab = Lab::new();
    peers::files(&lab, &[]);
    write_plugins(&lab);
    let daemon = Daemon::launch(&lab, &text(&lab, true));
    wait_for_checks(&lab, CHECKS[0]);
    let before = daemon.holds();
    wait_for_checks(&lab, CHECKS[0] + CHECKS[1]);
    // Each check has one program and its children, and a killed one may wait to be reaped.
    let most = PLUGINS.len() * SERVICES * 2 * 4;
    assert!(left(&daemon).len() <= most, "{:#?}", left(&daemon));
    fs::write(lab.path("tidegate.toml"), text(&lab, false)).expect("the configuration is written");
    daemon.process.signal("HUP");
    until("nothing is left", || left(&daemon).is_empty());
    let after = daemon.holds();
    assert!(after.0 <= before.0, "{} files, and {} before", after.0, before.0);
    assert!(after.1 < before.1 + 4 * 1024, "{} KiB, and {} before", after.1, before.1);
    daemon.finish();
}
