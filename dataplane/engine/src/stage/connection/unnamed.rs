//! Data for a client that has named no port: its server connects to the port that the control connection comes from
//! (RFC 959 §3.2).

use super::packet::ConnectionPacket;
use crate::context::{BurstContext, Env};
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag, mark};
use crate::flow::host_table::NoRoom;
use crate::flow::state::{ConnectionKind, ConnectionState};
use crate::flow::tuple::{Tuple, Tuples};
use crate::snapshot::Protocol;
use crate::snapshot::service::Service;
use crate::state::WorkerState;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::verdict::Step;
use wire::ip::PROTOCOL_TCP;

/// The control connection that a server's packet opens such a one for.
pub fn control<A: Copy>(
    packet: &ConnectionPacket<A>,
    env: &Env,
    state: &WorkerState,
) -> Option<FlowId> {
    if packet.is_by_client() || !packet.opens() {
        return None;
    }
    let services = env.snapshot.services.iter();
    let services = services.filter(|service| matches!(service.protocol, Protocol::Ftp(_)));
    let from_service = |service: &Service| packet.tuple.to_port(service.port);
    services
        .filter_map(|service| state.connections.find(&from_service(service)))
        .find(|&id| takes_data(&state.connections[id], packet.ports[0], env))
}

/// Whether this is an open control connection whose client takes data from this port of the server.
fn takes_data(connection: &Connection, from: u16, env: &Env) -> bool {
    if connection.kind != ConnectionKind::Client || connection.state != ConnectionState::Open {
        return false;
    }
    match env.snapshot.service_of(connection.backend).protocol {
        Protocol::Ftp(ftp) => ftp.data_port.is_none_or(|port| port == from),
        Protocol::Tftp | Protocol::Tcp | Protocol::Udp | Protocol::Any => false,
    }
}

/// Creates the data connection, unless there is one that the client could not tell from it. The port that the server sees
/// stays the control connection's.
pub fn begin<A>(
    control: FlowId,
    packet: &ConnectionPacket<A>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    let known = state.connections[control].clone();
    // As if it had been announced.
    let from = known.client().far_port().wrapping_sub(1);
    let client = Tuple::at_vip(known.client().near(), known.vip(), from, PROTOCOL_TCP);
    let twin = state.connections.find(&client);
    if twin.is_some_and(|twin| state.connections[twin].is_under_way()) {
        return Err(DropReason::NoConnection.into());
    }
    let address = state.hosts.socket_address(client.near()).ip();
    state.hosts.intern(address).map_err(|NoRoom| DropReason::FlowTableFull)?;
    if let Some(twin) = twin {
        state.end_connection(twin, EndReason::Replaced, ctx);
    }
    state.connections[control].children += 1;
    let connection = Connection {
        tuples: Tuples::of_client(client).with_server(packet.tuple),
        last_packet: ctx.now,
        begun: ctx.now,
        parent: control,
        backend: known.backend,
        back: known.back,
        kind: ConnectionKind::Data,
        state: ConnectionState::HalfOpen,
        flags: flag::BY_SERVER | flag::BY_CLIENT_TUPLE | flag::BY_SERVER_TUPLE,
        marks: mark::BORROWS_PORT,
        ..Connection::FREE
    };
    state.enter_connection(&connection, ctx)
}
