//! Connections that carry data for another one: those that were announced, and those of which nobody reads the
//! announcement.

use super::open::record_refusal;
use super::packet::ConnectionPacket;
use crate::alg::ftp::FIRST_DATA_PORT;
use crate::context::BurstContext;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag, mark};
use crate::flow::host_table::NoRoom;
use crate::flow::state::{ConnectionKind, ConnectionState};
use crate::ip_family::IpFamily;
use crate::state::WorkerState;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::id::VipId;
use crate::types::mode::Mode;
use crate::types::verdict::Step;
use wire::ip::PROTOCOL_TCP;
use wire::tcp::Flags;

/// The packet is the first one of a connection that was expected.
pub fn complete<H: IpFamily>(
    id: FlowId,
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    if !packet.opens() {
        return Err(DropReason::NoConnection.into());
    }
    match packet.direction {
        Direction::ToServer(_) => by_client::<H>(id, packet, ctx, state),
        Direction::ToSnat | Direction::ToClient => by_server(id, packet, ctx, state),
    }
}

/// A client comes to where its server waits, which goes on to be expected there: the second one to come, and any behind
/// that, counts in the client's quota, as nobody has asked it to come again.
fn by_client<H: IpFamily>(
    id: FlowId,
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    let expected = state.connections[id].clone();
    let (backend, pool_host) = (expected.backend, expected.server().near().host);
    let is_first = !expected.has_mark(mark::CALLED);
    let host = state
        .hosts
        .intern(packet.addresses[0].into())
        .map_err(|NoRoom| DropReason::FlowTableFull)?;
    let mut connection = Connection {
        tuples: expected.tuples.with_client(packet.tuple.with(host)),
        last_packet: ctx.now,
        begun: ctx.now,
        back: packet.way_back(ctx),
        state: ConnectionState::HalfOpen,
        flags: flag::BY_CLIENT_TUPLE,
        marks: 0,
        ..expected
    };
    let port = connection.server().far_port();
    let service = ctx.backend(backend).service;
    let may = if is_first { Ok(()) } else { state.check_quota(host, service, true, ctx) };
    may.inspect_err(|why_not| {
        record_refusal(service, packet, why_not, ctx, state);
    })
    .and_then(|()| state.face_server(&mut connection, port, Some(pool_host), ctx))
    .inspect_err(|_| state.hosts.release(host))?;
    state.connections[connection.parent].children += 1;
    state.connections[id].mark(mark::CALLED, true);
    let entered = state.enter_connection(&connection, ctx)?;
    if !is_first {
        state.count_in_quota(entered, ctx);
    }
    Ok(entered)
}

/// A server comes to where its client waits.
fn by_server<A>(
    id: FlowId,
    packet: &ConnectionPacket<A>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    let mut connection = state.connections.remove(id);
    connection.last_packet = ctx.now;
    connection.begun = ctx.now;
    connection.flags =
        flag::BY_SERVER | flag::BY_CLIENT_TUPLE | connection.flags & flag::BY_SERVER_TUPLE;
    connection.tuples = connection.tuples.with_server(packet.tuple);
    connection.state = ConnectionState::HalfOpen;
    if let Some(twin) = state.connections.find(&connection.client()) {
        state.end_connection(twin, EndReason::Replaced, ctx);
    }
    state.enter_connection(&connection, ctx)
}

/// A client's packet to a port of the VIP that is no service's: perhaps for a backend that has this port for data;
/// or, where nothing can be read, for the one that the client is bound to. `None`: neither.
pub fn unread<H: IpFamily>(
    vip: VipId,
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Option<Step<FlowId>> {
    let (client, port) = (packet.tuple.near().host, packet.ports[1]);
    let owner = ctx.snapshot[vip].passive_owner(port);
    // It answers a server that we don't see, whose own port may be in a range too.
    let answers = packet.has(Flags::SYN | Flags::ACK);
    let affinity = match owner {
        Some(owner) if packet.opens() => state.affinity_at(client, vip, owner),
        // What is below is for no data, unless the server has opened it.
        None if packet.opens() && port < FIRST_DATA_PORT => return None,
        // Where data follows the control connection.
        _ if packet.opens() || answers => {
            state.affinity(client, vip, PROTOCOL_TCP).filter(|&affinity| {
                ctx.snapshot.service_of(state.connections[affinity].backend).mode == Mode::Dsr
            })
        }
        _ => return None,
    };
    // Who has no open control connection there is a stranger; whose control connections are all read has announced
    // its data.
    match affinity.filter(|&affinity| state.connections[affinity].again > 0) {
        Some(affinity) => Some(begin::<H>(affinity, packet, ctx, state)),
        None => owner.filter(|_| packet.opens()).map(|_| Err(DropReason::NoService.into())),
    }
}

fn begin<H: IpFamily>(
    affinity: FlowId,
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    let backend = state.connections[affinity].backend;
    if !ctx.backend(backend).is_reached() {
        return Err(DropReason::BackendDown.into());
    }
    let (client, service) = (packet.addresses[0].into(), ctx.backend(backend).service);
    let host = state.admit_connection(client, service, true, ctx).inspect_err(|why_not| {
        record_refusal(service, packet, why_not, ctx, state);
    })?;
    let (tuple, back) = (packet.tuple.with(host), packet.way_back(ctx));
    let mut connection = Connection::half_open(tuple, backend, back, ConnectionKind::Data, ctx.now);
    let by_server = if packet.opens() { 0 } else { flag::BY_SERVER };
    connection.flags |= by_server;
    // By the address by which the server sees its client's control connections there.
    let control = state.latest_control(affinity).map(|control| &state.connections[control]);
    let control = control.filter(|control| control.backend == backend);
    let pool_host = control.unwrap_or(&state.connections[affinity]).seen_as().host;
    if state.is_announced(pool_host, backend, packet.ports[1], ctx) {
        state.hosts.release(host);
        return Err(DropReason::NoService.into());
    }
    state
        .face_server(&mut connection, packet.ports[1], Some(pool_host), ctx)
        .inspect_err(|_| state.hosts.release(host))?;
    // Which of a client's control connections it is for is not known.
    connection.parent = affinity;
    state.join(affinity, &connection);
    let id = state.enter_connection(&connection, ctx)?;
    state.count_in_quota(id, ctx);
    Ok(id)
}
