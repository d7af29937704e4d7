//! The other gate of a pair, which takes over when this one fails.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Two gates that keep each other's flows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The address that this gate listens on.
    pub listen: SocketAddr,
    /// The address that the other gate listens on; of the same address family.
    pub peer: SocketAddr,
    /// The file with the secret that both gates have.
    pub key: PathBuf,
    /// The age at which a flow is sent to the other gate.
    pub sync_after: Duration,
}
