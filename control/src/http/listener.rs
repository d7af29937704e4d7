//! The address that HTTP is served on, opened before packets flow.

use crate::config::Listen;
use crate::{private, unix_socket};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// An open address. Dropping it removes the path of a Unix socket.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(std::net::TcpListener),
    /// A Unix socket.
    Unix(std::os::unix::net::UnixListener, PathBuf),
}

impl Listener {
    /// Opens an address. The Unix socket of a killed daemon is replaced; owner and group may use the new one.
    ///
    /// # Errors
    ///
    /// Something else is there, or the system refuses it.
    pub fn open(listen: &Listen) -> Result<Listener, String> {
        let listener = match listen {
            Listen::Tcp(address) => tcp(*address),
            Listen::Unix(path) => unix(path),
        };
        listener.map_err(|error| format!("cannot listen on {listen}: {error}"))
    }

    /// The address of a TCP port.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(..) => None,
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<Listener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(Listener::Tcp(listener))
}

fn unix(path: &Path) -> io::Result<Listener> {
    if let Some(folder) = path.parent() {
        private::folder(folder, path)?;
    }
    Ok(Listener::Unix(unix_socket::open(path)?, path.to_owned()))
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            // It may have been removed already.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn error(listen: &Listen) -> String {
        Listener::open(listen).expect_err("it is refused")
    }

    #[test]
    fn a_port_in_use_is_told() {
        let any = Listen::Tcp("127.0.0.1:0".parse().expect("an address"));
        let first = Listener::open(&any).expect("a free port");
        let taken = Listen::Tcp(first.address().expect("a port"));
        assert_eq!(
            error(&taken),
            format!("cannot listen on {taken}: Address already in use (os error 98)")
        );
        drop(first);
        Listener::open(&taken).expect("it is free again");
    }

    #[test]
    fn a_socket_replaces_a_dead_one_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("made/metrics.sock");
        let listen = Listen::Unix(path.clone());
        let first = Listener::open(&listen).expect("a new path");
        assert_eq!(fs::metadata(&path).expect("a socket").permissions().mode() & 0o777, 0o660);
        assert!(error(&listen).ends_with("metrics.sock: address in use"), "{}", error(&listen));
        drop(first);
        assert!(!path.exists());
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket that is left behind"));
        drop(Listener::open(&listen).expect("nobody listens there"));
        fs::write(&path, "precious").expect("a file");
        assert!(error(&listen).contains("no socket"), "{}", error(&listen));
        assert_eq!(fs::read(&path).expect("it is still there"), b"precious");
        let below = Listen::Unix(path.join("metrics.sock"));
        assert!(error(&below).starts_with("cannot listen on unix:/"), "{}", error(&below));
    }
}
