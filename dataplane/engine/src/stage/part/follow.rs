//! Another part goes where the first one went. The checksum of UDP is in that one.

use crate::family::Family;
use crate::flow::connection::Connection;
use crate::flow::hosts::Hosts;
use crate::flow::record::Flow;
use crate::fragments::{Lead, Of};
use crate::frame::Frame;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::classify::Side;
use crate::stage::connection::translate;
use crate::stage::cross::Crossing;
use crate::stage::translate::NO_REQUEST;
use crate::stage::transmit::{self, room_to, send};
use crate::tables::{BackendId, Hop};
use crate::verdict::{Step, Verdict};
use std::net::IpAddr;
use wire::ethernet::Ethernet;
use wire::ip::Split;
use zerocopy::FromBytes;

/// Decides what becomes of a part that comes after the first one.
pub fn follow<H: Family>(
    frame: &mut impl Frame,
    place: usize,
    lead: &Lead,
    here: &Here,
    own: &mut Own,
) -> Step<Verdict> {
    let (ethernet, rest) =
        Ethernet::mut_from_prefix(frame.bytes_mut()).map_err(|_| Reason::Truncated)?;
    let Split { ip, .. } = H::split(rest).map_err(|_| H::BAD)?;
    let len = ip.total_len();
    let Course { hop, receiver, backend, ends } = course(lead, len, here, own)?;
    if len - size_of::<H>() > usize::from(room_to::<H>(true, &hop, receiver, here)) {
        return Err(Reason::TooBig.into());
    }
    if let Some(ends) = ends {
        let crossing = readdress(ip, Crossing { id: lead.id, ..ends })?;
        own.crossings.extend(crossing.map(|crossing| (place, crossing)));
    }
    if let Some(id) = lead.id {
        ip.renumber(id);
    }
    own.counters.pass(backend, matches!(lead.side, Side::Client(_)), len);
    Ok(send(ethernet, &hop, here))
}

/// Where the parts of a datagram go.
struct Course {
    hop: Hop,
    /// An address of the version that the receiver has.
    receiver: IpAddr,
    backend: BackendId,
    /// What the receiver is to see; `None`: what is there.
    ends: Option<Crossing>,
}

/// Takes a part of so many bytes into account; answers where it goes.
fn course(lead: &Lead, len: usize, here: &Here, own: &mut Own) -> Step<Course> {
    let Own { flows, connections, hosts, .. } = own;
    match lead.of {
        Of::Transfer(id, key) => {
            let flow = flows.confirm(id, lead.side.key_kind(), key).ok_or(Reason::NoTransfer)?;
            // The first part was taken in.
            if flow.is_in_need() {
                return Err(Verdict::Absorb);
            }
            flow.last_packet = here.now;
            of_transfer(flow, lead.side, here, hosts)
        }
        Of::Connection(id, tuple) => {
            let connection = connections.confirm(id, &tuple).ok_or(Reason::NoTransfer)?;
            connection.last_packet = here.now;
            let from = usize::from(!matches!(lead.side, Side::Client(_)));
            connection.count(from, len as u32);
            of_connection(connection, lead.side, here, hosts)
        }
    }
}

fn of_transfer(flow: &Flow, side: Side, here: &Here, hosts: &Hosts) -> Step<Course> {
    let (&hop, receiver) = transmit::way(side, flow, here)?;
    let ends = || Crossing::of(side, 0, NO_REQUEST, flow, here, hosts);
    let ends = flow.answers_seen().then(ends);
    Ok(Course { hop, receiver, backend: flow.backend, ends })
}

fn of_connection(connection: &Connection, side: Side, here: &Here, hosts: &Hosts) -> Step<Course> {
    let (hop, receiver) = translate::way(side, connection, here).ok_or(Reason::BackendDown)?;
    let ends = || translate::crossing(side, connection, here, hosts);
    let ends = connection.answers_seen().then(ends);
    Ok(Course { hop, receiver, backend: connection.backend, ends })
}

/// Rewrites the addresses and takes a hop off; or answers how the part is to cross, if it is for the other version of
/// IP.
fn readdress<H: Family>(ip: &mut H, ends: Crossing) -> Step<Option<Crossing>> {
    match (H::of(&ends.source.ip()), H::of(&ends.destination.ip())) {
        (Some(source), Some(destination)) => {
            let _ = ip.forward(source, destination).ok_or(Reason::TtlExpired)?;
            Ok(None)
        }
        _ if ip.hops() <= 1 => Err(Reason::TtlExpired.into()),
        _ => Ok(Some(ends)),
    }
}
