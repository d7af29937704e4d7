//! `tidegate check` on a farm whose servers die.

use crate::daemon::{Daemon, Setup};
use crate::peers;
use kit::lab::{Lab, Process, until};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

/// Checks of every service, at a fast pace.
const HEALTH: &str = "[service.health]\ncheck = \"tftp\"\nfile = \"small\"\n\
    interval = \"500ms\"\ntimeout = \"500ms\"";

/// The exit code and the output.
fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn kill(servers: &mut [Process]) {
    for server in servers {
        server.signal("KILL");
        server.0.wait().expect("it was killed");
    }
}

#[test]
fn a_farm_that_dies_server_by_server() {
    let lab = Lab::new();
    for name in ["s1", "s2"] {
        lab.must(name, "sysctl -q -w net.ipv4.icmp_ratelimit=0");
    }
    peers::files(&lab, &[("small", 100)]);
    let (mut one, mut two) = (peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2"));
    let mut daemon = Daemon::start(&lab, Setup { service: HEALTH, ..Setup::default() });
    let becomes = |code: i32, words: &str| {
        let mut last = (None, String::new());
        until(&format!("the check ends with {code}: {words}"), || {
            last = told(&daemon.tidegate("check --interval 100ms"));
            last.0 == Some(code) && last.1.contains(words)
        });
        last.1
    };
    let well = "TIDEGATE OK - services: 3, backends available: 6 of 6, transfers: ";
    assert!(becomes(0, "TIDEGATE OK").starts_with(well));
    kill(&mut one);
    let one_less = becomes(1, "backends_available=3;;;0;6 ");
    for service in ["nat", "snat", "dsr"] {
        let line = format!("\nWARNING: backend s1 of {service} is down: port 69 is closed");
        assert!(one_less.contains(&line), "{one_less}");
    }
    kill(&mut two);
    let none = becomes(2, "backends_available=0;;;0;6 ");
    let line = "TIDEGATE CRITICAL - service nat: no backend is available (and 8 more) | transfers=";
    assert!(none.starts_with(line), "{none}");
    one = peers::tftpd_hpa(&lab, "s1");
    becomes(1, "backends_available=3;;;0;6 ");
    drop(one);

    // A user without the right to the socket learns nothing about the gate.
    let open = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(lab.dir.path(), open).expect("it is ours");
    let program = env!("CARGO_BIN_EXE_tidegate");
    let socket = daemon.socket();
    let check = format!("{program} --socket {} check", socket.display());
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let (code, text) = told(&lab.run("gate", &format!("{nobody} {check}")));
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.starts_with("TIDEGATE UNKNOWN - ") && text.contains("Permission denied"),
        "{text}"
    );

    daemon.process.signal("KILL");
    daemon.process.0.wait().expect("it was killed");
    let (code, text) = told(&lab.run("gate", &check));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.starts_with("TIDEGATE CRITICAL - no tidegated answers on "), "{text}");
}
