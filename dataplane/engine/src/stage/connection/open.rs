//! A client's first packet makes a connection, at a backend.

use super::packet::ConnectionPacket;
use crate::choose::SelectionRequest;
use crate::choose::candidates::Exclude;
use crate::context::BurstContext;
use crate::flow::FlowId;
use crate::flow::connection::Connection;
use crate::flow::endpoint::Endpoint;
use crate::flow::state::ConnectionKind;
use crate::flow::tuple::Tuple;
use crate::ip_family::IpFamily;
use crate::snapshot::Protocol;
use crate::snapshot::access::Refusal;
use crate::state::WorkerState;
use crate::state::record::Refused;
use crate::types::drop_reason::DropReason;
use crate::types::id::{BackendId, ServiceId};
use crate::types::verdict::{Step, Verdict};
use std::net::{IpAddr, SocketAddr};

/// Makes the connection to this service, or records that it was refused.
pub fn begin<H: IpFamily>(
    service: ServiceId,
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    open::<H>(service, packet, ctx, state).inspect_err(|why_not| {
        record_refusal(service, packet, why_not, ctx, state);
    })
}

/// Records that a client was not let in at this service.
pub fn record_refusal<A: Copy + Into<IpAddr>>(
    service: ServiceId,
    packet: &ConnectionPacket<A>,
    why_not: &Verdict,
    ctx: &BurstContext,
    state: &mut WorkerState,
) {
    let reason = match why_not {
        Verdict::Drop(DropReason::Refused) => Refusal::Client.name(),
        Verdict::Drop(DropReason::ClientFull) => "connections",
        Verdict::Drop(reason) => reason.name(),
        _ => return,
    };
    let refused = Refused {
        service,
        vip: packet.tuple.vip(),
        protocol: packet.tuple.protocol,
        client: SocketAddr::new(packet.addresses[0].into(), packet.ports[0]),
        hop: packet.way_back(ctx),
        request: None,
    };
    state.record_refusal(&refused, reason, ctx);
}

fn open<H: IpFamily>(
    service: ServiceId,
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    let known = &ctx.snapshot[service];
    let client = packet.addresses[0].into();
    let vip = packet.tuple.vip();
    let host = state.admit_connection(client, service, false, ctx)?;
    let request = SelectionRequest { client, family: H::PLACE, service, tftp: None };
    let bound = state.bound_backend(host, vip, service, ctx);
    let chosen = bound.unwrap_or_else(|| state.choose(&request, Exclude::Nobody, ctx));
    let made = chosen.and_then(|backend| {
        let client = Endpoint { host, port: packet.ports[0] };
        let made = connection(client, backend, packet, ctx, state);
        if made.is_err() {
            ctx.backend(backend).release();
        }
        made
    });
    let connection = made.inspect_err(|_| state.hosts.release(host))?;
    let id = match known.protocol {
        Protocol::Ftp(_) => state.enter_control(connection, ctx)?,
        Protocol::Tftp | Protocol::Tcp | Protocol::Udp | Protocol::Any => {
            state.enter_connection(&connection, ctx)?
        }
    };
    state.count_in_quota(id, ctx);
    Ok(id)
}

/// A connection of this client to its service's backend, which is yet to be answered.
fn connection<A: Copy + Into<IpAddr>>(
    client: Endpoint,
    backend: BackendId,
    packet: &ConnectionPacket<A>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<Connection> {
    let protocol = packet.tuple.protocol;
    let port = ctx.snapshot.service_of(backend).port;
    let client_tuple = Tuple::at_vip(client, packet.tuple.vip(), packet.ports[1], protocol);
    let (back, kind) = (packet.way_back(ctx), ConnectionKind::Client);
    let mut connection = Connection::half_open(client_tuple, backend, back, kind, ctx.now);
    let pool_host = state.pool_host(client.host, packet.tuple.vip(), backend, ctx);
    state.face_server(&mut connection, port, pool_host, ctx)?;
    Ok(connection)
}
