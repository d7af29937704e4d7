//! Whose packet is it: a client's, a server's, or the kernel's? And which worker owns it?

use super::admit::{Datagram, Packet, is_host};
use super::answer;
use crate::flow::key::{Key, KeyKind};
use crate::flow::table::Table;
use crate::flow::{FlowId, NO_FLOW, Spot, ports};
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
    /// Where its transfer is looked for.
    pub spot: Spot,
    /// Its place in the burst.
    pub place: usize,
    /// Perhaps its transfer, or [`NO_FLOW`].
    pub guess: FlowId,
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

/// Sorts a datagram out.
#[inline]
pub fn classify<'a>(
    packet: Datagram<'a>,
    place: usize,
    here: &Here,
    flows: &Table,
) -> Step<Parcel<'a>> {
    let (side, key) = match here.tables.addresses.get(packet.ip.destination()) {
        Some(Owner::Vip(vip)) => to_vip(&packet, vip, here),
        Some(Owner::Snat(_)) => to_snat(&packet, here),
        owner => to_others(&packet, owner, here),
    }?;
    let spot = flows.expect(side.key_kind(), key);
    Ok(Parcel { packet, side, key, spot, place, guess: NO_FLOW })
}

#[inline]
fn to_vip(packet: &Datagram, vip: VipId, here: &Here) -> Step<(Side, Key)> {
    let client = SocketAddrV4::new(packet.ip.source(), packet.udp.source());
    mine(steer::owner(*client.ip(), here.workers), here)?;
    Ok((Side::Client(vip), Key::new(client, vip)))
}

#[inline]
fn to_snat(packet: &Datagram, here: &Here) -> Step<(Side, Key)> {
    let server = match check_source(packet.ip, here)? {
        Some(Owner::Routed(server) | Owner::Answering(server)) => server,
        Some(_) | None => return Err(Reason::NoTransfer.into()),
    };
    mine(ports::owner(packet.udp.destination(), here.workers), here)?;
    Ok((Side::Server, server_key(packet, server)))
}

/// Servers that route through us send other things too: lookup will tell.
#[inline]
fn to_others(packet: &Datagram, owner: Option<Owner>, here: &Here) -> Step<(Side, Key)> {
    if owner == Some(Owner::Down) {
        return Err(Reason::VipDown.into());
    }
    match here.tables.addresses.get(packet.ip.source()) {
        Some(Owner::Routed(server)) => {
            mine(steer::owner(packet.ip.destination(), here.workers), here)?;
            Ok((Side::ServerToClient, server_key(packet, server)))
        }
        Some(owner) if owner.is_ours() => Err(Reason::BadSource.into()),
        Some(_) | None => Err(Verdict::Kernel),
    }
}

#[inline]
fn server_key(packet: &Datagram, server: BackendId) -> Key {
    Key::new(SocketAddrV4::new(packet.ip.destination(), packet.udp.destination()), server)
}

/// What is no datagram: at a VIP or a SNAT address a ping is answered and all else dropped; the rest is
/// the kernel's to forward, and so is a server's fragment, which does not show whose it is.
pub fn classify_other(packet: Packet, here: &Here) -> Verdict {
    let addresses = &here.tables.addresses;
    let step = match (addresses.get(packet.ip.destination()), addresses.get(packet.ip.source())) {
        (Some(Owner::Down), _) => Err(Reason::VipDown.into()),
        (Some(Owner::Vip(_) | Owner::Snat(_)), _) => check_source(packet.ip, here),
        (_, Some(Owner::Routed(_))) if is_bad_udp(packet.ip) => Err(Reason::BadUdp.into()),
        (_, Some(owner)) if owner.is_ours() => Err(Reason::BadSource.into()),
        (_, Some(_) | None) => Err(Verdict::Kernel),
    };
    match step {
        Err(verdict) => verdict,
        Ok(_) if packet.ip.is_fragment() => Reason::Fragment.into(),
        Ok(_) if is_bad_udp(packet.ip) => Reason::BadUdp.into(),
        Ok(_) if packet.ip.protocol == PROTOCOL_ICMP => answer::echo(packet, here.mac),
        Ok(_) => Reason::NoService.into(),
    }
}

/// Had it been sound, it would be a datagram.
fn is_bad_udp(ip: &Ipv4) -> bool {
    ip.protocol == PROTOCOL_UDP && !ip.is_fragment()
}

/// Whose the source is. Nobody has one of our addresses but we.
#[inline]
pub fn check_source(ip: &Ipv4, here: &Here) -> Step<Option<Owner>> {
    let from = here.tables.addresses.get(ip.source());
    let ours = from.is_some_and(Owner::is_ours);
    if is_host(ip.source()) && !ours { Ok(from) } else { Err(Reason::BadSource.into()) }
}

#[inline]
fn mine(owner: u16, here: &Here) -> Step<()> {
    if owner == here.worker { Ok(()) } else { Err(Verdict::HandOver(owner)) }
}
