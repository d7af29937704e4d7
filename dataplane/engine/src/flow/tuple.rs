//! What a connection's packets are found by: both ends as one side sees them. TFTP's transfers have
//! [`super::key::Key`], as the port of one end changes under way.

use super::hosts::{Endpoint, Host};
use crate::tables::{ServerId, VipId};
use wire::ip::PROTOCOL_TCP;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Both ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Tuple {
    /// The end that is not ours, or stands for it: the client.
    near: Host,
    /// Who the other end is: [`Far`] says what this counts.
    far: u32,
    near_port: u16,
    far_port: u16,
    /// The protocol of IP's; 0: all.
    pub protocol: u8,
    kind: Far,
    rest: [u8; 2],
}

/// What the far end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u8)]
pub enum Far {
    /// A VIP, by its number: what clients send.
    Vip,
    /// A server, by its number: what backends send.
    Server,
    /// Any host, by its name: what is sent by a server that need be nobody's backend.
    Host,
}

impl Tuple {
    /// The tuple of no connection.
    pub const NONE: Tuple = Tuple {
        near: Host::NOBODY,
        far: 0,
        near_port: 0,
        far_port: 0,
        protocol: 0,
        kind: Far::Vip,
        rest: [0; 2],
    };

    /// A client's endpoint and a VIP's port.
    #[inline]
    pub fn at_vip(client: Endpoint, vip: VipId, port: u16, protocol: u8) -> Tuple {
        Tuple::new(client, (Far::Vip, vip.into()), port, protocol)
    }

    /// The endpoint that a server sees as the client, and the server's port.
    #[inline]
    pub fn at_server(seen_as: Endpoint, server: ServerId, port: u16, protocol: u8) -> Tuple {
        Tuple::new(seen_as, (Far::Server, server.into()), port, protocol)
    }

    /// Some host's endpoint, and that of a server that talks to it.
    pub fn at_host(peer: Endpoint, server: Endpoint, protocol: u8) -> Tuple {
        Tuple::new(peer, (Far::Host, server.host.to_bits()), server.port, protocol)
    }

    #[inline]
    fn new(near: Endpoint, (kind, far): (Far, u32), far_port: u16, protocol: u8) -> Tuple {
        let Endpoint { host: near, port: near_port } = near;
        Tuple { near, far, near_port, far_port, protocol, kind, rest: [0; 2] }
    }

    /// The end that is not ours.
    #[inline]
    pub fn near(&self) -> Endpoint {
        Endpoint { host: self.near, port: self.near_port }
    }

    /// The other one's port.
    #[inline]
    pub fn far_port(&self) -> u16 {
        self.far_port
    }

    /// The VIP or server with this number.
    #[inline]
    pub fn far(&self) -> u16 {
        self.far as u16
    }

    /// The server's endpoint, if it is a host's.
    pub fn far_host(&self) -> Option<Endpoint> {
        let host = Host::from_bits(self.far);
        (self.kind == Far::Host).then_some(Endpoint { host, port: self.far_port })
    }

    /// What the far end is.
    #[inline]
    pub fn kind(&self) -> Far {
        self.kind
    }

    /// The same with this host.
    #[inline]
    pub fn with(self, near: Host) -> Tuple {
        Tuple { near, ..self }
    }

    /// Of one whose client's port is yet to be seen.
    pub fn from_any_port(self) -> Tuple {
        Tuple { near_port: 0, ..self }
    }

    /// Of one whose server's port is yet to be seen.
    pub fn to_any_port(self) -> Tuple {
        Tuple { far_port: 0, ..self }
    }

    /// Of what binds a client to a backend of this VIP, whatever the ports.
    pub fn of_bond(client: Host, vip: VipId, protocol: u8) -> Tuple {
        Tuple::at_vip(Endpoint { host: client, port: 0 }, vip, 0, protocol)
    }

    /// Whether it is TCP's.
    #[inline]
    pub fn is_tcp(&self) -> bool {
        self.protocol == PROTOCOL_TCP
    }
}
