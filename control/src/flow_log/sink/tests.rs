use super::*;
use std::fs::Permissions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// Lines after which every buffer is full.
const MANY: u64 = 100_000;

fn line(seq: u64) -> Line {
    Line { seq, service: "pxe".into(), client: "10.0.8.21".into(), ..Line::default() }
}

/// Writes lines until one can't be written; returns how many were.
fn fill(sink: &mut Sink) -> (u64, io::Error) {
    let written = (0..MANY).find_map(|seq| {
        let error = sink.write(&line(seq), LogFormat::Json, false).err()?;
        Some((seq, error))
    });
    written.expect("it is full at last")
}

fn seq(json: &str) -> u64 {
    let json: serde_json::Value = serde_json::from_str(json).expect(json);
    json["seq"].as_u64().expect("a number")
}

/// A folder with a socket of a syslog daemon.
fn syslog() -> (TempDir, PathBuf, UnixDatagram) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("log");
    let daemon = UnixDatagram::bind(&path).expect("a socket");
    daemon.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    (folder, path, daemon)
}

fn received(daemon: &UnixDatagram) -> String {
    let mut message = [0; 8192];
    let len = daemon.recv(&mut message).expect("a message");
    String::from_utf8(message[..len].to_vec()).expect("text")
}

#[test]
fn syslog_gets_a_priority_a_tag_and_the_line() {
    let (_folder, path, daemon) = syslog();
    let mut sink = Sink::syslog(&path).expect("a socket");
    // RFC 3164 §4.1: facility 3, severity 6; the tag with the process; no time, as the daemon knows it itself.
    let head = format!("<30>tidegate[{}]: ", std::process::id());
    sink.write(&line(7), LogFormat::Text, false).expect("it is written");
    let message = received(&daemon);
    let text = message.strip_prefix(&head).unwrap_or_else(|| panic!("{message}"));
    assert!(text.starts_with("10.0.8.21:0 pxe/-") && !text.contains('\n'), "{text}");
    sink.write(&line(8), LogFormat::Json, false).expect("it is written");
    let message = received(&daemon);
    assert_eq!(message.strip_prefix(&head).map(seq), Some(8), "{message}");
}

#[test]
fn syslog_that_is_restarted_gets_lines_again() {
    let (_folder, path, daemon) = syslog();
    let mut sink = Sink::syslog(&path).expect("a socket");
    drop(daemon);
    assert!(sink.write(&line(1), LogFormat::Json, false).is_err());
    std::fs::remove_file(&path).expect("its socket");
    let daemon = UnixDatagram::bind(&path).expect("a socket");
    sink.write(&line(2), LogFormat::Json, false).expect("it is written");
    assert!(received(&daemon).contains("\"seq\":2"));
}

#[test]
fn syslog_that_does_not_read_loses_lines_alone() {
    let (_folder, path, daemon) = syslog();
    let mut sink = Sink::syslog(&path).expect("a socket");
    let (written, error) = fill(&mut sink);
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    for _ in 0..written {
        received(&daemon);
    }
    sink.write(&line(MANY), LogFormat::Json, false).expect("there is room again");
    assert!(received(&daemon).contains(&format!("\"seq\":{MANY}")));
}

/// Everything that is in a FIFO.
fn unread(reader: &mut File) -> String {
    let mut bytes = vec![];
    let error = reader.read_to_end(&mut bytes).expect_err("it has a writer");
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    String::from_utf8(bytes).expect("text")
}

#[test]
fn a_fifo_whose_reader_does_not_read_loses_lines_alone() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let target = LogTarget::File(path.clone());
    let error = Sink::open(&target, &Recent::default()).err().expect("nobody reads");
    assert!(error.to_string().contains("nobody reads"), "{error}");

    let mut reader = OpenOptions::new();
    let mut reader =
        reader.read(true).custom_flags(libc::O_NONBLOCK).open(&path).expect("a reader");
    let mut sink = Sink::open(&target, &Recent::default()).expect("somebody reads");
    let (written, error) = fill(&mut sink);
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    assert!(unread(&mut reader).lines().map(seq).eq(0..written), "each line is whole");
    sink.write(&line(MANY), LogFormat::Json, true).expect("there is room again");
    assert_eq!(seq(unread(&mut reader).trim()), MANY);
}

#[test]
fn a_new_file_is_private_and_may_be_behind_a_link() {
    let folder = TempDir::new().expect("a folder");
    let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
    symlink(&file, &link).expect("a link");
    let mut sink = Sink::open(&LogTarget::File(link), &Recent::default()).expect("it is made");
    sink.write(&line(1), LogFormat::Json, false).expect("it is written");
    let mode = |path: &Path| path.metadata().expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    // Who wants others to read it says so.
    std::fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("a mode");
    Sink::open(&LogTarget::File(file.clone()), &Recent::default()).expect("it is opened");
    assert_eq!(mode(&file), 0o640);
}

#[test]
fn what_is_no_file_is_refused() {
    let (folder, path, _daemon) = syslog();
    for path in [folder.path(), &path] {
        assert!(Sink::open(&LogTarget::File(path.into()), &Recent::default()).is_err(), "{path:?}");
    }
    Sink::open(&LogTarget::File("/dev/null".into()), &Recent::default()).expect("a device");
}
