//! The gate of a flow. Several can have a VIP, each with a pool of its own: the address that a server sees as the client
//! then tells which one goes on with the flow.

use super::WorkerState;
use crate::context::Env;
use crate::flow::connection::Connection;
use crate::flow::endpoint::Endpoint;
use crate::flow::host_table::HostTable;
use crate::flow::transfer::Transfer;
use crate::types::end_reason::EndReason;
use crate::types::id::VipId;

/// Whether this gate holds both addresses by which a flow's ends know a gate: the VIP, and the pool's that the server sees as
/// the client, if there is one.
pub fn is_ours(vip: VipId, seen_as: Option<Endpoint>, hosts: &HostTable, env: &Env) -> bool {
    let may_send = |end: Endpoint| env.snapshot.may_send_from(hosts.socket_address(end).ip());
    env.snapshot.is_live(vip) && seen_as.is_none_or(may_send)
}

/// The pool's endpoint that the server sees as the transfer's client.
pub fn pool_end(flow: &Transfer) -> Option<Endpoint> {
    Some(flow.seen_as()).filter(|end| end.host != flow.client().host)
}

/// The pool's endpoint that the server sees as the connection's client, if its packets pass.
pub fn pool_end_of(connection: &Connection) -> Option<Endpoint> {
    connection.answers_seen().then(|| connection.seen_as())
}

impl WorkerState {
    /// Whether the transfer is this gate's.
    pub fn has_transfer(&self, flow: &Transfer, env: &Env) -> bool {
        is_ours(flow.vip(), pool_end(flow), &self.hosts, env)
    }

    /// Whether the connection is this gate's.
    pub fn has_connection(&self, connection: &Connection, env: &Env) -> bool {
        is_ours(connection.vip(), pool_end_of(connection), &self.hosts, env)
    }
}

/// The reason for the end of a flow as this gate knows it: of one that is not ours, its gate sees the true end.
pub fn end_here(is_ours: bool, end: EndReason) -> EndReason {
    if is_ours { end } else { EndReason::Elsewhere }
}
