//! Errors about packets of connections, and of all that a client has from a VIP where a service has everything.

use super::endpoints::{Endpoints, NO_TRANSFER, about_nothing, translate};
use crate::context::{BurstContext, Env};
use crate::flow::FlowId;
use crate::flow::endpoint::Endpoint;
use crate::flow::key::Key;
use crate::flow::tuple::{ANY_PROTOCOL, Tuple};
use crate::ip_family::IpFamily;
use crate::net::address_map::Owner;
use crate::stage::classify::{check_owner, check_source};
use crate::stage::transmit::{check_size, next_hop, send};
use crate::state::WorkerState;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::id::{InterfaceId, VipId};
use crate::types::verdict::Step;
use wire::ethernet::Ethernet;
use wire::icmp::{self, Quoted, split_error};
use wire::ip::PROTOCOL_UDP;

/// The connection that an error is about, if it is about one.
pub fn connection<H: IpFamily>(
    direction: Direction,
    key: Key,
    quoted: &Quoted<H>,
    state: &WorkerState,
) -> Option<FlowId> {
    let (near, protocol) = (key.endpoint(), quoted.protocol);
    let tuple = match direction {
        Direction::ToServer(vip) => Tuple::at_vip(near, vip, quoted.source(), protocol),
        Direction::ToSnat | Direction::ToClient => {
            Tuple::at_server(near, key.server(), quoted.destination(), protocol)
        }
    };
    let is_transfer =
        protocol == PROTOCOL_UDP && state.transfers.find(direction.key_kind(), key).is_some();
    let other = || match direction {
        Direction::ToServer(_) if is_transfer => None,
        Direction::ToServer(vip) => state.affinity(near.host, vip, ANY_PROTOCOL),
        Direction::ToSnat => None,
        Direction::ToClient => {
            let host = H::host_id(quoted.ip.destination(), &state.hosts);
            let server = Endpoint { host, port: quoted.destination() };
            state.connections.find(&Tuple::at_host(near, server, protocol))
        }
    };
    state.connections.find(&tuple).or_else(other)
}

/// The VIP that sent a packet of another protocol, or a fragment without ports, and the affinity of the packet's receiver.
pub fn affinity<H: IpFamily>(
    ip: &H,
    quoted: &Quoted<H>,
    env: &Env,
    state: &WorkerState,
) -> Step<(VipId, FlowId)> {
    let Quoted { ip: inner, protocol, .. } = quoted;
    let Some(Owner::Vip(vip)) = H::owner(ip.destination(), env.snapshot) else {
        return Err(about_nothing(ip, env));
    };
    let known = &env.snapshot[vip];
    // A fragment may be of another service's datagram.
    let is_anything = known.any.is_some() && (*protocol != PROTOCOL_UDP || known.udp.is_empty());
    if !is_anything || inner.source() != ip.destination() {
        return Err(about_nothing(ip, env));
    }
    check_source(ip, env)?;
    check_owner(H::worker(inner.destination(), env.workers), env)?;
    let client = H::host_id(inner.destination(), &state.hosts);
    state.affinity(client, vip, ANY_PROTOCOL).map(|affinity| (vip, affinity)).ok_or(NO_TRANSFER)
}

/// Decides what becomes of an error about a connection.
pub fn about_connection<H: IpFamily>(
    (ethernet, ip, body): (&mut Ethernet, &mut H, &mut [u8]),
    index: usize,
    direction: Direction,
    id: FlowId,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<InterfaceId> {
    let connection = &state.connections[id];
    let link = match direction {
        Direction::ToServer(_) => Some(connection.back.interface),
        Direction::ToSnat => None,
        Direction::ToClient => connection.server().far_host().map(|_| connection.fore().interface),
    };
    if link.is_some_and(|link| link != ctx.interface) {
        return Err(DropReason::WrongOrigin.into());
    }
    check_size(ip, false, direction, connection, ctx)?;
    let hop = next_hop(direction, connection, ctx)?;
    if connection.answers_seen() {
        let quoted = split_error(ip, body).ok_or(NO_TRANSFER)?;
        let endpoints = Endpoints::of(connection, &quoted, ctx, &state.hosts);
        let other_family = translate(ip, quoted, direction, &endpoints, ctx)?;
        state.deferred.xlat.extend(other_family.map(|ends| (index, ends)));
        icmp::make_checksum(ip, body);
    }
    Ok(send(ethernet, &hop, ctx))
}
