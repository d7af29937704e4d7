//! Protocols of services, and egress NAT rules.

use crate::types::id::VipId;
use ipnet::IpNet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};

/// The protocol of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TFTP (RFC 1350).
    Tftp,
    /// FTP (RFC 959).
    Ftp(Ftp),
    /// Any protocol over TCP.
    Tcp,
    /// Any protocol over UDP.
    Udp,
    /// Any protocol over IP.
    Any,
}

impl Protocol {
    /// The protocol's name in configurations and answers.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tftp => "tftp",
            Protocol::Ftp(_) => "ftp",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Any => "any",
        }
    }

    /// The protocol number in IP headers; 0: any.
    pub fn ip_protocol(self) -> u8 {
        match self {
            Protocol::Tftp | Protocol::Udp => PROTOCOL_UDP,
            Protocol::Ftp(_) | Protocol::Tcp => PROTOCOL_TCP,
            Protocol::Any => 0,
        }
    }

    /// Whether nothing in the protocol ends a connection: it is over once it is idle.
    pub fn is_without_end(self) -> bool {
        match self {
            Protocol::Udp | Protocol::Any => true,
            Protocol::Tftp | Protocol::Ftp(_) | Protocol::Tcp => false,
        }
    }

    /// The well-known port.
    pub fn default_port(self) -> Option<u16> {
        match self {
            Protocol::Tftp => Some(69),
            Protocol::Ftp(_) => Some(21),
            Protocol::Tcp | Protocol::Udp | Protocol::Any => None,
        }
    }
}

/// A service's FTP settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ftp {
    /// The port from which servers connect to clients; `None`: any.
    pub data_port: Option<u16>,
    /// Whether a client may name a third host for data (RFC 2577 §3 warns of it).
    pub foreign_data: bool,
}

/// An egress NAT rule: the VIP that servers' own connections leave as.
#[derive(Debug, Clone)]
pub struct NatRule {
    /// Source network.
    pub from: IpNet,
    /// IP protocol.
    pub protocol: u8,
    /// Source port; `None`: any.
    pub source_port: Option<u16>,
    /// The VIP that becomes the source address.
    pub to: VipId,
    /// Number of connections, over all workers, since the start.
    pub hits: Arc<AtomicU64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_but_tftp_s_have_no_end() {
        let ftp = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
        let all = [Protocol::Tftp, ftp, Protocol::Tcp, Protocol::Udp, Protocol::Any];
        let endless = all.into_iter().filter(|protocol| protocol.is_without_end());
        assert!(endless.map(Protocol::name).eq(["udp", "any"]));
    }
}
