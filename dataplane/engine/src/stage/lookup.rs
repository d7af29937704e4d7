//! Which transfer is each packet part of?

use super::admit::Datagram;
use super::classify::{Parcel, Side, check_source};
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::hosts::Endpoint;
use crate::flow::key::{Key, KeyKind};
use crate::flow::table::Table;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::tables::Owner;
use crate::verdict::{Step, Verdict};
use wire::ip::PROTOCOL_UDP;
use wire::tftp::Message;

/// Has the memory of all packets' transfers come at once: waiting for one after the other is what takes
/// the time.
#[inline]
pub fn guess<H>(burst: &mut [Parcel<H>], flows: &Table) {
    for parcel in burst {
        parcel.guess = flows.guess(parcel.spot);
    }
}

/// The packet's transfer, which the packets before may have made or ended. Without one, only a
/// client's packet to a service's port may go on: it can be a request.
pub fn lookup<H: Family>(parcel: &Parcel<H>, here: &Here, own: &Own) -> Step<Option<FlowId>> {
    let udp = &parcel.packet.udp;
    // Port 0 is nobody's.
    if udp.source() == 0 || udp.destination() == 0 {
        return Err(Reason::BadUdp.into());
    }
    let flow = own.flows.find(parcel.side.key_kind(), parcel.key);
    match parcel.side {
        _ if flow.is_some() => Ok(flow),
        Side::Client(vip) => {
            let Datagram { ip, udp, .. } = &parcel.packet;
            let service = here.tables.service(vip, PROTOCOL_UDP, udp.destination());
            // What else is said to everybody is for the kernel too.
            let to_all = H::owner(ip.destination(), here.tables) == Some(Owner::Everybody);
            if to_all && service.is_none() {
                return Err(Verdict::Kernel);
            }
            check_source(&**ip, here)?;
            service.map(|_| None).ok_or(Reason::NoService.into())
        }
        Side::Server => Err(Reason::NoTransfer.into()),
        Side::ServerToClient => Err(not_by_this_server(parcel, here, own)),
    }
}

/// A server's packet for a client that has no transfer with it is the kernel's to route; unless the
/// client's endpoint now has one with another server. Then this one was given up, and must not
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
    if is_elsewhere && Message::parse(data).is_ok() {
        Reason::StrayTid.into()
    } else {
        Verdict::Kernel
    }
}
