//! Opening of Unix sockets, for owner and group, and the lock of a daemon on its socket.

use crate::private;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Opens a socket for a runtime, which owner and group may use. The socket of a killed daemon is replaced.
///
/// # Errors
///
/// Something else is there, or the file system refuses it.
pub fn open(path: &Path) -> io::Result<UnixListener> {
    make_way(path)?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The file that the daemon of a socket locks.
pub fn lock_path(path: &Path) -> PathBuf {
    path.with_added_extension("lock")
}

/// Whether a daemon runs on a socket. A lock that can't be read counts as one that is held.
pub fn is_locked(path: &Path) -> bool {
    match private::open(&lock_path(path)) {
        Ok(lock) => lock.try_lock_shared().is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Removes a socket that nobody listens on any more. Anything else stays where it is.
fn make_way(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(data) if !data.file_type().is_socket() => {
            Err(io::Error::other("there is a file that is no socket"))
        }
        Ok(_) if UnixStream::connect(path).is_ok() => Err(io::ErrorKind::AddrInUse.into()),
        Ok(_) => fs::remove_file(path),
    }
}
