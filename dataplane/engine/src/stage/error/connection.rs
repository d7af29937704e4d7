//! Errors about packets of connections, and of all that a client has from a VIP where a service has everything.

use super::{Faces, NO_TRANSFER, about_nothing, translate};
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::hosts::Endpoint;
use crate::flow::key::Key;
use crate::flow::tuple::Tuple;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::classify::{Side, check_source, mine};
use crate::stage::connection::bond::ANY;
use crate::stage::connection::translate::{server, vip, way};
use crate::stage::transmit::{room_to, send};
use crate::tables::{Owner, VipId};
use crate::verdict::{Step, Verdict};
use wire::ethernet::Ethernet;
use wire::icmp::{self, Quoted, split_error};
use wire::ip::PROTOCOL_UDP;

/// The connection that an error is about, if it is about one.
pub fn connection<H: Family>(
    side: Side,
    key: Key,
    quoted: &Quoted<H>,
    own: &Own,
) -> Option<FlowId> {
    let (near, far, protocol) = (key.endpoint(), key.other(), quoted.protocol);
    let tuple = match side {
        Side::Client(vip) => Tuple::at_vip(near, vip, quoted.source(), protocol),
        Side::Server | Side::ServerToClient => {
            Tuple::at_server(near, far, quoted.destination(), protocol)
        }
    };
    let is_transfer = protocol == PROTOCOL_UDP && own.flows.find(side.key_kind(), key).is_some();
    let other = || match side {
        Side::Client(_) if is_transfer => None,
        Side::Client(vip) => own.bond(near.host, vip, ANY),
        Side::Server => None,
        Side::ServerToClient => {
            let host = H::name(quoted.ip.destination(), &own.hosts);
            let server = Endpoint { host, port: quoted.destination() };
            own.connections.find(&Tuple::at_host(near, server, protocol))
        }
    };
    own.connections.find(&tuple).or_else(other)
}

/// The VIP that sent something else than datagrams and segments, or a part that names no ports, and what binds its
/// receiver to the backend that did so.
pub fn bond<H: Family>(
    ip: &H,
    quoted: &Quoted<H>,
    here: &Here,
    own: &Own,
) -> Step<(VipId, FlowId)> {
    let Quoted { ip: inner, protocol, .. } = quoted;
    let Some(Owner::Vip(vip)) = H::owner(ip.destination(), here.tables) else {
        return Err(about_nothing(ip, here));
    };
    let known = &here.tables.vips[usize::from(vip)];
    // A part may be of another service's datagram.
    let is_anything = known.any.is_some() && (*protocol != PROTOCOL_UDP || known.udp.is_empty());
    if !is_anything || inner.source() != ip.destination() {
        return Err(about_nothing(ip, here));
    }
    check_source(ip, here)?;
    mine(H::worker(inner.destination(), here.workers), here)?;
    let client = H::name(inner.destination(), &own.hosts);
    own.bond(client, vip, ANY).map(|bond| (vip, bond)).ok_or(NO_TRANSFER)
}

/// Decides what becomes of an error about a connection.
pub fn about_connection<H: Family>(
    (ethernet, ip, body): (&mut Ethernet, &mut H, &mut [u8]),
    place: usize,
    side: Side,
    id: FlowId,
    here: &Here,
    own: &mut Own,
) -> Step<Verdict> {
    let connection = &own.connections[id];
    let link = match side {
        Side::Client(_) => Some(connection.back.interface),
        Side::Server => None,
        Side::ServerToClient => connection.server().far_host().map(|_| connection.fore().interface),
    };
    if link.is_some_and(|link| link != here.from) {
        return Err(Reason::WrongOrigin.into());
    }
    let (hop, receiver) = way(side, connection, here).ok_or(Reason::BackendDown)?;
    let room = usize::from(room_to::<H>(false, &hop, receiver, here));
    if ip.total_len() - size_of::<H>() > room {
        return Err(Reason::TooBig.into());
    }
    if connection.answers_seen() {
        let faces = Faces {
            client: own.hosts.socket_address(connection.client().near()),
            vip: vip(connection, here),
            seen_as: own.hosts.socket_address(connection.seen_as()),
            server: server(connection, here, &own.hosts),
            are_hidden: connection.seen_as() != connection.client().near(),
        };
        let quoted = split_error(ip, body).ok_or(NO_TRANSFER)?;
        let crossing = translate(ip, quoted, side, &faces, here)?;
        own.crossings.extend(crossing.map(|crossing| (place, crossing)));
        icmp::make_checksum(ip, body);
    }
    Ok(send(ethernet, &hop, here))
}
