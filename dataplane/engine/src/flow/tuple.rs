//! Tuples of connections: both ends as one side sees them. TFTP has [`super::key::Key`] instead, as the port of one end
//! changes.

use super::endpoint::{Endpoint, HostId};
use crate::types::id::{BackendId, ServerId, VipId};
use wire::ip::PROTOCOL_TCP;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Both ends of a connection, as one side sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuple {
    /// The near end: the client, or the SNAT address that stands for it.
    near: HostId,
    /// The far end, as [`Far`] tells.
    far: u32,
    near_port: u16,
    far_port: u16,
    /// IP protocol; 0: all.
    pub protocol: u8,
    kind: Far,
}

/// The kind of the far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u8)]
pub enum Far {
    /// A VIP, by id: the client's tuple.
    Vip,
    /// A server, by id: the server's tuple.
    Server,
    /// A host, by id: packets of a server that may be no backend.
    Host,
}

impl Tuple {
    /// The client's tuple: its endpoint and the VIP's port.
    #[inline]
    pub fn at_vip(client: Endpoint, vip: VipId, port: u16, protocol: u8) -> Tuple {
        Tuple::new(client, (Far::Vip, vip.0.into()), port, protocol)
    }

    /// The server's tuple: the endpoint that it sees as the client, and its own port.
    #[inline]
    pub fn at_server(seen_as: Endpoint, server: ServerId, port: u16, protocol: u8) -> Tuple {
        Tuple::new(seen_as, (Far::Server, server.0.into()), port, protocol)
    }

    /// The tuple of a server's own connection: the peer's endpoint and the server's.
    pub fn at_host(peer: Endpoint, server: Endpoint, protocol: u8) -> Tuple {
        Tuple::new(peer, (Far::Host, server.host.to_bits()), server.port, protocol)
    }

    #[inline]
    fn new(near: Endpoint, (kind, far): (Far, u32), far_port: u16, protocol: u8) -> Tuple {
        let Endpoint { host: near, port: near_port } = near;
        Tuple { near, far, near_port, far_port, protocol, kind }
    }

    /// The near end.
    #[inline]
    pub fn near(&self) -> Endpoint {
        Endpoint { host: self.near, port: self.near_port }
    }

    /// The far end's port.
    #[inline]
    pub fn far_port(&self) -> u16 {
        self.far_port
    }

    /// The VIP at the far end of a client's tuple.
    #[inline]
    pub fn vip(&self) -> VipId {
        VipId(self.far as u16)
    }

    /// The server at the far end of a server's tuple.
    #[inline]
    pub fn server(&self) -> ServerId {
        ServerId(self.far as u16)
    }

    /// The far end's endpoint, if it is a host.
    pub fn far_host(&self) -> Option<Endpoint> {
        let host = HostId::from_bits(self.far);
        (self.kind == Far::Host).then_some(Endpoint { host, port: self.far_port })
    }

    /// The kind of the far end.
    #[inline]
    pub fn kind(&self) -> Far {
        self.kind
    }

    /// The tuple as two words, assembled in registers rather than loaded from memory.
    #[inline]
    pub fn words(&self) -> [u64; 2] {
        let ports = u64::from(self.near_port) << 16 | u64::from(self.far_port);
        [
            u64::from(self.near.to_bits()) << 32 | u64::from(self.far),
            u64::from(self.protocol) << 40 | (self.kind as u64) << 32 | ports,
        ]
    }

    /// The tuple with another near host.
    #[inline]
    pub fn with(self, near: HostId) -> Tuple {
        Tuple { near, ..self }
    }

    /// The tuple with any near port: the client's port is not known yet.
    pub fn from_any_port(self) -> Tuple {
        Tuple { near_port: 0, ..self }
    }

    /// The tuple with any far port: the server's port is not known yet.
    pub fn to_any_port(self) -> Tuple {
        Tuple { far_port: 0, ..self }
    }

    /// The tuple with another far port.
    pub fn to_port(self, far_port: u16) -> Tuple {
        Tuple { far_port, ..self }
    }

    /// The tuple of a client's affinity entry at a VIP, for all ports.
    pub fn of_affinity(client: HostId, vip: VipId, protocol: u8) -> Tuple {
        Tuple::at_vip(Endpoint { host: client, port: 0 }, vip, 0, protocol)
    }

    /// The tuple of a client's affinity entry for data, at one of several backends of a VIP.
    pub fn of_affinity_at(client: HostId, vip: VipId, backend: BackendId) -> Tuple {
        let near = Endpoint { host: client, port: backend.0 + 1 };
        Tuple::at_vip(near, vip, 0, PROTOCOL_TCP)
    }

    /// Whether the protocol is TCP.
    #[inline]
    pub fn is_tcp(&self) -> bool {
        self.protocol == PROTOCOL_TCP
    }
}

/// The client's and the server's tuple of a connection, stored compactly: both have one protocol, and a client's far
/// end is a VIP.
#[derive(Debug, Clone, Copy, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Tuples {
    client: HostId,
    seen_as: HostId,
    server: u32,
    client_port: u16,
    vip: VipId,
    vip_port: u16,
    seen_as_port: u16,
    server_port: u16,
    protocol: u8,
    /// Kind of the server's far end; [`Far::Vip`]: no server's tuple.
    server_kind: Far,
}

row_layout!(Tuples, 24:
    client 0, seen_as 4, server 8, client_port 12, vip 14, vip_port 16, seen_as_port 18, server_port 20, protocol 22,
    server_kind 23,
);

impl Tuples {
    /// The tuples of an unused row.
    pub const NONE: Tuples = Tuples {
        client: HostId::NOBODY,
        seen_as: HostId::NOBODY,
        server: 0,
        client_port: 0,
        vip: VipId(0),
        vip_port: 0,
        seen_as_port: 0,
        server_port: 0,
        protocol: 0,
        server_kind: Far::Vip,
    };

    /// Tuples of a connection without a server's tuple, or before it is known.
    pub fn of_client(client: Tuple) -> Tuples {
        Tuples { protocol: client.protocol, ..Tuples::NONE.with_client(client) }
    }

    /// Adds the server's tuple.
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

    /// Sets the SNAT address that servers see as the client.
    #[must_use]
    pub fn with_seen_as(self, seen_as: HostId) -> Tuples {
        Tuples { seen_as, ..self }
    }

    /// Sets the client's tuple.
    #[must_use]
    pub fn with_client(self, client: Tuple) -> Tuples {
        Tuples {
            client: client.near,
            client_port: client.near_port,
            vip: client.vip(),
            vip_port: client.far_port,
            ..self
        }
    }

    /// The client's tuple.
    #[inline]
    pub fn client(&self) -> Tuple {
        let near = Endpoint { host: self.client, port: self.client_port };
        Tuple::at_vip(near, self.vip, self.vip_port, self.protocol)
    }

    /// The server's tuple, if there is one.
    #[inline]
    pub fn server(&self) -> Tuple {
        let near = Endpoint { host: self.seen_as, port: self.seen_as_port };
        Tuple::new(near, (self.server_kind, self.server), self.server_port, self.protocol)
    }

    /// Whether there is a server's tuple.
    #[inline]
    pub fn have_server(&self) -> bool {
        self.server_kind != Far::Vip
    }
}

/// Stands for all protocols.
pub const ANY_PROTOCOL: u8 = 0;
