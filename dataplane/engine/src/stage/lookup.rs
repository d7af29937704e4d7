//! Which transfer is it part of?

use super::admit::Datagram;
use super::classify::{Parcel, Side};
use crate::flow::FlowId;
use crate::flow::key::Key;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::verdict::{Step, Verdict};
use std::net::SocketAddrV4;
use wire::tftp::Message;

/// Finds the packet's transfer. Without one, only a packet to a service's port may go on: it can
/// be a request.
pub fn lookup(parcel: &Parcel, here: &Here, own: &Own) -> Step<Option<FlowId>> {
    let hash = own.flows.hash(parcel.key);
    match parcel.side {
        Side::Client(vip) => {
            let flow = own.flows.find_by_client(parcel.key, hash);
            let port = parcel.packet.udp.destination();
            if flow.is_none() && here.tables.service(vip, port).is_none() {
                return Err(Reason::NoService.into());
            }
            Ok(flow)
        }
        Side::Server => {
            let flow = own.flows.find_by_server(parcel.key, hash);
            flow.map(Some).ok_or(Reason::NoTransfer.into())
        }
        Side::ServerToClient => match own.flows.find_by_server(parcel.key, hash) {
            Some(flow) => Ok(Some(flow)),
            None => Err(not_by_this_server(parcel, here, own)),
        },
    }
}

/// A server's packet for a client that has no transfer with it is the kernel's to route; unless the
/// client's endpoint now has one with another server. Then this one was given up, and must not
/// reach the client by its own address either.
fn not_by_this_server(parcel: &Parcel, here: &Here, own: &Own) -> Verdict {
    let Datagram { ip, udp, data, .. } = &parcel.packet;
    let client = SocketAddrV4::new(ip.destination(), udp.destination());
    let is_elsewhere = (0..).zip(&here.tables.vips).any(|(vip, _)| {
        let key = Key::client_side(client, vip);
        let flow = own.flows.find_by_client(key, own.flows.hash(key));
        // Only where servers answer through us, to the client's own address.
        flow.is_some_and(|flow| {
            own.flows[flow].server_key().is_some() && own.flows[flow].seen_as() == client
        })
    });
    if is_elsewhere && Message::parse(data).is_ok() {
        Reason::StrayTid.into()
    } else {
        Verdict::Kernel
    }
}
