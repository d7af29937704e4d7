//! Addresses that the daemon listens on for HTTP.

use ipnet::IpNet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An IP address and a TCP port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// Whether other hosts reach the address.
    pub fn is_open(&self) -> bool {
        matches!(self, Listen::Tcp(address) if !address.ip().is_loopback())
    }
}

/// The clients that may use an address which other hosts reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAccess {
    /// The networks of the clients.
    pub allow: Vec<IpNet>,
    /// The file with the secret that clients send.
    pub token: PathBuf,
}

/// Writes the address as configurations have it.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
