//! The socket's path: its mode, its lock, and what is there before.

use crate::Socket;
use control::server::Place;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

#[test]
fn the_socket_is_for_owner_and_group_and_goes_with_the_server() {
    let socket = Socket::open(true);
    let mode = std::fs::metadata(&socket.path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let again = Place::take(&socket.path).expect_err("it is taken");
    assert!(again.contains("another tidegated"), "{again}");
    let path = socket.close();
    assert!(!path.exists() && !path.with_extension("sock.lock").exists());
}

#[test]
fn what_a_killed_daemon_left_is_replaced_and_nothing_else() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    std::fs::write(path.with_extension("sock.lock"), "").expect("a lock nobody holds");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let _inside = runtime.as_ref().expect("a runtime").enter();
    drop(Place::take(&path).expect("nobody has it").listen().expect("it opens"));
    assert!(!path.exists());
    std::fs::write(&path, "precious").expect("a file");
    let error = Place::take(&path).expect("nobody has it").listen().expect_err("it is no socket");
    assert!(error.contains("there is a file that is no socket"), "{error}");
    assert_eq!(std::fs::read(&path).expect("it is still there"), b"precious");
}

#[test]
fn a_place_that_cannot_be_is_said() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let error = Place::take(&file.path().join("control.sock")).expect_err("it is no folder");
    assert!(error.contains("cannot use the socket"), "{error}");
}
