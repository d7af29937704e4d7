//! What the other side is to see: where answers come through us, one side's view of the transfer is
//! rewritten into the other's. In `dsr` the packet stays as it is, TTL included.

use super::classify::{Parcel, Side};
use crate::family::Family;
use crate::flow::hosts::Hosts;
use crate::flow::record::Flow;
use crate::here::Here;
use Untranslated::{Expired, OtherVersion};
use std::net::IpAddr;
use wire::ip::Ip;
use wire::tftp::Message;

/// Why a packet stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untranslated {
    /// The other side is of the other version of IP: see [`super::cross`].
    OtherVersion,
    /// No hop is left to go.
    Expired,
}

/// Rewrites addresses, ports and checksums, and takes a hop off, as a router does; or changes nothing.
#[inline(always)]
pub fn translate<H: Family>(
    parcel: &mut Parcel<H>,
    message: Message,
    flow: &Flow,
    here: &Here,
    hosts: &Hosts,
) -> Result<(), Untranslated> {
    if !flow.answers_seen() {
        return Ok(());
    }
    let packet = &mut parcel.packet;
    let from = packet.udp.source();
    let (source, destination, ports) = ends::<H>(parcel.side, from, message, flow, here, hosts)?;
    let addresses = packet.ip.forward(source, destination).ok_or(Expired)?;
    packet.udp.set_ports(ports.0, ports.1, addresses);
    Ok(())
}

/// What is not a request goes to the TID, whatever it is.
pub const NO_REQUEST: Message = Message::Ack { block: 0 };

/// Sender, receiver, and the ports of both.
pub type Ends<H> = (<H as Ip>::Address, <H as Ip>::Address, (u16, u16));

/// Sender and receiver as the other side is to see them, and their ports. A server and what it sees as the
/// client are of one version of IP, and so are a client and its VIP.
#[inline(always)]
pub fn ends<H: Family>(
    side: Side,
    from: u16,
    message: Message,
    flow: &Flow,
    here: &Here,
    hosts: &Hosts,
) -> Result<Ends<H>, Untranslated> {
    match side {
        Side::Client(_) => {
            let (address, port) = server(message, flow, here);
            let address = H::of(address).ok_or(OtherVersion)?;
            let seen_as = flow.seen_as();
            Ok((H::named(seen_as.host, hosts), address, (seen_as.port, port)))
        }
        Side::Server | Side::ServerToClient => {
            let vip = &here.tables.vips[usize::from(flow.vip())].address;
            let vip = H::of(vip).ok_or(OtherVersion)?;
            let client = flow.client();
            let from = flow.client_tid().unwrap_or(from);
            Ok((vip, H::named(client.host, hosts), (from, client.port)))
        }
    }
}

/// A request goes where requests go, all else to where the server answers from, whatever port it was
/// sent to.
#[inline(always)]
pub fn server<'a>(message: Message, flow: &Flow, here: &'a Here) -> (&'a IpAddr, u16) {
    let backend = &here.tables.backends[usize::from(flow.backend)];
    match (message, flow.tid()) {
        (Message::Request(_), _) | (_, None) => {
            (&backend.address, here.tables.service_of(flow.backend).port)
        }
        (_, Some(tid)) => (backend.address(flow.alias), tid),
    }
}
