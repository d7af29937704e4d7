//! `tidegate` as a client: its tables, its JSON and its exit codes.

use crate::Socket;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Command;

#[test]
fn tables_for_people() {
    let socket = Socket::open(true);
    for (command, words) in [
        ("status", "made up"),
        ("services", "10.0.0.100:69"),
        ("backends", "unresolved"),
        ("flows", "10.0.0.111:1024"),
        ("stats", "bad-tftp"),
        ("stats", "3.0 µs"),
    ] {
        let output = socket.tidegate(command);
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && text.contains(words), "{command}: {text}");
        assert!(!text.contains('\x1b'), "{command}: a control character: {text:?}");
        let json = socket.tidegate(&format!("--json {command}")).stdout;
        assert!(serde_json::from_slice::<Value>(&json).is_ok(), "{command}");
    }
}

#[test]
fn stats_are_watched_until_the_reader_goes() {
    let socket = Socket::open(true);
    let mut watch = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["--json".as_ref(), "--socket".as_ref(), socket.path.as_os_str()])
        .args(["stats", "--watch"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("tidegate runs");
    let mut lines = BufReader::new(watch.stdout.take().expect("a pipe")).lines();
    for _ in 0..2 {
        let line = lines.next().expect("a line a second").expect("text");
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
    }
    drop(lines);
    assert!(watch.wait().expect("it ends").success());
}

#[test]
fn wrong_usage_and_no_daemon() {
    let socket = Socket::open(true);
    assert_eq!(socket.tidegate("dance").status.code(), Some(2));
    assert_eq!(socket.tidegate("flows --limit many").status.code(), Some(2));
    let path = socket.close();
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["--socket".as_ref(), path.as_os_str(), "status".as_ref()])
        .output()
        .expect("tidegate runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no tidegated answers"));
}
