//! The two ends of a flow, as each side sees them: what transfers and connections have in common for translation, next
//! hops, sizes and ICMP errors.

use crate::context::Env;
use crate::flow::connection::Connection;
use crate::flow::endpoint::Endpoint;
use crate::flow::host_table::HostTable;
use crate::flow::transfer::Transfer;
use crate::types::direction::Direction;
use crate::types::id::{BackendId, VipId};
use crate::types::next_hop::NextHop;
use std::net::{IpAddr, SocketAddr};

/// A transfer or a connection.
pub trait Peer {
    /// Whether the server's answers come through us. If not, packets stay as they are.
    fn answers_seen(&self) -> bool;

    /// The backend; of a NAT rule's connection [`crate::flow::connection::NO_BACKEND`].
    fn backend(&self) -> BackendId;

    /// The VIP that the client talks to.
    fn vip(&self) -> VipId;

    /// The VIP's port that the client talks to; `None` while it is not known.
    fn vip_port(&self) -> Option<u16>;

    /// The client's endpoint.
    fn client(&self) -> Endpoint;

    /// The endpoint that the server sees as the client.
    fn seen_as(&self) -> Endpoint;

    /// The next hop to the client.
    fn client_hop(&self) -> &NextHop;

    /// The next hop to a server that is nobody's backend, but a NAT rule's.
    fn rule_hop(&self) -> Option<NextHop>;

    /// The address and port that a client's packet goes to: a TFTP request to the service's port, all else to where the
    /// server answers from.
    fn server(&self, is_request: bool, env: &Env, hosts: &HostTable) -> (IpAddr, u16);

    /// The VIP's address.
    fn vip_address(&self, env: &Env) -> IpAddr {
        env.snapshot[self.vip()].address
    }

    /// An address of the family that the receiver of a packet has. Both ends of a NAT rule's connection are of the VIP's.
    #[inline(always)]
    fn receiver(&self, direction: Direction, env: &Env) -> IpAddr {
        let backend = env.snapshot.find_backend(self.backend());
        match (direction, backend) {
            (Direction::ToServer(_), Some(backend)) => backend.address,
            _ => self.vip_address(env),
        }
    }
}

impl Peer for Transfer {
    #[inline(always)]
    fn answers_seen(&self) -> bool {
        Transfer::answers_seen(self)
    }

    #[inline(always)]
    fn backend(&self) -> BackendId {
        self.backend
    }

    #[inline(always)]
    fn vip(&self) -> VipId {
        Transfer::vip(self)
    }

    #[inline(always)]
    fn vip_port(&self) -> Option<u16> {
        self.client_tid()
    }

    #[inline(always)]
    fn client(&self) -> Endpoint {
        Transfer::client(self)
    }

    #[inline(always)]
    fn seen_as(&self) -> Endpoint {
        Transfer::seen_as(self)
    }

    #[inline(always)]
    fn client_hop(&self) -> &NextHop {
        &self.back
    }

    #[inline(always)]
    fn rule_hop(&self) -> Option<NextHop> {
        None
    }

    #[inline(always)]
    fn server(&self, is_request: bool, env: &Env, _: &HostTable) -> (IpAddr, u16) {
        let backend = env.backend(self.backend);
        match self.tid() {
            Some(tid) if !is_request => (*backend.address(self.alias), tid),
            Some(_) | None => (backend.address, env.snapshot.service_of(self.backend).port),
        }
    }
}

impl Peer for Connection {
    #[inline(always)]
    fn answers_seen(&self) -> bool {
        Connection::answers_seen(self)
    }

    #[inline(always)]
    fn backend(&self) -> BackendId {
        self.backend
    }

    #[inline(always)]
    fn vip(&self) -> VipId {
        Connection::vip(self)
    }

    #[inline(always)]
    fn vip_port(&self) -> Option<u16> {
        Some(Connection::client(self).far_port())
    }

    #[inline(always)]
    fn client(&self) -> Endpoint {
        Connection::client(self).near()
    }

    #[inline(always)]
    fn seen_as(&self) -> Endpoint {
        Connection::seen_as(self)
    }

    #[inline(always)]
    fn client_hop(&self) -> &NextHop {
        &self.back
    }

    #[inline(always)]
    fn rule_hop(&self) -> Option<NextHop> {
        Some(self.fore())
    }

    #[inline(always)]
    fn server(&self, _: bool, env: &Env, hosts: &HostTable) -> (IpAddr, u16) {
        let port = Connection::server(self).far_port();
        match env.snapshot.find_backend(self.backend) {
            Some(backend) => (backend.address, port),
            None => of_host(self, hosts),
        }
    }
}

/// The server of a NAT rule's connection, which is nobody's backend.
#[cold]
fn of_host(connection: &Connection, hosts: &HostTable) -> (IpAddr, u16) {
    let server = connection.server().far_host().map(|server| hosts.socket_address(server));
    server.map_or((IpAddr::from([0; 4]), 0), |server| (server.ip(), server.port()))
}

/// The VIP's endpoint that the client of a connection talks to.
pub fn vip_endpoint(connection: &Connection, env: &Env) -> SocketAddr {
    SocketAddr::new(connection.vip_address(env), connection.client().far_port())
}
