//! Keys of transfers.

use super::endpoint::{Endpoint, HostId};
use crate::types::id::{ServerId, VipId};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The key of one side of a transfer: an endpoint and 16 bits more. It identifies the transfer of a packet, whatever
/// the TID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub struct Key(pub(super) u64);

impl Key {
    /// The key of an unused row.
    pub const NONE: Key = Key(0);

    /// The key of a client's endpoint and a VIP.
    #[inline]
    pub fn of_client(client: Endpoint, vip: VipId) -> Key {
        Key::new(client, vip.0)
    }

    /// The key of the endpoint that a server answers to, and that server.
    #[inline]
    pub fn of_server(seen_as: Endpoint, server: ServerId) -> Key {
        Key::new(seen_as, server.0)
    }

    /// The key of an endpoint and the VIP or server at the other end.
    #[inline(always)]
    pub fn of(endpoint: Endpoint, peer: KeyPeer) -> Key {
        match peer {
            KeyPeer::Vip(vip) => Key::of_client(endpoint, vip),
            KeyPeer::Server(server) => Key::of_server(endpoint, server),
        }
    }

    /// The key of an endpoint and 16 bits of any meaning.
    #[inline]
    pub(super) fn new(endpoint: Endpoint, other: u16) -> Key {
        let host = u64::from(endpoint.host.to_bits());
        Key(host << 32 | u64::from(endpoint.port) << 16 | u64::from(other))
    }

    /// The endpoint.
    #[inline]
    pub fn endpoint(self) -> Endpoint {
        Endpoint { host: HostId::from_bits((self.0 >> 32) as u32), port: (self.0 >> 16) as u16 }
    }

    /// The key with another host.
    #[inline]
    pub fn with(self, host: HostId) -> Key {
        Key::new(Endpoint { host, ..self.endpoint() }, self.other())
    }

    /// The VIP in a client's key.
    #[inline]
    pub fn vip(self) -> VipId {
        VipId(self.other())
    }

    /// The server in a server's key.
    #[inline]
    pub fn server(self) -> ServerId {
        ServerId(self.other())
    }

    #[inline]
    fn other(self) -> u16 {
        self.0 as u16
    }
}

/// The other end of a packet, beside the endpoint that is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPeer {
    /// The VIP that a client sends to.
    Vip(VipId),
    /// The server that the packet comes from.
    Server(ServerId),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint { host: HostId::v4(Ipv4Addr::new(10, 1, 2, 3)), port }
    }

    #[test]
    fn a_key_gives_back_what_it_was_made_of() {
        let key = Key::of_client(endpoint(2070), VipId(0xabcd));
        assert_eq!((key.endpoint(), key.vip()), (endpoint(2070), VipId(0xabcd)));
        let key = Key::of_server(endpoint(2070), ServerId(0xabcd));
        assert_eq!((key.endpoint(), key.server()), (endpoint(2070), ServerId(0xabcd)));
    }
}
