//! Completion of arguments in a shell, with names from the daemon.

use crate::Socket;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The completions of the last word of a command line, as bash asks for them.
fn completed(socket: &Path, line: &str) -> Vec<String> {
    let socket = socket.to_str().expect("a path");
    let words: Vec<_> =
        ["tidegate", "--socket", socket].into_iter().chain(line.split(' ')).collect();
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
        .env("_CLAP_IFS", "\n")
        .arg("--")
        .args(words)
        .output()
        .expect("tidegate runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{line}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(Into::into).collect()
}

#[test]
fn names_are_the_daemon_s() {
    let socket = Socket::open(true);
    for (line, names) in [
        ("hash p", &["pxe"] as &[_]),
        ("flows --service f", &["firmware", "files"]),
        ("ready pxe fi", &["firmware", "files"]),
        ("backend drain px", &["pxe"]),
        ("backend drain pxe ", &["tftp1", "tftp2"]),
        ("backend weight uefi ", &["new", "old"]),
        ("backend enable files tftp", &[]),
        ("trace --service pxe --backend ", &["tftp1", "tftp2"]),
        ("capture --backend ftp", &["ftp1"]),
        ("capture --interface s", &["servers"]),
        ("drops bad-t", &["bad-tcp", "bad-tftp"]),
        ("backend dr", &["drain"]),
    ] {
        let mut found = completed(&socket.path, line);
        found.retain(|name| !name.starts_with('-'));
        found.sort();
        let mut names = names.to_vec();
        names.sort_unstable();
        assert_eq!(found, names, "{line}");
    }
}

#[test]
fn a_daemon_that_does_not_answer_completes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control.sock");
    assert_eq!(completed(&path, "hash p"), Vec::<String>::new());
    // One that is stopped still has its socket.
    let _stopped = UnixListener::bind(&path).expect("a socket");
    let start = Instant::now();
    assert_eq!(completed(&path, "hash p"), Vec::<String>::new());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}
