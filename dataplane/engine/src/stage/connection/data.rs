//! Connections that carry data for another one: those that were announced, and those of which nobody reads the
//! announcement.

use super::seen::Seen;
use crate::alg::End;
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag};
use crate::flow::hosts::NoRoom;
use crate::flow::tuple::Tuples;
use crate::flow::view::{ConnectionKind, Stage};
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::classify::Side;
use crate::tables::{BackendId, Hop, Mode, VipId};
use crate::verdict::Step;
use wire::ip::PROTOCOL_TCP;
use wire::tcp::Flags;

/// The first port that is for data.
pub(super) const FIRST_PORT: u16 = 1024;

/// The packet is the first one of a connection that was expected.
pub fn complete<H: Family>(
    id: FlowId,
    seen: &Seen<H::Address>,
    here: &Here,
    own: &mut Own,
) -> Step<FlowId> {
    if !seen.opens() {
        return Err(Reason::NoConnection.into());
    }
    let mut connection = own.connections.remove(id);
    connection.last_packet = here.now;
    connection.begun = here.now;
    connection.flags = flag::BY_CLIENT_TUPLE | connection.flags & flag::BY_SERVER_TUPLE;
    match seen.side {
        Side::Client(_) => {
            connection.tuples = connection.tuples.with_client(seen.tuple);
            connection.back = Hop { mac: seen.station, interface: here.from };
            let pool_host = connection.server().near().host;
            let port = connection.server().far_port();
            let faced = own.face_server(&mut connection, port, Some(pool_host), here);
            if let Err(why_not) = faced {
                own.bury(&connection, End::Evicted, here);
                return Err(why_not);
            }
        }
        Side::Server | Side::ServerToClient => {
            connection.tuples = connection.tuples.with_server(seen.tuple);
            connection.flags |= flag::BY_SERVER;
            if let Some(twin) = own.connections.find(&connection.client()) {
                own.end_connection(twin, End::Replaced, here);
            }
        }
    }
    connection.stage = Stage::HalfOpen;
    own.enter_connection(&connection, here)
}

/// A client's packet to a port of the VIP that is no service's: perhaps for a backend that has this port for data;
/// or, where nothing can be read, for the one that the client is bound to. `None`: neither.
pub fn unread<H: Family>(
    vip: VipId,
    seen: &Seen<H::Address>,
    here: &Here,
    own: &mut Own,
) -> Option<Step<FlowId>> {
    let port = seen.ports[1];
    let ranges = &here.tables.vips[usize::from(vip)].passive;
    let owner = ranges.iter().find(|(range, _)| range.contains(&port)).map(|&(_, owner)| owner);
    let bond = own.bond(seen.tuple.near().host, vip, PROTOCOL_TCP);
    let bound = bond.map(|bond| own.connections[bond].backend);
    // Where data follows the control connection.
    let bound = bound.filter(|&bound| here.tables.service_of(bound).mode == Mode::Dsr);
    // It answers a server that we don't see, whose own port may be in a range too.
    let answers = seen.has(Flags::SYN | Flags::ACK);
    let backend = match (owner, bound) {
        (_, Some(bound)) if answers => bound,
        (Some(owner), _) if seen.opens() => owner,
        // What is below is for no data, unless the server has opened it.
        (None, Some(bound)) if seen.opens() && port >= FIRST_PORT => bound,
        (Some(_) | None, _) => return None,
    };
    Some(begin::<H>(backend, bond, seen, here, own))
}

fn begin<H: Family>(
    backend: BackendId,
    bond: Option<FlowId>,
    seen: &Seen<H::Address>,
    here: &Here,
    own: &mut Own,
) -> Step<FlowId> {
    if !here.backend(backend).is_reached() {
        return Err(Reason::BackendDown.into());
    }
    let client = seen.addresses[0].into();
    let service = here.tables.service_of(backend);
    if !service.access.admits(client) {
        let service = here.backend(backend).service;
        own.counters.refusals[usize::from(service)].client.add(1);
        return Err(Reason::Refused.into());
    }
    let host = own.hosts.enter(client).map_err(|NoRoom| Reason::FlowTableFull)?;
    let mut connection = Connection {
        tuples: Tuples::of_client(seen.tuple.with(host)),
        last_packet: here.now,
        begun: here.now,
        backend,
        back: Hop { mac: seen.station, interface: here.from },
        kind: ConnectionKind::Data,
        stage: Stage::HalfOpen,
        flags: flag::BY_CLIENT_TUPLE,
        ..Connection::FREE
    };
    let by_server = if seen.opens() { 0 } else { flag::BY_SERVER };
    connection.flags |= by_server;
    // The control connection is seen by the same address, if there is one.
    let control = bond.and_then(|bond| own.latest_control(bond));
    let same = control.filter(|&control| own.connections[control].backend == backend);
    let pool_host = same.map(|control| own.connections[control].seen_as().host);
    own.face_server(&mut connection, seen.ports[1], pool_host, here)
        .inspect_err(|_| own.hosts.leave(host))?;
    // Which of a client's control connections it is for is not known.
    if let Some(bond) = bond {
        connection.parent = bond;
        own.join(bond, &connection);
    }
    own.enter_connection(&connection, here)
}
