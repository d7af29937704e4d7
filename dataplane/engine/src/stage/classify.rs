//! Whose packet is it: a client's, a server's, or the kernel's? And which worker owns it?

use super::admit::{Admitted, Datagram, Packet, is_host};
use super::answer;
use crate::flow::key::{Key, KeyKind};
use crate::flow::{FlowId, NO_FLOW, ports};

use crate::here::Here;
use crate::reason::Reason;
use crate::steer;
use crate::tables::{BackendId, Owner, VipId};
use crate::verdict::{Step, Verdict};
use std::net::SocketAddrV4;
use wire::ipv4::{Ipv4, PROTOCOL_ICMP, PROTOCOL_UDP};

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
pub fn classify<'a>(packet: Admitted<'a>, here: &Here) -> Step<Parcel<'a>> {
    match packet {
        Admitted::Datagram(packet) => datagram(packet, here),
        Admitted::Other(packet) => Err(other(packet, here)),
    }
}

#[inline]
fn datagram<'a>(packet: Datagram<'a>, here: &Here) -> Step<Parcel<'a>> {
    match here.tables.addresses.get(packet.ip.destination()) {
        Some(Owner::Vip(vip)) => to_vip(packet, vip, here),
        Some(Owner::Snat(_)) => to_snat(packet, here),
        Some(Owner::Routed(_) | Owner::Answering(_)) | None => to_others(packet, here),
    }
}

#[inline]
fn to_vip<'a>(packet: Datagram<'a>, vip: VipId, here: &Here) -> Step<Parcel<'a>> {
    check_vip(vip, here)?;
    check_source(packet.ip, here)?;
    let client = SocketAddrV4::new(packet.ip.source(), packet.udp.source());
    mine(steer::owner(*client.ip(), here.workers), here)?;
    let key = Key::new(client, vip);
    Ok(Parcel { packet, side: Side::Client(vip), key, flow: NO_FLOW, place: 0 })
}

#[inline]
fn to_snat<'a>(packet: Datagram<'a>, here: &Here) -> Step<Parcel<'a>> {
    let server = match check_source(packet.ip, here)? {
        Some(Owner::Routed(server) | Owner::Answering(server)) => server,
        Some(Owner::Vip(_) | Owner::Snat(_)) | None => return Err(Reason::NoTransfer.into()),
    };
    mine(ports::owner(packet.udp.destination(), here.workers), here)?;
    Ok(by_server(packet, Side::Server, server))
}

/// Servers that route through us send other things too: lookup will tell.
#[inline]
fn to_others<'a>(packet: Datagram<'a>, here: &Here) -> Step<Parcel<'a>> {
    match here.tables.addresses.get(packet.ip.source()) {
        Some(Owner::Routed(server)) => {
            mine(steer::owner(packet.ip.destination(), here.workers), here)?;
            Ok(by_server(packet, Side::ServerToClient, server))
        }
        Some(Owner::Vip(_) | Owner::Snat(_)) => Err(Reason::BadSource.into()),
        Some(Owner::Answering(_)) | None => Err(Verdict::Kernel),
    }
}

#[inline]
fn by_server(packet: Datagram<'_>, side: Side, server: BackendId) -> Parcel<'_> {
    let seen_as = SocketAddrV4::new(packet.ip.destination(), packet.udp.destination());
    Parcel { packet, side, key: Key::new(seen_as, server), flow: NO_FLOW, place: 0 }
}

/// What is no datagram: at a VIP or a SNAT address a ping is answered and all else dropped; the rest is
/// the kernel's to forward, and so is a server's fragment, which does not show whose it is.
#[inline(never)]
fn other(packet: Packet, here: &Here) -> Verdict {
    let addresses = &here.tables.addresses;
    let step = match (addresses.get(packet.ip.destination()), addresses.get(packet.ip.source())) {
        (Some(Owner::Vip(vip)), _) => check_vip(vip, here).and(check_source(packet.ip, here)),
        (Some(Owner::Snat(_)), _) => check_source(packet.ip, here),
        (_, Some(Owner::Routed(_))) if is_bad_udp(packet.ip) => Err(Reason::BadUdp.into()),
        (_, Some(Owner::Vip(_) | Owner::Snat(_))) => Err(Reason::BadSource.into()),
        (_, Some(Owner::Routed(_) | Owner::Answering(_)) | None) => Err(Verdict::Kernel),
    };
    match step {
        Err(verdict) => verdict,
        Ok(_) if packet.ip.is_fragment() => Reason::Fragment.into(),
        Ok(_) if is_bad_udp(packet.ip) => Reason::BadUdp.into(),
        Ok(_) if packet.ip.protocol == PROTOCOL_ICMP => answer::echo(packet, here.mac()),
        Ok(_) => Reason::NoService.into(),
    }
}

/// Had it been sound, it would be a datagram.
fn is_bad_udp(ip: &Ipv4) -> bool {
    ip.protocol == PROTOCOL_UDP && !ip.is_fragment()
}

#[inline]
fn check_vip(vip: VipId, here: &Here) -> Step<()> {
    if here.tables.vips[usize::from(vip)].live { Ok(()) } else { Err(Reason::VipDown.into()) }
}

/// Whose the source is. Nobody has one of our addresses but we.
#[inline]
fn check_source(ip: &Ipv4, here: &Here) -> Step<Option<Owner>> {
    let from = here.tables.addresses.get(ip.source());
    let ours = matches!(from, Some(Owner::Vip(_) | Owner::Snat(_)));
    if is_host(ip.source()) && !ours { Ok(from) } else { Err(Reason::BadSource.into()) }
}

#[inline]
fn mine(owner: u16, here: &Here) -> Step<()> {
    if owner == here.worker { Ok(()) } else { Err(Verdict::HandOver(owner)) }
}
