//! What a connection's packets are found by: both ends as one side sees them. TFTP's transfers have
//! [`super::key::Key`], as the port of one end changes under way.

use super::hosts::{Endpoint, Host};
use crate::tables::{BackendId, ServerId, VipId};
use wire::ip::PROTOCOL_TCP;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Both ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        Tuple { near, far, near_port, far_port, protocol, kind }
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

    /// All of it in two words: put together in registers, where its parts are, and not read back from memory.
    #[inline]
    pub fn words(&self) -> [u64; 2] {
        let ports = u64::from(self.near_port) << 16 | u64::from(self.far_port);
        [
            u64::from(self.near.to_bits()) << 32 | u64::from(self.far),
            u64::from(self.protocol) << 40 | (self.kind as u64) << 32 | ports,
        ]
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

    /// Of one between the same ends but for this port of the server's.
    pub fn to_port(self, far_port: u16) -> Tuple {
        Tuple { far_port, ..self }
    }

    /// Of what binds a client to a backend of this VIP, whatever the ports.
    pub fn of_bond(client: Host, vip: VipId, protocol: u8) -> Tuple {
        Tuple::at_vip(Endpoint { host: client, port: 0 }, vip, 0, protocol)
    }

    /// Of what binds the data of a client to this backend of a VIP, one of several that the client can be at.
    pub fn of_bond_at(client: Host, vip: VipId, backend: BackendId) -> Tuple {
        let near = Endpoint { host: client, port: backend + 1 };
        Tuple::at_vip(near, vip, 0, PROTOCOL_TCP)
    }

    /// Whether it is TCP's.
    #[inline]
    pub fn is_tcp(&self) -> bool {
        self.protocol == PROTOCOL_TCP
    }
}

/// The two tuples of a connection, put close: they are of one protocol, and a client's is always at a VIP.
#[derive(Debug, Clone, Copy, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Tuples {
    client: Host,
    seen_as: Host,
    server: u32,
    client_port: u16,
    vip: VipId,
    vip_port: u16,
    seen_as_port: u16,
    server_port: u16,
    protocol: u8,
    /// What `server` counts; [`Far::Vip`]: there is no tuple of a server's.
    server_kind: Far,
}

impl Tuples {
    /// The tuples of no connection.
    pub const NONE: Tuples = Tuples {
        client: Host::NOBODY,
        seen_as: Host::NOBODY,
        server: 0,
        client_port: 0,
        vip: 0,
        vip_port: 0,
        seen_as_port: 0,
        server_port: 0,
        protocol: 0,
        server_kind: Far::Vip,
    };

    /// Of a connection whose server's packets don't come through us, or about which that is yet to be settled.
    pub fn of_client(client: Tuple) -> Tuples {
        Tuples { protocol: client.protocol, ..Tuples::NONE.with_client(client) }
    }

    /// The same with this one of the server's.
    #[must_use]
    pub fn with_server(self, server: Tuple) -> Tuples {
        Tuples {
            seen_as: server.near,
            seen_as_port: server.near_port,
            server: server.far,
            server_port: server.far_port,
            server_kind: server.kind,
            ..self
        }
    }

    /// The same, of a client that servers see by this address of ours.
    #[must_use]
    pub fn with_own_host(self, seen_as: Host) -> Tuples {
        Tuples { seen_as, ..self }
    }

    /// The same with this one of the client's.
    #[must_use]
    pub fn with_client(self, client: Tuple) -> Tuples {
        Tuples {
            client: client.near,
            client_port: client.near_port,
            vip: client.far(),
            vip_port: client.far_port,
            ..self
        }
    }

    /// What the client's packets are found by.
    #[inline]
    pub fn client(&self) -> Tuple {
        let near = Endpoint { host: self.client, port: self.client_port };
        Tuple::at_vip(near, self.vip, self.vip_port, self.protocol)
    }

    /// What the server's packets are found by, if there are any.
    #[inline]
    pub fn server(&self) -> Tuple {
        let near = Endpoint { host: self.seen_as, port: self.seen_as_port };
        Tuple::new(near, (self.server_kind, self.server), self.server_port, self.protocol)
    }

    /// Whether there are packets of the server's.
    #[inline]
    pub fn have_server(&self) -> bool {
        self.server_kind != Far::Vip
    }
}
