//! `tidegate check`: a Nagios plugin's exit codes and first line. And `tidegate top`, where there is no terminal.

use crate::{EXAMPLE, Socket, read, view};
use control::kernel::KernelView;
use engine::types::id::InterfaceId;
use engine::types::next_hop::NextHop;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use wire::ethernet::Mac;

/// A kernel view in which every VIP is live and every backend reached.
pub fn well() -> KernelView {
    let example = read(Path::new(EXAMPLE));
    let services = &example.config().services;
    let hop = NextHop { interface: InterfaceId(1), mac: Mac([2; 6]) };
    let backends = services.iter().flat_map(|service| &service.backends);
    KernelView {
        held: services
            .iter()
            .flat_map(|service| service.held())
            .map(|&held| (held, None))
            .collect(),
        hops: backends.map(|backend| (backend.address, hop)).collect(),
        ..view()
    }
}

/// The exit code and the lines.
fn told(output: &Output) -> (Option<i32>, Vec<String>) {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    (output.status.code(), text.lines().map(Into::into).collect())
}

#[test]
fn exit_codes_tell_the_state() {
    let socket = Socket::watching(true, well());
    let check = || told(&socket.tidegate("check --interval 100ms"));
    let (code, lines) = check();
    assert_eq!((code, lines.len()), (Some(0), 1), "{lines:?}");
    let start = "TIDEGATE OK - services: 7, backends available: 9 of 9, transfers: 2 | transfers=2;;;0 \
                 backends_available=9;;;0;9 requests_per_second=0;;;0 drops_per_second=0;;;0";
    assert_eq!(lines[0], start);
    // What an operator ordered is no trouble, as long as there is another backend.
    socket.tidegate("backend disable pxe tftp1");
    assert_eq!(check().0, Some(0));
    std::fs::write(&socket.file, "nonsense").expect("the file");
    assert_eq!(socket.tidegate("reload").status.code(), Some(1));
    let (code, lines) = check();
    assert_eq!((code, lines.len()), (Some(1), 2), "{lines:?}");
    assert!(
        lines[0].starts_with("TIDEGATE WARNING - the last reload was refused at "),
        "{lines:?}"
    );
    socket.tidegate("backend drain pxe tftp2");
    let (code, lines) = check();
    assert_eq!((code, lines.len()), (Some(2), 3), "{lines:?}");
    let start = "TIDEGATE CRITICAL - service pxe: no backend is available (and 1 more) | ";
    assert!(lines[0].starts_with(start), "{lines:?}");
    let json = socket.tidegate("--json check --interval 0s");
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!((json.status.code(), &report["level"]), (Some(2), &"CRITICAL".into()), "{report}");
}

#[test]
fn vips_that_the_kernel_does_not_hold_are_critical() {
    let socket = Socket::open(true);
    let (code, lines) = told(&socket.tidegate("check --interval 0s"));
    assert_eq!(code, Some(2));
    assert!(
        lines[0].starts_with("TIDEGATE CRITICAL - service pxe: no VIP is live (and "),
        "{lines:?}"
    );
}

#[test]
fn no_daemon_is_critical() {
    let socket = Socket::open(true);
    let path = socket.close();
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        told(&command.arg("--socket").arg(&path).arg("check").output().expect("tidegate runs"))
    };
    for _ in 0..2 {
        let (code, lines) = check();
        assert_eq!((code, lines.len()), (Some(2), 2), "{lines:?}");
        assert!(lines[0].starts_with("TIDEGATE CRITICAL - no tidegated answers on "), "{lines:?}");
        // A killed daemon leaves its socket behind: the connection is refused.
        drop(UnixListener::bind(&path));
    }
}

#[test]
fn top_without_a_terminal_is_wrong_usage() {
    let socket = Socket::open(true);
    let start = Instant::now();
    for (command, words) in [("top", "top needs a terminal"), ("--json top", "top has no JSON")] {
        let output = socket.tidegate(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
        assert!(said.contains(words), "{said}");
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}
