//! The protocol of a service's clients.

use serde::{Deserialize, Serialize};
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};

/// The protocol of a service's clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// How FTP is to be understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ftp {
    /// The port that servers connect to their clients from; `None`: any.
    pub data_port: Option<u16>,
    /// Whether clients may name other hosts than their own for data.
    pub foreign_data: bool,
}

impl Protocol {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tftp => "tftp",
            Protocol::Ftp(_) => "ftp",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Any => "any",
        }
    }

    /// The protocol of IP's that it is over; 0: all.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tftp | Protocol::Udp => PROTOCOL_UDP,
            Protocol::Ftp(_) | Protocol::Tcp => PROTOCOL_TCP,
            Protocol::Any => 0,
        }
    }

    /// The port that it is known by.
    pub fn own_port(self) -> Option<u16> {
        match self {
            Protocol::Tftp => Some(69),
            Protocol::Ftp(_) => Some(21),
            Protocol::Tcp | Protocol::Udp | Protocol::Any => None,
        }
    }
}
