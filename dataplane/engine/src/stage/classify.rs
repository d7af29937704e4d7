//! Whose packet is it: a client's, a server's, or the kernel's? And which worker owns it?

use super::admit::{Datagram, Packet, is_host};
use super::answer;
use crate::flow::key::{Key, KeyKind};
use crate::flow::{FlowId, NO_FLOW, ports};

use crate::here::Here;
use crate::reason::Reason;
use crate::steer;
use crate::tables::{BackendId, Owner, VipId};
use crate::verdict::{Step, Verdict};
use std::net::SocketAddrV4;
use wire::ipv4::{PROTOCOL_ICMP, PROTOCOL_UDP};

/// A datagram that may be part of a transfer of this worker's.
pub struct Parcel<'a> {
    /// The datagram.
    pub packet: Datagram<'a>,
    /// Who sent it.
    pub side: Side,
    /// What its transfer is found by.
    pub key: Key,
    /// Its place in the burst.
    pub place: usize,
    /// Its transfer, or [`NO_FLOW`], once it has been looked for.
    pub flow: FlowId,
}

/// Who sent a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A client, to this VIP.
    Client(VipId),
    /// A server, to an address of ours.
    Server,
    /// A server, to somebody behind us: perhaps a client.
    ServerToClient,
}

impl Side {
    /// Whether a client sent it.
    #[inline]
    pub fn is_client(self) -> bool {
        matches!(self, Side::Client(_))
    }

    /// What the packet's key is of.
    #[inline]
    pub fn key_kind(self) -> KeyKind {
        match self {
            Side::Client(_) => KeyKind::Client,
            Side::Server | Side::ServerToClient => KeyKind::Server,
        }
    }
}

/// Sorts a packet out.
#[inline]
pub fn classify<'a>(packet: Packet<'a>, here: &Here) -> Step<Parcel<'a>> {
    let addresses = &here.tables.addresses;
    let from = addresses.get(packet.ip.source());
    match (addresses.get(packet.ip.destination()), from) {
        (Some(Owner::Vip(vip)), _) => from_client(packet, vip, from, here),
        (Some(Owner::Snat(_)), _) => from_server(packet, from, here),
        (_, Some(Owner::Routed(server))) => from_server_to_client(packet, server, here),
        (_, Some(Owner::Vip(_) | Owner::Snat(_))) => Err(Reason::BadSource.into()),
        (_, Some(Owner::Answering(_)) | None) => Err(Verdict::Kernel),
    }
}

#[inline]
fn from_client<'a>(
    packet: Packet<'a>,
    vip: VipId,
    from: Option<Owner>,
    here: &Here,
) -> Step<Parcel<'a>> {
    if !here.tables.vips[usize::from(vip)].live {
        return Err(Reason::VipDown.into());
    }
    let packet = own_datagram(packet, from, here)?;
    let client = SocketAddrV4::new(packet.ip.source(), packet.udp.source());
    mine(steer::owner(*client.ip(), here.workers), here)?;
    Ok(Parcel {
        packet,
        side: Side::Client(vip),
        key: Key::new(client, vip),
        flow: NO_FLOW,
        place: 0,
    })
}

#[inline]
fn from_server<'a>(packet: Packet<'a>, from: Option<Owner>, here: &Here) -> Step<Parcel<'a>> {
    let packet = own_datagram(packet, from, here)?;
    let Some(Owner::Routed(server) | Owner::Answering(server)) = from else {
        return Err(Reason::NoTransfer.into());
    };
    mine(ports::owner(packet.udp.destination(), here.workers), here)?;
    Ok(by_server(packet, Side::Server, server))
}

/// Servers that route through us send other things too: those are the kernel's to forward, and so
/// is a fragment, which does not show whose it is.
#[inline]
fn from_server_to_client<'a>(
    packet: Packet<'a>,
    server: BackendId,
    here: &Here,
) -> Step<Parcel<'a>> {
    if packet.ip.protocol != PROTOCOL_UDP || packet.ip.is_fragment() {
        return Err(Verdict::Kernel);
    }
    let packet = packet.datagram()?;
    mine(steer::owner(packet.ip.destination(), here.workers), here)?;
    Ok(by_server(packet, Side::ServerToClient, server))
}

#[inline]
fn by_server(packet: Datagram<'_>, side: Side, server: BackendId) -> Parcel<'_> {
    let seen_as = SocketAddrV4::new(packet.ip.destination(), packet.udp.destination());
    Parcel { packet, side, key: Key::new(seen_as, server), flow: NO_FLOW, place: 0 }
}

/// A datagram to an address that is a VIP or in a SNAT pool: there is nothing else for it to be,
/// save a ping.
#[inline]
fn own_datagram<'a>(packet: Packet<'a>, from: Option<Owner>, here: &Here) -> Step<Datagram<'a>> {
    if !is_host(packet.ip.source()) || matches!(from, Some(Owner::Vip(_) | Owner::Snat(_))) {
        return Err(Reason::BadSource.into());
    }
    if packet.ip.is_fragment() {
        return Err(Reason::Fragment.into());
    }
    match packet.ip.protocol {
        PROTOCOL_UDP => packet.datagram(),
        PROTOCOL_ICMP => Err(answer::echo(packet, here.mac())),
        _ => Err(Reason::NoService.into()),
    }
}

#[inline]
fn mine(owner: u16, here: &Here) -> Step<()> {
    if owner == here.worker { Ok(()) } else { Err(Verdict::HandOver(owner)) }
}
