//! Which transfer is each packet part of?

use super::admit::Datagram;
use super::classify::{Parcel, Side, check_source};
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::hosts::Endpoint;
use crate::flow::key::{Key, KeyKind};
use crate::flow::record::Flow;
use crate::flow::table::Table;
use crate::flow::tuple::Tuple;
use crate::here::Here;
use crate::own::Own;
use crate::own::departed::ANY_PORT;
use crate::reason::Reason;
use crate::tables::{Owner, Protocol, VipId};
use crate::tick::PER_SECOND;
use crate::verdict::{Step, Verdict};
use std::net::SocketAddr;
use wire::ip::PROTOCOL_UDP;
use wire::tftp::{self, Message};

/// Has the memory of all packets' transfers come at once: waiting for one after the other is what takes
/// the time.
#[inline(always)]
pub fn guess<H>(burst: &mut [Parcel<H>], flows: &Table) {
    for parcel in burst {
        parcel.guess = flows.guess(parcel.spot);
    }
}

/// What a datagram is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// This transfer.
    Transfer(FlowId),
    /// None yet: it can be a request.
    Nothing,
    /// Not of TFTP, but of a connection, which it may begin.
    Elsewhere,
}

/// The packet's transfer, which the packets before may have made or ended. Without one, only a
/// client's packet to a service's port may go on: it can be a request.
pub fn lookup<H: Family>(parcel: &Parcel<H>, here: &Here, own: &Own) -> Step<Found> {
    let udp = &parcel.packet.udp;
    // Port 0 is nobody's.
    if udp.source() == 0 || udp.destination() == 0 {
        return Err(Reason::BadUdp.into());
    }
    let transfer = transfer(parcel, here, own);
    match parcel.side {
        Side::Client(vip) => by_client(parcel, vip, transfer, here, own),
        Side::Server | Side::ServerToClient => by_server(parcel, transfer, here, own),
    }
}

/// The transfer that the packet is part of, as far as addresses and ports tell.
pub fn transfer<H: Family>(parcel: &Parcel<H>, here: &Here, own: &Own) -> Option<FlowId> {
    let (kind, key) = (parcel.side.key_kind(), parcel.key);
    let found = own.flows.find(kind, key)?;
    match own.flows.newcomer(found).filter(|&newcomer| own.flows[newcomer].is(kind, key)) {
        Some(newcomer) if is_for_newcomer(parcel, (found, newcomer), here, own) => Some(newcomer),
        Some(_) | None => Some(found),
    }
}

/// Whether the packet is of the transfer that waits beside an elder one: their TIDs tell.
#[cold]
fn is_for_newcomer<H: Family>(
    parcel: &Parcel<H>,
    (elder, newcomer): (FlowId, FlowId),
    here: &Here,
    own: &Own,
) -> bool {
    let before = &own.flows.detail(elder).earlier;
    let (elder, newcomer) = (&own.flows[elder], &own.flows[newcomer]);
    let Datagram { udp, data, .. } = &parcel.packet;
    let to_service = |port| port == here.tables.service_of(newcomer.backend).port;
    match parcel.side {
        Side::Client(_) => {
            let to = udp.destination();
            let may_be = match newcomer.client_tid() {
                Some(tid) => tid == to || to_service(to),
                None => !newcomer.answers_seen(),
            };
            let is_elder_s = elder.client_tid() == Some(to);
            let is_quick = is_elder_s && here.now.since(elder.last_packet) < IN_EARNEST;
            let may_be_elder = is_elder_s || to_service(to);
            may_be && (!may_be_elder || can_only_be_of(newcomer, elder, is_quick, data))
        }
        Side::Server | Side::ServerToClient => {
            let from = udp.source();
            let is_old = elder.tid().is_none_or(|tid| tid == from);
            let is_new = Message::parse(data).is_ok_and(|said| before.check(from, said).is_ok());
            let is_stale = before.reach(from).is_some() && !to_service(from) && !is_new;
            !is_old && !is_stale
        }
    }
}

/// Whether the client of the elder transfer can't say this in it any more, so that it is of the newcomer. `is_quick`: it
/// comes too soon to be said again.
fn can_only_be_of(newcomer: &Flow, elder: &Flow, is_quick: bool, data: &[u8]) -> bool {
    let fits = |flow: &Flow, block: u16| block.wrapping_sub(flow.blocks as u16) <= LARGEST_WINDOW;
    match Message::parse(data) {
        // Of one block, which may have been all.
        Ok(Message::Ack { block: 1 }) if elder.blocks == 1 && !elder.answers_seen() => is_quick,
        Ok(Message::Ack { block } | Message::Data { block, .. }) => {
            let goes_on = newcomer.progress.client_spoke() && fits(newcomer, block);
            !fits(elder, block) && (block <= 1 || goes_on)
        }
        Ok(Message::Error { code }) => code == tftp::OPTIONS_REFUSED && elder.blocks > 0,
        Ok(Message::Request(_) | Message::Oack(_)) | Err(_) => false,
    }
}

/// Ticks before which nobody says anything again because nothing was heard.
const IN_EARNEST: u32 = PER_SECOND / 2;

/// Blocks by which a client's number goes on at the most, as it is taken here: no window in use is larger.
const LARGEST_WINDOW: u16 = 1024;

fn by_client<H: Family>(
    parcel: &Parcel<H>,
    vip: VipId,
    transfer: Option<FlowId>,
    here: &Here,
    own: &Own,
) -> Step<Found> {
    let Datagram { ip, udp, .. } = &parcel.packet;
    let to = udp.destination();
    let is_its = transfer.is_some_and(|id| own.flows[id].client_tid() == Some(to));
    if let Some(id) = transfer.filter(|_| is_its || !here.tables.has_connections) {
        return Ok(Found::Transfer(id));
    }
    let near = parcel.key.endpoint();
    let tuple = Tuple::at_vip(near, vip, to, PROTOCOL_UDP);
    if here.tables.has_connections && own.connections.find(&tuple).is_some() {
        return Ok(Found::Elsewhere);
    }
    let service = here.tables.service(vip, PROTOCOL_UDP, to);
    let protocol = service.map(|id| here.tables.services[usize::from(id)].protocol);
    match (protocol, transfer) {
        (Some(Protocol::Udp), _) => Ok(Found::Elsewhere),
        (_, Some(id)) => Ok(Found::Transfer(id)),
        (Some(_), None) => {
            check_source(&**ip, here)?;
            Ok(Found::Nothing)
        }
        // What else is said to everybody is for the kernel too.
        (None, None) if H::owner(ip.destination(), here.tables) == Some(Owner::Everybody) => {
            Err(Verdict::Kernel)
        }
        (None, None) if here.tables.vips[usize::from(vip)].any.is_some() => Ok(Found::Elsewhere),
        (None, None) => {
            check_source(&**ip, here)?;
            Err(Reason::NoService.into())
        }
    }
}

fn by_server<H: Family>(
    parcel: &Parcel<H>,
    transfer: Option<FlowId>,
    here: &Here,
    own: &Own,
) -> Step<Found> {
    let from = parcel.packet.udp.source();
    let server = parcel.key.other();
    if transfer.is_some() && !here.tables.is_server_at(server, parcel.origin(here)) {
        return Err(Reason::WrongOrigin.into());
    }
    let is_its = transfer.is_some_and(|id| own.flows[id].tid() == Some(from));
    if let Some(id) = transfer.filter(|_| is_its || !here.tables.has_connections) {
        return Ok(Found::Transfer(id));
    }
    let (near, far) = (parcel.key.endpoint(), parcel.key.other());
    let tuple = Tuple::at_server(near, far, from, PROTOCOL_UDP);
    match transfer {
        _ if own.connections.find(&tuple).is_some() => Ok(Found::Elsewhere),
        Some(id) => Ok(Found::Transfer(id)),
        None if parcel.side == Side::Server => Err(Reason::NoTransfer.into()),
        None => match not_by_this_server(parcel, here, own) {
            // A rule may be for it, or a connection that was forgotten.
            Verdict::Kernel if here.tables.has_connections => Ok(Found::Elsewhere),
            why_not => Err(why_not),
        },
    }
}

/// A server's packet for a client that has no transfer with it is the kernel's to route; unless the
/// client's endpoint now has one with another server, or had one with this. Then it was given up, and must not
/// reach the client by its own address either.
fn not_by_this_server<H: Family>(parcel: &Parcel<H>, here: &Here, own: &Own) -> Verdict {
    let Datagram { ip, udp, data, .. } = &parcel.packet;
    let host = H::name(ip.destination(), &own.hosts);
    let client = Endpoint { host, port: udp.destination() };
    let is_elsewhere = (0..).zip(&here.tables.vips).any(|(vip, _)| {
        let flow = own.flows.find(KeyKind::Client, Key::new(client, vip));
        // Only where servers answer through us, to the client's own address.
        flow.is_some_and(|flow| {
            own.flows[flow].answers_seen() && own.flows[flow].seen_as() == client
        })
    });
    let is_departed = || {
        let client = SocketAddr::new(ip.destination().into(), udp.destination());
        own.departed.has(client, (parcel.key.other(), ANY_PORT), here.now)
    };
    if (is_elsewhere || is_departed()) && Message::parse(data).is_ok() {
        Reason::StrayTid.into()
    } else {
        Verdict::Kernel
    }
}
