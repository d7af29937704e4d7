//! Whose packet is it: a client's, a server's, or the kernel's? And which worker owns it?

use super::admit::{Datagram, Packet, is_tcp, is_udp};
use super::answer;
use super::transmit::transmit;
use crate::count::Counters;
use crate::family::Family;
use crate::flow::hosts::{Endpoint, Hosts};
use crate::flow::key::{Key, KeyKind};
use crate::flow::record::Flow;
use crate::flow::{FlowId, NO_FLOW, Spot};
use crate::here::Here;
use crate::origin::Origin;
use crate::own::Own;
use crate::reason::Reason;
use crate::tables::{Mode, Owner, SnatId, VipId};
use crate::verdict::{Step, Verdict};
use std::net::IpAddr;
use wire::icmp;
use wire::ip::PROTOCOL_UDP;

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
    /// Where it comes from.
    #[inline(always)]
    pub fn origin(&self, here: &Here) -> Origin {
        Origin::of(self.packet.ethernet, here.from)
    }

    /// Its sender's address.
    pub fn sender(&self) -> IpAddr {
        self.packet.ip.source().into()
    }

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
    let ports = (packet.udp.source(), packet.udp.destination());
    let ip = &*packet.ip;
    let (side, key) = between(ip, PROTOCOL_UDP, ports, here, |Ends { side, near, port, far }| {
        (side, Key::new(Endpoint { host: H::name(near, &own.hosts), port }, far))
    })?;
    let spot = own.flows.expect(side.key_kind(), key);
    Ok(Parcel { packet, side, key, spot, place, guess: NO_FLOW })
}

/// Between whom a packet goes.
pub struct Ends<A> {
    /// Who sent it.
    pub side: Side,
    /// The end that is not ours, or stands for it: the client.
    pub near: A,
    /// Its port.
    pub port: u16,
    /// The number of the VIP or server at the other end.
    pub far: u16,
}

/// What a packet with this header, of this protocol and from and to these ports, is found by, as `key` makes it of its
/// ends: it is made for each kind of sender apart, which spares most packets to be asked again.
#[inline(always)]
pub fn between<H: Family, K>(
    ip: &H,
    protocol: u8,
    (from, to): (u16, u16),
    here: &Here,
    key: impl Fn(Ends<H::Address>) -> K,
) -> Step<K> {
    match H::owner(ip.destination(), here.tables) {
        Some(Owner::Vip(vip)) => to_vip(ip, from, vip, here, key),
        Some(Owner::Snat(id)) => to_snat(ip, (id, protocol, to), here, key),
        Some(Owner::Everybody) => to_everybody(ip, from, here, key),
        owner => to_others(ip, to, owner, here, key),
    }
}

#[inline(always)]
fn to_vip<H: Family, K>(
    ip: &H,
    port: u16,
    far: VipId,
    here: &Here,
    key: impl Fn(Ends<H::Address>) -> K,
) -> Step<K> {
    mine(H::worker(ip.source(), here.workers), here)?;
    Ok(key(Ends { side: Side::Client(far), near: ip.source(), port, far }))
}

/// Some clients send their requests and all that follows to everybody. Lookup will tell.
#[cold]
fn to_everybody<H: Family, K>(
    ip: &H,
    from: u16,
    here: &Here,
    key: impl Fn(Ends<H::Address>) -> K,
) -> Step<K> {
    let vip = here.tables.interfaces[usize::from(here.from)].broadcast;
    match vip.filter(|&vip| here.tables.is_live(vip)) {
        Some(vip) => to_vip(ip, from, vip, here, key),
        None => Err(Verdict::Kernel),
    }
}

#[inline(always)]
fn to_snat<H: Family, K>(
    ip: &H,
    (id, protocol, port): (SnatId, u8, u16),
    here: &Here,
    key: impl Fn(Ends<H::Address>) -> K,
) -> Step<K> {
    let far = match check_source(ip, here)? {
        Some(Owner::Routed(server) | Owner::Answering(server)) => server,
        Some(_) | None => return Err(Reason::NoTransfer.into()),
    };
    my_port(id, protocol, port, here)?;
    Ok(key(Ends { side: Side::Server, near: ip.destination(), port, far }))
}

/// Servers that route through us send other things too: lookup will tell.
#[inline(always)]
fn to_others<H: Family, K>(
    ip: &H,
    port: u16,
    owner: Option<Owner>,
    here: &Here,
    key: impl Fn(Ends<H::Address>) -> K,
) -> Step<K> {
    if owner == Some(Owner::Down) {
        return Err(Reason::VipDown.into());
    }
    match H::owner(ip.source(), here.tables) {
        Some(Owner::Routed(far)) => {
            mine(H::worker(ip.destination(), here.workers), here)?;
            Ok(key(Ends { side: Side::ServerToClient, near: ip.destination(), port, far }))
        }
        Some(owner) if owner.is_ours() => Err(from_ours(ip, owner, here)),
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
        Ok(_) if is_tcp(split) => Reason::BadTcp.into(),
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

/// Whether what is sent to a port of a SNAT address may stay here: it is this worker's, or nobody's.
#[inline]
pub fn my_port(id: SnatId, protocol: u8, port: u16, here: &Here) -> Step<()> {
    if here.workers == 1 { Ok(()) } else { my_port_of_many(id, protocol, port, here) }
}

/// Apart, so that it takes no registers of a lone worker.
#[inline(never)]
fn my_port_of_many(id: SnatId, protocol: u8, port: u16, here: &Here) -> Step<()> {
    let owner = here.tables.snat[usize::from(id)].of(protocol).owner(port);
    owner.map_or(Ok(()), |owner| mine(owner, here))
}

/// Whether a packet whose owner is this worker may stay here.
#[inline]
pub fn mine(owner: u16, here: &Here) -> Step<()> {
    if owner == here.worker { Ok(()) } else { Err(Verdict::HandOver(owner)) }
}
