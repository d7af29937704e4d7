//! What the other side is to see: where answers come through us, one side's view of the transfer is
//! rewritten into the other's. In `dsr` the packet stays as it is, TTL included.

use super::classify::{Parcel, Side};
use crate::flow::record::Flow;
use crate::here::Here;
use crate::reason::Reason;
use crate::verdict::Step;
use std::net::SocketAddrV4;
use wire::tftp::Message;

/// Rewrites addresses, ports and checksums, and takes a hop off, as a router does.
#[inline]
pub fn translate(parcel: &mut Parcel, message: Message, flow: &Flow, here: &Here) -> Step<()> {
    if !flow.answers_seen() {
        return Ok(());
    }
    let (source, destination) = match parcel.side {
        Side::Client(_) => (flow.seen_as(), server(message, flow, here)),
        Side::Server | Side::ServerToClient => {
            let vip = here.tables.vips[usize::from(flow.vip())].address;
            (SocketAddrV4::new(vip, parcel.packet.udp.source()), flow.client())
        }
    };
    let packet = &mut parcel.packet;
    let addresses = packet.ip.forward(*source.ip(), *destination.ip()).ok_or(Reason::TtlExpired)?;
    packet.udp.set_ports(source.port(), destination.port(), addresses);
    Ok(())
}

/// A request goes where requests go, all else to where the server answers from, whatever port it was
/// sent to.
#[inline]
fn server(message: Message, flow: &Flow, here: &Here) -> SocketAddrV4 {
    let backend = &here.tables.backends[usize::from(flow.backend)];
    match (message, flow.tid()) {
        (Message::Request(_), _) | (_, None) => {
            SocketAddrV4::new(backend.address, here.tables.service_of(flow.backend).port)
        }
        (_, Some(tid)) => SocketAddrV4::new(backend.address(flow.alias), tid),
    }
}
