//! Which connection is a packet part of? One that has begun, one that is expected, or a new one.

use super::packet::ConnectionPacket;
use super::{affinity, data, egress_nat, open, unnamed};
use crate::context::{BurstContext, Env};
use crate::flow::FlowId;
use crate::flow::state::ConnectionState;
use crate::flow::tuple::Tuple;
use crate::ip_family::IpFamily;
use crate::stage::second_chance::other_gate;
use crate::state::WorkerState;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::id::VipId;
use crate::types::verdict::{Step, Verdict};
use std::net::{IpAddr, SocketAddr};
use wire::ip::PROTOCOL_TCP;

/// The packet's connection, which may have begun with it.
pub fn lookup<H: IpFamily>(
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    let known = state.connections.find(&packet.tuple);
    let is_awaited = || {
        let expected = || expected(&packet.tuple.to_any_port(), state);
        known.or_else(expected).or_else(|| unnamed::control(packet, ctx, state)).is_some()
    };
    if !packet.is_from_its_server(ctx) && (packet.direction == Direction::ToSnat || is_awaited()) {
        return Err(DropReason::WrongOrigin.into());
    }
    if let Some(id) = known {
        if is_elsewhere(packet, id, ctx, state) {
            return Err(NO_CONNECTION);
        }
        if state.connections[id].state == ConnectionState::Expected {
            return data::complete::<H>(id, packet, ctx, state);
        }
        let is_another = || is_past(packet, id, ctx, state) || is_announced_anew(id, packet, state);
        if !(packet.opens() && is_another()) {
            return Ok(id);
        }
        state.end_connection(id, EndReason::Replaced, ctx);
    }
    match packet.direction {
        Direction::ToServer(vip) => by_client::<H>(vip, packet, ctx, state),
        Direction::ToSnat | Direction::ToClient => by_server::<H>(packet, ctx, state),
    }
}

/// Whether a client's packet goes on to the other gate, which has its connection.
fn is_elsewhere<A: Copy>(
    packet: &ConnectionPacket<A>,
    id: FlowId,
    ctx: &BurstContext,
    state: &WorkerState,
) -> bool {
    packet.is_by_client()
        && other_gate(packet.tuple.vip(), packet.source_mac, ctx).is_some()
        && !state.has_connection(&state.connections[id], ctx)
}

/// Whether a packet that can begin a connection does not go on with this one, though it has the same ends.
fn is_past<A: Copy>(
    packet: &ConnectionPacket<A>,
    id: FlowId,
    env: &Env,
    state: &WorkerState,
) -> bool {
    let connection = &state.connections[id];
    // What such a server still says is heard.
    let is_left = || {
        let backend = env.snapshot.find_backend(connection.backend);
        packet.is_by_client() && backend.is_some_and(|backend| !backend.serves())
    };
    match connection.state {
        ConnectionState::Closed => true,
        // Where the server's last word is not seen.
        ConnectionState::Closing => !connection.answers_seen(),
        // Its server has died since it was chosen; or the packet that it was adopted by was none of it.
        ConnectionState::HalfOpen => is_left() || connection.is_adopted(),
        // A datagram is as good a beginning as the first one was. The client of a TCP connection is told.
        ConnectionState::Open => !connection.client().is_tcp() && is_left(),
        ConnectionState::Expected => false,
    }
}

/// Whether a connection is expected between the ends of one that is about to be closed: they were announced once more.
fn is_announced_anew<A>(id: FlowId, packet: &ConnectionPacket<A>, state: &WorkerState) -> bool {
    state.connections[id].state == ConnectionState::Closing
        && [packet.tuple.from_any_port(), packet.tuple.to_any_port()]
            .iter()
            .any(|tuple| expected(tuple, state).is_some())
}

fn by_client<H: IpFamily>(
    vip: VipId,
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    if let Some(id) = expected(&packet.tuple.from_any_port(), state) {
        return data::complete::<H>(id, packet, ctx, state);
    }
    let (protocol, port) = (packet.tuple.protocol, packet.ports[1]);
    if let Some(service) = ctx.snapshot.service(vip, protocol, port) {
        if !packet.opens() {
            return Err(NO_CONNECTION);
        }
        return open::begin::<H>(service, packet, ctx, state);
    }
    if protocol == PROTOCOL_TCP
        && let Some(step) = data::unread::<H>(vip, packet, ctx, state)
    {
        return step;
    }
    match ctx.snapshot[vip].any {
        Some(service) => affinity::any::<H>(service, vip, packet, ctx, state),
        None => Err(DropReason::NoService.into()),
    }
}

fn by_server<H: IpFamily>(
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    if let Some(id) = expected(&packet.tuple.to_any_port(), state) {
        return data::complete::<H>(id, packet, ctx, state);
    }
    if let Some(control) = unnamed::control(packet, ctx, state) {
        return unnamed::begin(control, packet, ctx, state);
    }
    if packet.direction == Direction::ToSnat {
        return Err(if packet.tcp.is_some() {
            NO_CONNECTION
        } else {
            DropReason::NoTransfer.into()
        });
    }
    match egress_nat::lookup::<H>(packet, ctx, state) {
        Err(Verdict::Kernel) if is_departed(packet, ctx, state) => {
            Err(DropReason::NoTransfer.into())
        }
        step => step,
    }
}

/// Whether a server still answers a client that has left it: that must not reach it by the server's own address.
fn is_departed<A: Copy + Into<IpAddr>>(
    packet: &ConnectionPacket<A>,
    ctx: &BurstContext,
    state: &WorkerState,
) -> bool {
    let [from, to] = packet.ports;
    let client = SocketAddr::new(packet.addresses[1].into(), to);
    packet.tcp.is_none() && state.departed.has(client, (packet.tuple.server(), from), ctx.now)
}

/// The connection that is expected between such ends.
fn expected(tuple: &Tuple, state: &WorkerState) -> Option<FlowId> {
    state
        .connections
        .find(tuple)
        .filter(|&id| state.connections[id].state == ConnectionState::Expected)
}

/// The verdict for a segment of no connection.
pub const NO_CONNECTION: Verdict = Verdict::Drop(DropReason::NoConnection);
