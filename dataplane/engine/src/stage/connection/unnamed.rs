//! Data for a client that has named no port: its server connects to the port that the control connection comes from
//! (RFC 959 §3.2).

use super::seen::Seen;
use crate::alg::End;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag, mark};
use crate::flow::hosts::NoRoom;
use crate::flow::tuple::{Tuple, Tuples};
use crate::flow::view::{ConnectionKind, Stage};
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::tables::{Protocol, Service};
use crate::verdict::Step;
use wire::ip::PROTOCOL_TCP;

/// The control connection that a server's packet opens such a one for.
pub fn control<A: Copy>(seen: &Seen<A>, here: &Here, own: &Own) -> Option<FlowId> {
    if seen.is_by_client() || !seen.opens() {
        return None;
    }
    let services = here.tables.services.iter();
    let services = services.filter(|service| matches!(service.protocol, Protocol::Ftp(_)));
    let from_service = |service: &Service| seen.tuple.to_port(service.port);
    services
        .filter_map(|service| own.connections.find(&from_service(service)))
        .find(|&id| takes_data(&own.connections[id], seen.ports[0], here))
}

/// Whether it is a control connection, whose client takes data from this port of the server's.
fn takes_data(connection: &Connection, from: u16, here: &Here) -> bool {
    if connection.kind != ConnectionKind::Client || connection.stage != Stage::Open {
        return false;
    }
    match here.tables.service_of(connection.backend).protocol {
        Protocol::Ftp(ftp) => ftp.data_port.is_none_or(|port| port == from),
        Protocol::Tftp | Protocol::Tcp | Protocol::Udp | Protocol::Any => false,
    }
}

/// Makes it, unless there is one already, which the client could not tell from it. The port that its server sees stays
/// the control connection's.
pub fn begin<A>(control: FlowId, seen: &Seen<A>, here: &Here, own: &mut Own) -> Step<FlowId> {
    let known = own.connections[control].clone();
    // As if it had been announced.
    let from = known.client().far_port().wrapping_sub(1);
    let client = Tuple::at_vip(known.client().near(), known.vip(), from, PROTOCOL_TCP);
    let twin = own.connections.find(&client);
    if twin.is_some_and(|twin| own.connections[twin].is_under_way()) {
        return Err(Reason::NoConnection.into());
    }
    let address = own.hosts.socket_address(client.near()).ip();
    own.hosts.enter(address).map_err(|NoRoom| Reason::FlowTableFull)?;
    if let Some(twin) = twin {
        own.end_connection(twin, End::Replaced, here);
    }
    own.connections[control].children += 1;
    let connection = Connection {
        tuples: Tuples::of_client(client).with_server(seen.tuple),
        last_packet: here.now,
        begun: here.now,
        parent: control,
        backend: known.backend,
        back: known.back,
        kind: ConnectionKind::Data,
        stage: Stage::HalfOpen,
        flags: flag::BY_SERVER | flag::BY_CLIENT_TUPLE | flag::BY_SERVER_TUPLE,
        marks: mark::BORROWS_PORT,
        ..Connection::FREE
    };
    own.enter_connection(&connection, here)
}
