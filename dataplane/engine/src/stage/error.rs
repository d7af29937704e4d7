//! Errors about packets of transfers and connections (ICMP, for IPv6 ICMPv6): translated outside and inside, so that
//! whoever sent the packet hears what it can understand. A server whose port nobody listens on any longer has given
//! its transfer up.

mod connection;

use super::admit::Packet;
use super::classify::{Side, check_source, mine, my_port};
use super::cross::Crossing;
use super::transmit::{check_size, transmit};
use crate::family::Family;
use crate::flow::hosts::Endpoint;
use crate::flow::key::Key;
use crate::flow::record::Flow;
use crate::here::Here;
use crate::origin::Origin;
use crate::own::Own;
use crate::reason::Reason;
use crate::tables::{Mode, Owner, ServerId};
use crate::verdict::{Step, Verdict};
use connection::{about_connection, bond, connection};
use std::net::SocketAddr;
use wire::ethernet::Ethernet;
use wire::icmp::{self, Quoted, split_error};
use wire::ip::{PROTOCOL_UDP, Split};
use wire::trouble::Trouble;

/// Decides what becomes of a frame that begins as an error does.
pub fn error<H: Family>(
    packet: Packet<H>,
    place: usize,
    here: &Here,
    own: &mut Own,
) -> Step<Verdict> {
    let Packet { ethernet, split: Split { ip, body, .. } } = packet;
    let Some(quoted) = split_error(ip, body) else { return Err(about_nothing(ip, here)) };
    if !quoted.has_ports() {
        let (vip, bond) = bond(ip, &quoted, here, own)?;
        let side = Side::Client(vip);
        return about_connection((ethernet, ip, body), place, side, bond, here, own);
    }
    let (side, key) = about::<H>(ip, &quoted, here, own)?;
    let is_believed = is_believed(ethernet, ip, side, key, here);
    if let Some(id) = connection(side, key, &quoted, own) {
        if !is_believed {
            return Err(Reason::WrongOrigin.into());
        }
        return about_connection((ethernet, ip, body), place, side, id, here, own);
    }
    let is_datagram = quoted.protocol == PROTOCOL_UDP;
    let flow = own.flows.find(side.key_kind(), key).filter(|_| is_datagram);
    let Some(id) = flow else {
        return Err(if side == Side::ServerToClient { Verdict::Kernel } else { NO_TRANSFER });
    };
    // It may be about the one that waits beside it.
    let newcomer = own.flows.newcomer(id).filter(|&newcomer| {
        let flow = &own.flows[newcomer];
        flow.is(side.key_kind(), key)
            && check_port::<H>(&quoted, side, &own.flows[id], here).is_err()
    });
    let id = newcomer.unwrap_or(id);
    let flow = own.flows[id].clone();
    let is_from_client = matches!(side, Side::Client(_));
    if !is_believed || is_from_client && flow.back.interface != here.from {
        return Err(Reason::WrongOrigin.into());
    }
    check_port::<H>(&quoted, side, &flow, here)?;
    check_size(ip, false, side, &flow, here)?;
    let to_client = !matches!(side, Side::Client(_));
    let refused =
        to_client && quoted.trouble == Some(Trouble::NoPort) && is_by_server_of(&flow, ip, here);
    if refused && own.is_spared(id, here) {
        return Ok(Verdict::Absorb);
    }
    if flow.answers_seen() {
        let faces = faces_of(&flow, &quoted, here, own);
        let crossing = translate(ip, quoted, side, &faces, here)?;
        own.crossings.extend(crossing.map(|crossing| (place, crossing)));
        icmp::make_checksum(ip, body);
    }
    if refused {
        own.refused(id, here);
    }
    transmit(ethernet, ip.total_len(), side, &flow, here, &own.counters)
}

const NO_TRANSFER: Verdict = Verdict::Drop(Reason::NoTransfer);

/// An error about something else than what we pass on.
fn about_nothing<H: Family>(ip: &H, here: &Here) -> Verdict {
    match H::owner(ip.destination(), here.tables) {
        Some(Owner::Down) => Reason::VipDown.into(),
        Some(Owner::Vip(_) | Owner::Snat(_)) => Reason::NoService.into(),
        Some(Owner::Everybody | Owner::Routed(_) | Owner::Answering(_)) | None => Verdict::Kernel,
    }
}

/// Which transfer or connection it is about, and who tells: the one who could not be reached, or somebody on the way.
fn about<H: Family>(ip: &H, quoted: &Quoted<H>, here: &Here, own: &Own) -> Step<(Side, Key)> {
    let Quoted { ip: inner, .. } = quoted;
    // Whoever sent the packet hears of it.
    if inner.source() != ip.destination() {
        return Err(about_nothing(ip, here));
    }
    let host = |address| H::name(address, &own.hosts);
    let to = Endpoint { host: host(inner.destination()), port: quoted.destination() };
    let from = Endpoint { host: host(inner.source()), port: quoted.source() };
    let server = || server_at::<H>(inner.destination(), here);
    match H::owner(ip.destination(), here.tables) {
        Some(Owner::Down) => Err(Reason::VipDown.into()),
        Some(Owner::Vip(vip)) => {
            check_source(ip, here)?;
            mine(H::worker(inner.destination(), here.workers), here)?;
            Ok((Side::Client(vip), Key::new(to, vip)))
        }
        Some(Owner::Snat(id)) => {
            check_source(ip, here)?;
            let server = server().ok_or(NO_TRANSFER)?;
            my_port(id, quoted.protocol, from.port, here)?;
            Ok((Side::Server, Key::new(from, server)))
        }
        Some(Owner::Everybody | Owner::Routed(_) | Owner::Answering(_)) | None => {
            let server = match server() {
                Some(server) => server,
                None if !here.tables.has_rules => return Err(Verdict::Kernel),
                // A rule may be for it.
                None => ServerId::MAX,
            };
            mine(H::worker(inner.source(), here.workers), here)?;
            Ok((Side::ServerToClient, Key::new(from, server)))
        }
    }
}

/// Nobody who does not see the transfer's packets knows its ports. A client gets nothing before the TID is known,
/// unless we don't see its answers.
fn check_port<H: Family>(quoted: &Quoted<H>, side: Side, flow: &Flow, here: &Here) -> Step<()> {
    let known = match side {
        Side::Client(_) => match flow.client_tid() {
            Some(tid) => quoted.source() == tid,
            None => !flow.answers_seen(),
        },
        Side::Server | Side::ServerToClient => {
            let asked = || here.tables.service_of(flow.backend).port;
            quoted.destination() == flow.tid().unwrap_or_else(asked)
        }
    };
    if known { Ok(()) } else { Err(NO_TRANSFER) }
}

/// The ends of a transfer or connection, as both sides see them.
struct Faces {
    client: SocketAddr,
    vip: SocketAddr,
    seen_as: SocketAddr,
    server: SocketAddr,
    /// Whether the server does not see who its clients are.
    are_hidden: bool,
}

/// Those of a transfer. A port that is not known yet is the one that is quoted.
fn faces_of<H>(flow: &Flow, quoted: &Quoted<H>, here: &Here, own: &Own) -> Faces {
    let backend = here.backend(flow.backend);
    let vip = here.tables.vips[usize::from(flow.vip())].address;
    Faces {
        client: own.hosts.socket_address(flow.client()),
        vip: SocketAddr::new(vip, flow.client_tid().unwrap_or(quoted.destination())),
        seen_as: own.hosts.socket_address(flow.seen_as()),
        server: SocketAddr::new(
            *backend.address(flow.alias),
            flow.tid().unwrap_or(quoted.source()),
        ),
        are_hidden: matches!(here.tables.service_of(flow.backend).mode, Mode::Snat(_)),
    }
}

/// Rewrites the error and the packet that it quotes; or answers how it is to cross, if it is for the other
/// version of IP.
fn translate<H: Family>(
    ip: &mut H,
    mut quoted: Quoted<H>,
    side: Side,
    faces: &Faces,
    here: &Here,
) -> Step<Option<Crossing>> {
    let Faces { client, vip, seen_as, server, are_hidden } = *faces;
    let is_ours = |end: SocketAddr| H::of(&end.ip());
    let [Some(client_at), Some(vip_at), Some(seen_at), Some(server_at)] =
        [client, vip, seen_as, server].map(is_ours)
    else {
        return across(ip, side, faces).map(Some);
    };
    let (source, destination) = match side {
        Side::Client(_) => {
            let addresses = quoted.ip.set_addresses(server_at, seen_at);
            quoted.set_ports(server.port(), seen_as.port(), addresses);
            (if are_hidden { seen_at } else { ip.source() }, server_at)
        }
        Side::Server | Side::ServerToClient => {
            let addresses = quoted.ip.set_addresses(client_at, vip_at);
            quoted.set_ports(client.port(), vip.port(), addresses);
            let is_by_server = server_of(ip, here).is_some() || ip.source() == server_at;
            (if is_by_server { vip_at } else { ip.source() }, client_at)
        }
    };
    // Its own checksum is made anew, since all that it quotes is covered.
    let _ = ip.forward(source, destination).ok_or(Reason::TtlExpired)?;
    Ok(None)
}

/// How an error crosses to the other version of IP: whoever tells it there has an address of ours.
fn across<H: Family>(ip: &H, side: Side, faces: &Faces) -> Step<Crossing> {
    if ip.hops() <= 1 {
        return Err(Reason::TtlExpired.into());
    }
    let (source, destination) = match side {
        Side::Client(_) => (faces.seen_as, faces.server),
        Side::Server | Side::ServerToClient => (faces.vip, faces.client),
    };
    Ok(Crossing { source, destination, id: None })
}

/// Whether an error about what went to a server comes from its link; and from the server's station if the server tells.
fn is_believed<H: Family>(ethernet: &Ethernet, ip: &H, side: Side, key: Key, here: &Here) -> bool {
    let server = match side {
        Side::Client(_) => return true,
        Side::Server | Side::ServerToClient => here.tables.servers.get(usize::from(key.other())),
    };
    let is_on_link = server.is_none_or(|server| server.is_on(here.from));
    let is_at = |server| here.tables.is_server_at(server, Origin::of(ethernet, here.from));
    is_on_link && server_of(ip, here).is_none_or(is_at)
}

/// Whether a transfer's own server tells.
fn is_by_server_of<H: Family>(flow: &Flow, ip: &H, here: &Here) -> bool {
    server_of(ip, here) == Some(here.backend(flow.backend).server)
}

/// The server that tells, if one does.
fn server_of<H: Family>(ip: &H, here: &Here) -> Option<ServerId> {
    server_at::<H>(ip.source(), here)
}

fn server_at<H: Family>(address: H::Address, here: &Here) -> Option<ServerId> {
    match H::owner(address, here.tables)? {
        Owner::Routed(server) | Owner::Answering(server) => Some(server),
        Owner::Vip(_) | Owner::Down | Owner::Everybody | Owner::Snat(_) => None,
    }
}
