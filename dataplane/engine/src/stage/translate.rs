//! What the other side is to see: where answers come through us, one side's view of the transfer is
//! rewritten into the other's. In `dsr` the packet stays as it is, TTL included.

use super::classify::{Parcel, Side};
use crate::family::Family;
use crate::flow::hosts::Hosts;
use crate::flow::record::Flow;
use crate::here::Here;
use crate::reason::Reason;
use crate::verdict::Step;
use std::net::IpAddr;
use wire::tftp::Message;

/// Rewrites addresses, ports and checksums, and takes a hop off, as a router does.
#[inline(always)]
pub fn translate<H: Family>(
    parcel: &mut Parcel<H>,
    message: Message,
    flow: &Flow,
    here: &Here,
    hosts: &Hosts,
) -> Step<()> {
    if !flow.answers_seen() {
        return Ok(());
    }
    let packet = &mut parcel.packet;
    let (source, destination, ports) = match parcel.side {
        Side::Client(_) => {
            let seen_as = flow.seen_as();
            let (address, port) = server(message, flow, here);
            let seen_at = H::named(seen_as.host, hosts).ok_or(Reason::NoBackend)?;
            (seen_at, H::of(address).ok_or(Reason::NoBackend)?, (seen_as.port, port))
        }
        Side::Server | Side::ServerToClient => {
            let vip = &here.tables.vips[usize::from(flow.vip())].address;
            let client = flow.client();
            let vip = H::of(vip).ok_or(Reason::NoBackend)?;
            let address = H::named(client.host, hosts).ok_or(Reason::NoBackend)?;
            (vip, address, (packet.udp.source(), client.port))
        }
    };
    let addresses = packet.ip.forward(source, destination).ok_or(Reason::TtlExpired)?;
    packet.udp.set_ports(ports.0, ports.1, addresses);
    Ok(())
}

/// A request goes where requests go, all else to where the server answers from, whatever port it was
/// sent to.
#[inline]
fn server<'a>(message: Message, flow: &Flow, here: &'a Here) -> (&'a IpAddr, u16) {
    let backend = &here.tables.backends[usize::from(flow.backend)];
    match (message, flow.tid()) {
        (Message::Request(_), _) | (_, None) => {
            (&backend.address, here.tables.service_of(flow.backend).port)
        }
        (_, Some(tid)) => (backend.address(flow.alias), tid),
    }
}
