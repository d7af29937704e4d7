//! Connections that carry data for another one: those that were announced, and those of which nobody reads the
//! announcement.

use super::seen::Seen;
use crate::alg::End;
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag, mark};
use crate::flow::hosts::NoRoom;
use crate::flow::tuple::Tuples;
use crate::flow::view::{ConnectionKind, Stage};
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::classify::Side;
use crate::tables::{Mode, VipId};
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
    match seen.side {
        Side::Client(_) => by_client::<H>(id, seen, here, own),
        Side::Server | Side::ServerToClient => by_server(id, seen, here, own),
    }
}

/// A client comes to where its server waits, which goes on to be expected there: the second one to come, and any behind
/// that, counts in the client's quota, as nobody has asked it to come again.
fn by_client<H: Family>(
    id: FlowId,
    seen: &Seen<H::Address>,
    here: &Here,
    own: &mut Own,
) -> Step<FlowId> {
    let expected = own.connections[id].clone();
    let (backend, pool_host) = (expected.backend, expected.server().near().host);
    let is_first = !expected.has_mark(mark::CALLED);
    let host = own.hosts.enter(seen.addresses[0].into()).map_err(|NoRoom| Reason::FlowTableFull)?;
    let mut connection = Connection {
        tuples: expected.tuples.with_client(seen.tuple.with(host)),
        last_packet: here.now,
        begun: here.now,
        back: seen.way_back(here),
        stage: Stage::HalfOpen,
        flags: flag::BY_CLIENT_TUPLE,
        marks: 0,
        ..expected
    };
    let port = connection.server().far_port();
    let service = here.backend(backend).service;
    let may = if is_first { Ok(()) } else { own.check_quota(host, service, true, here) };
    may.and_then(|()| own.face_server(&mut connection, port, Some(pool_host), here))
        .inspect_err(|_| own.hosts.leave(host))?;
    own.connections[connection.parent].children += 1;
    own.connections[id].mark(mark::CALLED, true);
    let entered = own.enter_connection(&connection, here)?;
    if !is_first {
        own.count_in_quota(entered, here);
    }
    Ok(entered)
}

/// A server comes to where its client waits.
fn by_server<A>(id: FlowId, seen: &Seen<A>, here: &Here, own: &mut Own) -> Step<FlowId> {
    let mut connection = own.connections.remove(id);
    connection.last_packet = here.now;
    connection.begun = here.now;
    connection.flags =
        flag::BY_SERVER | flag::BY_CLIENT_TUPLE | connection.flags & flag::BY_SERVER_TUPLE;
    connection.tuples = connection.tuples.with_server(seen.tuple);
    connection.stage = Stage::HalfOpen;
    if let Some(twin) = own.connections.find(&connection.client()) {
        own.end_connection(twin, End::Replaced, here);
    }
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
    let (client, port) = (seen.tuple.near().host, seen.ports[1]);
    let ranges = &here.tables.vips[usize::from(vip)].passive;
    let owner = ranges.iter().find(|(range, _)| range.contains(&port)).map(|&(_, owner)| owner);
    // It answers a server that we don't see, whose own port may be in a range too.
    let answers = seen.has(Flags::SYN | Flags::ACK);
    let bond = match owner {
        Some(owner) if seen.opens() => own.bond_at(client, vip, owner),
        // What is below is for no data, unless the server has opened it.
        None if seen.opens() && port < FIRST_PORT => return None,
        // Where data follows the control connection.
        _ if seen.opens() || answers => own.bond(client, vip, PROTOCOL_TCP).filter(|&bond| {
            here.tables.service_of(own.connections[bond].backend).mode == Mode::Dsr
        }),
        _ => return None,
    };
    // Who has no open control connection there is a stranger; whose control connections are all read has announced
    // its data.
    match bond.filter(|&bond| own.connections[bond].again > 0) {
        Some(bond) => Some(begin::<H>(bond, seen, here, own)),
        None => owner.filter(|_| seen.opens()).map(|_| Err(Reason::NoService.into())),
    }
}

fn begin<H: Family>(
    bond: FlowId,
    seen: &Seen<H::Address>,
    here: &Here,
    own: &mut Own,
) -> Step<FlowId> {
    let backend = own.connections[bond].backend;
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
    if let Err(why_not) = own.check_quota(host, here.backend(backend).service, true, here) {
        own.hosts.leave(host);
        return Err(why_not);
    }
    let mut connection = Connection {
        tuples: Tuples::of_client(seen.tuple.with(host)),
        last_packet: here.now,
        begun: here.now,
        backend,
        back: seen.way_back(here),
        kind: ConnectionKind::Data,
        stage: Stage::HalfOpen,
        flags: flag::BY_CLIENT_TUPLE,
        ..Connection::FREE
    };
    let by_server = if seen.opens() { 0 } else { flag::BY_SERVER };
    connection.flags |= by_server;
    // By the address by which the server sees its client's control connections there.
    let control = own.latest_control(bond).map(|control| &own.connections[control]);
    let control = control.filter(|control| control.backend == backend);
    let pool_host = control.unwrap_or(&own.connections[bond]).seen_as().host;
    if own.is_announced(pool_host, backend, seen.ports[1], here) {
        own.hosts.leave(host);
        return Err(Reason::NoService.into());
    }
    own.face_server(&mut connection, seen.ports[1], Some(pool_host), here)
        .inspect_err(|_| own.hosts.leave(host))?;
    // Which of a client's control connections it is for is not known.
    connection.parent = bond;
    own.join(bond, &connection);
    let id = own.enter_connection(&connection, here)?;
    own.count_in_quota(id, here);
    Ok(id)
}
