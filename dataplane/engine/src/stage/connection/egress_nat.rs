//! Connections that servers open by themselves: by a rule they leave as a VIP; all others are the kernel's to route.

use super::packet::ConnectionPacket;
use super::return_hop;
use crate::context::{BurstContext, Env};
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag};
use crate::flow::endpoint::Endpoint;
use crate::flow::host_table::NoRoom;
use crate::flow::state::{ConnectionKind, ConnectionState};
use crate::flow::tuple::{Tuple, Tuples};
use crate::ip_family::IpFamily;
use crate::snapshot::NatRule;
use crate::state::WorkerState;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::verdict::{Step, Verdict};
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;

/// The connection of a server's packet that is of no backend's; a rule may have it begin.
pub fn lookup<H: IpFamily>(
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    if !ctx.snapshot.has_rules {
        return Err(Verdict::Kernel);
    }
    let [server, _] = packet.addresses;
    let near = packet.tuple.near();
    let server = Endpoint { host: H::host_id(server, &state.hosts), port: packet.ports[0] };
    let tuple = Tuple::at_host(near, server, packet.tuple.protocol);
    if let Some(id) = state.connections.find(&tuple) {
        return_hop::settle_server(packet, id, ctx, state)?;
        if !(packet.opens() && state.connections[id].is_over()) {
            return Ok(id);
        }
        state.end_connection(id, EndReason::Replaced, ctx);
    }
    let [from, to] = packet.addresses.map(Into::into);
    let is_for_peer = H::is_host(packet.addresses[1]) && !is_local(to, ctx);
    match rule(from, packet, ctx) {
        Some(rule) if is_for_peer && packet.opens() => begin::<H>(rule, packet, ctx, state),
        Some(_) | None => Err(Verdict::Kernel),
    }
}

/// Whether the kernel has this address, or it is the broadcast address of one of the kernel's networks.
fn is_local(address: IpAddr, ctx: &BurstContext) -> bool {
    ctx.snapshot.local().any(|net| net.addr() == address || net.broadcast() == address)
}

/// The first rule for this packet.
fn rule<'a, A: Copy>(
    from: IpAddr,
    packet: &ConnectionPacket<A>,
    env: &'a Env,
) -> Option<&'a NatRule> {
    env.snapshot.nat.iter().find(|rule| {
        rule.from.contains(&from)
            && rule.protocol == packet.tuple.protocol
            && rule.source_port.is_none_or(|port| port == packet.ports[0])
            && env.snapshot.is_live(rule.to)
    })
}

fn begin<H: IpFamily>(
    rule: &NatRule,
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    let [server, peer] = packet.addresses.map(Into::into);
    let link = ctx.snapshot.routes.hop(server).map(|hop| hop.interface);
    if link.is_some_and(|link| link != ctx.interface) || !packet.is_from_its_server(ctx) {
        return Err(DropReason::WrongOrigin.into());
    }
    // Without one the server tries again; by then the kernel may have found it.
    let way = state.way_to(packet.tuple.near().host, rule.to, peer, ctx);
    let back = way.ok_or(DropReason::NoRoute)?;
    let peer_host = state.hosts.intern(peer).map_err(|NoRoom| DropReason::FlowTableFull)?;
    let Ok(server_host) = state.hosts.intern(server) else {
        state.hosts.release(peer_host);
        return Err(DropReason::FlowTableFull.into());
    };
    let near = Endpoint { host: peer_host, port: packet.ports[1] };
    let far = Endpoint { host: server_host, port: packet.ports[0] };
    let Some(client) = state.tuple_of_ours(near, rule.to, packet.ports[0], packet.tuple.protocol)
    else {
        state.hosts.release(peer_host);
        state.hosts.release(server_host);
        return Err(DropReason::SnatPoolEmpty.into());
    };
    let server = Tuple::at_host(near, far, packet.tuple.protocol);
    let mut connection = Connection {
        tuples: Tuples::of_client(client).with_server(server),
        last_packet: ctx.now,
        begun: ctx.now,
        back,
        kind: ConnectionKind::Policy,
        state: ConnectionState::HalfOpen,
        flags: flag::BY_CLIENT_TUPLE | flag::BY_SERVER_TUPLE | flag::BY_SERVER,
        ..Connection::FREE
    };
    connection.set_fore(packet.hop(ctx));
    let id = state.enter_connection(&connection, ctx)?;
    rule.hits.fetch_add(1, Relaxed);
    Ok(id)
}
