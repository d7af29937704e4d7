//! Privileges of an attacker who has taken over the process, a health plugin, or an account on the machine.

use crate::daemon::{Daemon, Setup, rows};
use crate::peers::{self, Client};
use kit::lab::{Lab, VIPS, until};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// Debian's nobody and nogroup.
const NOBODY: u32 = 65534;

/// Capabilities by their bits (capability.h).
const KILL: u64 = 1 << 5;
const SETGID: u64 = 1 << 6;
const SETUID: u64 = 1 << 7;
const NET_ADMIN: u64 = 1 << 12;
const NET_RAW: u64 = 1 << 13;
const IPC_LOCK: u64 = 1 << 14;
const RUN: u64 = NET_ADMIN | NET_RAW | IPC_LOCK;

fn servers(lab: &Lab) -> [Vec<kit::lab::Process>; 2] {
    peers::files(lab, &[("file", 5000)]);
    ["s1", "s2"].map(|name| peers::tftpd_hpa(lab, name))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).mode() & 0o7777
}

/// The kernel's status of a thread.
fn status(path: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path.join("status")).expect("it lives");
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
}

fn bits(status: &BTreeMap<String, String>, set: &str) -> u64 {
    u64::from_str_radix(&status[set], 16).expect("a set")
}

/// Control's thread has `kept`, all others none, and no thread can gain any.
fn holds(daemon: &Daemon, kept: u64, bounding: u64) {
    let process = format!("/proc/{}", daemon.process.0.id());
    let mut seen = vec![];
    for thread in fs::read_dir(format!("{process}/task")).expect("it lives") {
        let path = thread.expect("a thread").path();
        let is_control = path.ends_with(daemon.process.0.id().to_string());
        let expected = if is_control { kept } else { 0 };
        // Control lends `nft` a capability while it starts.
        until("the thread has what it keeps", || {
            let status = status(&path);
            let sets = ["CapPrm", "CapEff", "CapInh", "CapAmb"].map(|set| bits(&status, set));
            sets == [expected, expected, 0, 0]
        });
        let status = status(&path);
        assert_eq!(bits(&status, "CapBnd") & !bounding, 0, "{}", status["Name"]);
        assert_eq!(status["NoNewPrivs"], "1", "{}", status["Name"]);
        seen.push(status["Name"].clone());
    }
    assert!(seen.len() > 2, "control, a worker and EAL's own: {seen:?}");
}

fn checked_by(lab: &Lab, check: &str) -> String {
    let health =
        format!("[service.health]\ncheck = {check}\ninterval = \"500ms\"\ntimeout = \"500ms\"\n");
    Setup { service: "#health", ..Setup::default() }
        .text(lab)
        .replacen("#health", &health, 1)
        .replace("#health", "[service.health]\ncheck = \"icmp\"\n")
}

/// A gate started by a shell command.
fn starts_by<'a>(lab: &'a Lab, text: &str, line: &str) -> Daemon<'a> {
    fs::write(lab.path("start"), line).expect("a script");
    Daemon::launch_by(lab, text, &format!("sh {}", lab.path("start").display()))
}

/// World-readable files would reveal clients, file names and the hash seed.
#[test]
fn what_the_gate_leaves_is_for_nobody_else() {
    let lab = Lab::new();
    let _servers = servers(&lab);
    // Whatever the umask.
    let mut daemon = starts_by(&lab, &Setup::default().text(&lab), "umask 0; exec \"$@\"");
    until("it runs", || daemon.ask("status").is_some());
    let path = |end: &str| lab.path("control.sock").with_added_extension(end);
    assert!(daemon.tidegate("backend drain nat s1").status.success());
    assert_eq!(["flows", "state", "lock"].map(|end| mode(&path(end))), [0o600; 3]);
    assert_eq!(mode(&lab.path("control.sock")), 0o660);
    assert!(daemon.process.terminate().success());
    // Files of earlier versions; and a symbolic link at the path of the next state file.
    for end in ["flows", "state"] {
        fs::set_permissions(path(end), Permissions::from_mode(0o644)).expect("it is ours");
    }
    fs::write(lab.path("victim"), "precious").expect("a file");
    std::os::unix::fs::symlink(lab.path("victim"), path("state.new")).expect("a link");
    let daemon = Daemon::launch(&lab, &Setup::default().text(&lab));
    until("it runs", || daemon.ask("status").is_some());
    assert!(daemon.tidegate("backend enable nat s1").status.success());
    assert_eq!(["flows", "state"].map(|end| mode(&path(end))), [0o600; 2]);
    assert_eq!(fs::read_to_string(lab.path("victim")).expect("it is there"), "precious");
}

#[test]
fn the_process_keeps_what_it_needs_and_no_more() {
    let lab = Lab::new();
    let _servers = servers(&lab);
    // The gate's own VIP is checked through nftables, which gets hardware addresses after the start.
    let http = "[control]\nmetrics = \"127.0.0.1:9781\"\nweb = \"127.0.0.1:9781\"\n";
    let text = checked_by(&lab, "\"icmp\"").replacen("[control]\n", http, 1);
    let log = format!("[[log]]\nto = \"file:{}\"\n", lab.path("log").display());
    let daemon = Daemon::with(&lab, &format!("{text}{log}"));
    let all = RUN | KILL | SETUID | SETGID;
    // Pages are made by threads of their own.
    for page in ["metrics", ""] {
        lab.must("gate", &format!("curl -sS --fail -o /dev/null http://127.0.0.1:9781/{page}"));
    }
    holds(&daemon, all, all);
    until("the checks in dsr pass", || {
        let backends = daemon.ask("backends").expect("backends");
        let mut all = rows(&backends).filter(|row| row["service"] == "dsr");
        all.all(|row| row["check"]["verdict"] == "passed")
    });
    assert!(daemon.tidegate("reload").status.success());
    VIPS.into_iter().for_each(|vip| Client::Tftp.get(&lab, vip, "file", None));
    daemon.finish();
}

#[test]
fn af_xdp_keeps_no_more_once_it_runs() {
    let lab = Lab::new();
    let _servers = servers(&lab);
    let setup = Setup { driver: "net_af_xdp", ..Setup::default() };
    let daemon = Daemon::start(&lab, setup);
    let all = RUN | KILL | SETUID | SETGID;
    holds(&daemon, all, all);
    VIPS.into_iter().for_each(|vip| Client::Curl.get(&lab, vip, "file", None));
    let has_program = || {
        ["dev0", "dev1"]
            .map(|device| lab.must("gate", &format!("ip -d link show {device}")).contains("xdp"))
    };
    assert_eq!(has_program(), [true; 2]);
    daemon.finish();
    assert_eq!(has_program(), [false; 2], "it is taken out without what it took to load it");
}

/// A plugin is a foreign program whose input comes from servers.
#[test]
fn a_plugin_has_nothing() {
    let lab = Lab::new();
    let _servers = servers(&lab);
    let shared = lab.path("shared");
    fs::create_dir(&shared).expect("a folder");
    for (path, mode) in [(lab.dir.path(), 0o711), (&*shared, 0o777)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
    }
    let [script, found] = ["check_all", "found"].map(|name| shared.join(name));
    fs::write(
        &script,
        format!(
            "#!/bin/sh\n{{ cat /proc/$$/status; echo Files: $(ls /proc/self/fd); echo Folder: $(pwd)\n\
             echo Variables: $(tr '\\0' ' ' </proc/$$/environ | sed 's/=[^ ]*//g')\n\
             echo Readable: $(cat {0}* 2>/dev/null | wc -c)\n}} >{1}.$$\nmv {1}.$$ {1}\nsleep 0.1\n",
            lab.path("control.sock").display(),
            found.display()
        ),
    )
    .expect("a script");
    fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("it is ours");
    let check = format!("\"command\"\ncommand = {script:?}");
    let daemon = Daemon::with(&lab, &checked_by(&lab, &check).replace("mode = \"dsr\"", ""));
    until("the plugin has run", || found.exists());
    let text = fs::read_to_string(&found).expect("it was written");
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_else(|| panic!("no {key} in {text}")).trim().replace('\t', " ")
    };
    let id = [NOBODY.to_string().as_str(); 4].join(" ");
    assert_eq!([value("Uid:"), value("Gid:"), value("Groups:")], [&*id, &*id, ""]);
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(value(set), "0".repeat(16), "{set}");
    }
    assert_eq!(value("NoNewPrivs:"), "1");
    assert_eq!(value("Files:"), "0 1 2 3", "the last one is of who looks");
    assert_eq!([value("Folder:"), value("Variables:"), value("Readable:")], ["/", "PATH", "0"]);
    until("it passes", || {
        let backends = daemon.ask("backends").expect("backends");
        rows(&backends).any(|row| row["check"]["verdict"] == "passed")
    });
    daemon.finish();
}

/// With three capabilities, and without root.
#[test]
fn nobody_serves_as_root_does() {
    let lab = Lab::new();
    let _servers = servers(&lab);
    fs::set_permissions(lab.dir.path(), Permissions::from_mode(0o711)).expect("it is ours");
    let folder = lab.path("run");
    fs::create_dir(&folder).expect("a folder");
    chown(&folder, Some(NOBODY), Some(NOBODY)).expect("root may");
    let text = checked_by(&lab, "\"command\"\ncommand = \"sh -c true\"");
    let text = text.replace("/control.sock\"", "/run/control.sock\"");
    let capabilities = "-all,+net_admin,+net_raw,+ipc_lock";
    // DPDK makes a folder in the first suitable place.
    let script = format!(
        "export XDG_RUNTIME_DIR={}; exec setpriv --reuid nobody --regid nogroup --clear-groups \
         --inh-caps={capabilities} --ambient-caps={capabilities} --bounding-set={capabilities} \"$@\"",
        folder.display()
    );
    let daemon = starts_by(&lab, &text, &script);
    until("all backends are up and checked", || {
        let backends = daemon.ask("backends");
        backends.is_some_and(|all| {
            rows(&all).all(|row| row["state"] == "up" && row["check"]["verdict"] == "passed")
        })
    });
    holds(&daemon, RUN, RUN);
    for vip in VIPS.into_iter().cycle().take(20) {
        Client::Tftp.get(&lab, vip, "file", None);
    }
    let [flows, state] = ["flows", "state"].map(|end| folder.join(format!("control.sock.{end}")));
    assert_eq!([mode(&flows), mode(&state)], [0o600; 2]);
    daemon.finish();
}

/// Only root and the gate's user can truncate the file; the process then logs a line and ends, and the next one starts
/// empty.
#[test]
fn a_table_cut_short_is_a_line_and_an_exit_code() {
    let lab = Lab::new();
    let _servers = servers(&lab);
    let mut daemon = Daemon::start(&lab, Setup::default());
    Client::Tftp.get(&lab, VIPS[0], "file", None);
    let file = fs::File::options().write(true).open(lab.path("control.sock.flows"));
    file.expect("it is there").set_len(4096).expect("root may");
    let mut status = None;
    until("it ends", || {
        // At a packet, or at the worker's next tick.
        let _ = lab.run("client", "curl -s -m 1 tftp://10.78.0.100/file -o /dev/null");
        status = daemon.process.0.try_wait().expect("a child");
        status.is_some()
    });
    assert_eq!(status.expect("it has ended").code(), Some(1));
    let log = lab.log();
    assert_eq!(log.matches("its file was cut short").count(), 1, "{log}");
    let daemon = Daemon::start(&lab, Setup::default());
    Client::Tftp.get(&lab, VIPS[0], "file", None);
    daemon.finish();
}
