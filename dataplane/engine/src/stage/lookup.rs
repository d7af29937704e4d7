//! Which transfer is each packet part of?

use super::admit::Datagram;
use super::classify::{Parcel, Side};
use crate::flow::key::{Key, KeyKind};
use crate::flow::table::Age;
use crate::flow::{FlowId, NO_FLOW};
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::verdict::{Step, Verdict};
use std::net::SocketAddrV4;
use wire::tftp::Message;

/// Finds the packets' transfers. Each step goes over the whole burst, so that the memory that many
/// packets wait for comes all at once. Answers the age of the table that they were looked up in.
#[inline]
pub fn lookup(burst: &mut [Parcel], own: &Own) -> Age {
    let flows = &own.flows;
    for parcel in &mut *burst {
        parcel.flow = flows.guess(parcel.side.key_kind(), parcel.key);
    }
    for parcel in burst {
        let kind = parcel.side.key_kind();
        if !flows.is(parcel.flow, kind, parcel.key) && parcel.flow != NO_FLOW {
            parcel.flow = flows.find(kind, parcel.key).unwrap_or(NO_FLOW);
        }
    }
    flows.age()
}

/// The packet's transfer. Without one, only a packet to a service's port may go on: it can be a
/// request.
#[inline]
pub fn found(parcel: &Parcel, looked_at: Age, here: &Here, own: &Own) -> Step<Option<FlowId>> {
    if parcel.flow != NO_FLOW && own.flows.age() == looked_at {
        return Ok(Some(parcel.flow));
    }
    again(parcel, looked_at, here, own)
}

/// The packets before may have made the transfer, or have ended it.
#[inline(never)]
fn again(parcel: &Parcel, looked_at: Age, here: &Here, own: &Own) -> Step<Option<FlowId>> {
    let flow = if own.flows.age() == looked_at {
        None
    } else {
        own.flows.find(parcel.side.key_kind(), parcel.key)
    };
    match parcel.side {
        _ if flow.is_some() => Ok(flow),
        Side::Client(vip) => {
            let service = here.tables.service(vip, parcel.packet.udp.destination());
            service.map(|_| None).ok_or(Reason::NoService.into())
        }
        Side::Server => Err(Reason::NoTransfer.into()),
        Side::ServerToClient => Err(not_by_this_server(parcel, here, own)),
    }
}

/// A server's packet for a client that has no transfer with it is the kernel's to route; unless the
/// client's endpoint now has one with another server. Then this one was given up, and must not
/// reach the client by its own address either.
fn not_by_this_server(parcel: &Parcel, here: &Here, own: &Own) -> Verdict {
    let Datagram { ip, udp, data, .. } = &parcel.packet;
    let client = SocketAddrV4::new(ip.destination(), udp.destination());
    let is_elsewhere = (0..).zip(&here.tables.vips).any(|(vip, _)| {
        let flow = own.flows.find(KeyKind::Client, Key::new(client, vip));
        // Only where servers answer through us, to the client's own address.
        flow.is_some_and(|flow| {
            own.flows[flow].answers_seen() && own.flows[flow].seen_as() == client
        })
    });
    if is_elsewhere && Message::parse(data).is_ok() {
        Reason::StrayTid.into()
    } else {
        Verdict::Kernel
    }
}
