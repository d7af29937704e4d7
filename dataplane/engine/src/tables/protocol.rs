//! What services speak, and what servers say of their own accord.

use super::VipId;
use ipnet::IpNet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What the clients of a service speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TFTP (RFC 1350).
    Tftp,
    /// FTP (RFC 959).
    Ftp(Ftp),
    /// Anything over TCP.
    Tcp,
    /// Anything over UDP.
    Udp,
    /// Anything over IP.
    Any,
}

/// How a service's FTP is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ftp {
    /// The port that servers connect to their clients from; `None`: any.
    pub data_port: Option<u16>,
    /// Whether a client may name another host than its own for data (RFC 2577 §3 says why not).
    pub foreign_data: bool,
}

/// What connections leave as that a server opens by itself.
#[derive(Debug, Clone)]
pub struct NatRule {
    /// From here.
    pub from: IpNet,
    /// The protocol of IP's.
    pub protocol: u8,
    /// From this port; `None`: from any.
    pub source_port: Option<u16>,
    /// They leave as this.
    pub to: VipId,
    /// Connections so far, of all workers and since the start.
    pub hits: Arc<AtomicU64>,
}
