//! Whose packet is it: a client's, a server's, or the kernel's? And which worker owns it?

use super::admit::{Datagram, Packet, is_udp};
use super::answer;
use super::transmit::transmit;
use crate::count::Counters;
use crate::family::Family;
use crate::flow::hosts::{Endpoint, Hosts};
use crate::flow::key::{Key, KeyKind};
use crate::flow::record::Flow;
use crate::flow::{FlowId, NO_FLOW, Spot, ports};
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::tables::{Mode, Owner, ServerId, VipId};
use crate::verdict::{Step, Verdict};
use wire::icmp;

/// A datagram that may be part of a transfer of this worker's.
pub struct Parcel<'a, H> {
    /// The datagram.
    pub packet: Datagram<'a, H>,
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

impl<H: Family> Parcel<'_, H> {
    /// Leaves.
    #[inline(always)]
    pub fn transmit(&mut self, flow: &Flow, here: &Here, counters: &Counters) -> Step<Verdict> {
        let Datagram { ethernet, ip, .. } = &mut self.packet;
        transmit(ethernet, ip.total_len(), self.side, flow, here, counters)
    }

    /// The packets before this one in its burst may have begun and ended transfers, and so given names
    /// to hosts and taken them.
    #[inline]
    pub fn name_anew(&mut self, hosts: &Hosts) {
        if H::NAMES_CHANGE {
            let ip = &self.packet.ip;
            let address = match self.side {
                Side::Client(_) => ip.source(),
                Side::Server | Side::ServerToClient => ip.destination(),
            };
            self.key = self.key.with(H::name(address, hosts));
        }
    }
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
#[inline(always)]
pub fn classify<'a, H: Family>(
    packet: Datagram<'a, H>,
    place: usize,
    here: &Here,
    own: &Own,
) -> Step<Parcel<'a, H>> {
    let (side, key) = match H::owner(packet.ip.destination(), here.tables) {
        Some(Owner::Vip(vip)) => to_vip(&packet, vip, here, own),
        Some(Owner::Snat(_)) => to_snat(&packet, here, own),
        Some(Owner::Everybody) => to_everybody(&packet, here, own),
        owner => to_others(&packet, owner, here, own),
    }?;
    let spot = own.flows.expect(side.key_kind(), key);
    Ok(Parcel { packet, side, key, spot, place, guess: NO_FLOW })
}

#[inline(always)]
fn to_vip<H: Family>(
    packet: &Datagram<H>,
    vip: VipId,
    here: &Here,
    own: &Own,
) -> Step<(Side, Key)> {
    mine(H::worker(packet.ip.source(), here.workers), here)?;
    let host = H::name(packet.ip.source(), &own.hosts);
    let client = Endpoint { host, port: packet.udp.source() };
    Ok((Side::Client(vip), Key::new(client, vip)))
}

/// Some clients send their requests and all that follows to everybody. Lookup will tell.
#[cold]
fn to_everybody<H: Family>(packet: &Datagram<H>, here: &Here, own: &Own) -> Step<(Side, Key)> {
    let vip = here.tables.interfaces[usize::from(here.from)].broadcast;
    match vip.filter(|&vip| here.tables.is_live(vip)) {
        Some(vip) => to_vip(packet, vip, here, own),
        None => Err(Verdict::Kernel),
    }
}

#[inline(always)]
fn to_snat<H: Family>(packet: &Datagram<H>, here: &Here, own: &Own) -> Step<(Side, Key)> {
    let server = match check_source(packet.ip, here)? {
        Some(Owner::Routed(server) | Owner::Answering(server)) => server,
        Some(_) | None => return Err(Reason::NoTransfer.into()),
    };
    mine(ports::owner(packet.udp.destination(), here.workers), here)?;
    Ok((Side::Server, server_key(packet, server, own)))
}

/// Servers that route through us send other things too: lookup will tell.
#[inline(always)]
fn to_others<H: Family>(
    packet: &Datagram<H>,
    owner: Option<Owner>,
    here: &Here,
    own: &Own,
) -> Step<(Side, Key)> {
    if owner == Some(Owner::Down) {
        return Err(Reason::VipDown.into());
    }
    match H::owner(packet.ip.source(), here.tables) {
        Some(Owner::Routed(server)) => {
            mine(H::worker(packet.ip.destination(), here.workers), here)?;
            Ok((Side::ServerToClient, server_key(packet, server, own)))
        }
        Some(owner) if owner.is_ours() => Err(from_ours(packet.ip, owner, here)),
        Some(_) | None => Err(Verdict::Kernel),
    }
}

/// Backends of a `dsr` service have its VIP too, and answer our health checks from it. What is such an answer
/// the kernel tells by the hardware address (`Detour` in control); anything else that comes from an address of
/// its own it drops, as nobody but itself has that.
#[cold]
fn from_ours<H: Family>(ip: &H, owner: Owner, here: &Here) -> Verdict {
    let tables = here.tables;
    let vip = match owner {
        Owner::Vip(vip) => Some(&tables.vips[usize::from(vip)]),
        Owner::Down => tables.vips.iter().find(|vip| vip.address == ip.source().into()),
        Owner::Everybody | Owner::Snat(_) | Owner::Routed(_) | Owner::Answering(_) => None,
    };
    let is_dsr = |service| tables.services[usize::from(service)].mode == Mode::Dsr;
    match vip {
        Some(vip) if vip.services().any(is_dsr) => Verdict::Kernel,
        Some(_) | None => Reason::BadSource.into(),
    }
}

#[inline(always)]
fn server_key<H: Family>(packet: &Datagram<H>, server: ServerId, own: &Own) -> Key {
    let host = H::name(packet.ip.destination(), &own.hosts);
    Key::new(Endpoint { host, port: packet.udp.destination() }, server)
}

/// What is no datagram: at a VIP or a SNAT address a ping is answered and all else dropped; the rest is
/// the kernel's to forward.
pub fn classify_other<H: Family>(packet: Packet<H>, here: &Here) -> Verdict {
    let split = &packet.split;
    let from = H::owner(split.ip.source(), here.tables);
    let step = match (H::owner(split.ip.destination(), here.tables), from) {
        (Some(Owner::Down), _) => Err(Reason::VipDown.into()),
        (Some(Owner::Vip(_) | Owner::Snat(_)), _) => check_source(split.ip, here),
        (_, Some(Owner::Routed(_))) if is_udp(split) => Err(Reason::BadUdp.into()),
        (_, Some(owner)) if owner.is_ours() => Err(from_ours(split.ip, owner, here)),
        (_, Some(_) | None) => Err(Verdict::Kernel),
    };
    match step {
        Err(verdict) => verdict,
        Ok(_) if is_udp(split) => Reason::BadUdp.into(),
        Ok(_) if split.protocol != H::ICMP => Reason::NoService.into(),
        Ok(_) if icmp::is_about_neighbours(split.ip, split.body) => Verdict::Kernel,
        Ok(_) => answer::echo(packet, here.mac),
    }
}

/// Whose the source is. Nobody has one of our addresses but we.
#[inline]
pub fn check_source<H: Family>(ip: &H, here: &Here) -> Step<Option<Owner>> {
    let from = H::owner(ip.source(), here.tables);
    let ours = from.is_some_and(Owner::is_ours);
    if H::is_host(ip.source()) && !ours { Ok(from) } else { Err(Reason::BadSource.into()) }
}

/// Whether a packet whose owner is this worker may stay here.
#[inline]
pub fn mine(owner: u16, here: &Here) -> Step<()> {
    if owner == here.worker { Ok(()) } else { Err(Verdict::HandOver(owner)) }
}
