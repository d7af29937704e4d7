//! Classification: whether a packet is a client's, a server's or the kernel's, and which worker owns it.

use super::parse::{Datagram, Packet, is_tcp, is_udp};
use super::reply;
use super::transmit::transmit;
use crate::context::{BurstContext, Env};
use crate::counters::Counters;
use crate::flow::endpoint::Endpoint;
use crate::flow::host_table::HostTable;
use crate::flow::key::{Key, KeyPeer};
use crate::flow::transfer::Transfer;
use crate::flow::{BucketRef, FlowId, NO_FLOW};
use crate::ip_family::IpFamily;
use crate::net::address_map::Owner;
use crate::net::origin::Origin;
use crate::state::WorkerState;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::id::{InterfaceId, ServiceId, SnatId, VipId};
use crate::types::mode::Mode;
use crate::types::verdict::{Step, Unclaimed, Verdict};
use std::net::IpAddr;
use wire::icmp;
use wire::ip::{PROTOCOL_UDP, Split};
use wire::neighbour;

/// A datagram that may be part of a transfer of this worker's.
pub struct TransferPacket<'a, H> {
    /// The datagram.
    pub datagram: Datagram<'a, H>,
    /// Which way the datagram goes.
    pub direction: Direction,
    /// The key by which its transfer is found.
    pub key: Key,
    /// Where its transfer is looked for.
    pub bucket: BucketRef,
    /// The frame's index in the burst.
    pub index: usize,
    /// Perhaps its transfer, or [`NO_FLOW`].
    pub candidate: FlowId,
}

impl<H: IpFamily> TransferPacket<'_, H> {
    /// The interface and hardware address that the datagram came from.
    #[inline(always)]
    pub fn origin(&self, ctx: &BurstContext) -> Origin {
        Origin::of(self.datagram.ethernet, ctx.interface)
    }

    /// The sender's address.
    pub fn sender(&self) -> IpAddr {
        self.datagram.ip.source().into()
    }

    /// Sends the datagram to its next hop.
    #[inline(always)]
    pub fn transmit(
        &mut self,
        flow: &Transfer,
        ctx: &BurstContext,
        counters: &Counters,
    ) -> Step<InterfaceId> {
        let Datagram { ethernet, ip, .. } = &mut self.datagram;
        transmit(ethernet, ip.total_len(), self.direction, flow, ctx, counters)
    }

    /// Resolves the client's address to its host id again. Earlier packets of the burst may have begun and ended
    /// transfers, and so changed host ids.
    #[inline]
    pub fn refresh_host_id(&mut self, hosts: &HostTable) {
        if H::HOST_IDS_CHANGE {
            let ip = &self.datagram.ip;
            let address = match self.direction {
                Direction::ToServer(_) => ip.source(),
                Direction::ToSnat | Direction::ToClient => ip.destination(),
            };
            self.key = self.key.with(H::host_id(address, hosts));
        }
    }
}

/// Sorts a datagram out.
#[inline(always)]
pub fn classify<'a, H: IpFamily>(
    datagram: Datagram<'a, H>,
    index: usize,
    ctx: &BurstContext,
    state: &WorkerState,
) -> Result<TransferPacket<'a, H>, Unclaimed> {
    let ports = (datagram.udp.source(), datagram.udp.destination());
    let ip = &*datagram.ip;
    let (direction, key) =
        between(ip, PROTOCOL_UDP, ports, ctx, |Ends { direction, near, port, far }| {
            (direction, Key::of(Endpoint { host: H::host_id(near, &state.hosts), port }, far))
        })?;
    let bucket = state.transfers.locate(direction.key_kind(), key);
    Ok(TransferPacket { datagram, direction, key, bucket, index, candidate: NO_FLOW })
}

/// Between whom a packet goes.
pub struct Ends<A> {
    /// Which way the packet goes.
    pub direction: Direction,
    /// The end that is not ours, or stands for it: the client.
    pub near: A,
    /// The client's port, or that of the address that stands for the client.
    pub port: u16,
    /// The number of the VIP or server at the other end.
    pub far: KeyPeer,
}

/// The lookup key of a packet with this header, protocol and ports, as `key` makes it of the packet's ends. `key` is
/// compiled once for each kind of sender, which spares most packets the question who sent them.
#[inline(always)]
pub fn between<H: IpFamily, K>(
    ip: &H,
    protocol: u8,
    (from, to): (u16, u16),
    ctx: &BurstContext,
    key: impl Fn(Ends<H::Address>) -> K,
) -> Result<K, Unclaimed> {
    match H::owner(ip.destination(), ctx.snapshot) {
        Some(Owner::Vip(vip)) => to_vip(ip, from, vip, ctx, key),
        Some(Owner::Snat(id)) => to_snat(ip, (id, protocol, to), ctx, key),
        Some(Owner::Everybody) => to_everybody(ip, from, ctx, key),
        owner => to_others(ip, to, owner, ctx, key),
    }
}

#[inline(always)]
fn to_vip<H: IpFamily, K>(
    ip: &H,
    port: u16,
    vip: VipId,
    env: &Env,
    key: impl Fn(Ends<H::Address>) -> K,
) -> Result<K, Unclaimed> {
    check_owner(H::worker(ip.source(), env.workers), env)?;
    let far = KeyPeer::Vip(vip);
    Ok(key(Ends { direction: Direction::ToServer(vip), near: ip.source(), port, far }))
}

/// Some clients send their requests and all that follows to everybody. Lookup will tell.
#[cold]
fn to_everybody<H: IpFamily, K>(
    ip: &H,
    from: u16,
    ctx: &BurstContext,
    key: impl Fn(Ends<H::Address>) -> K,
) -> Result<K, Unclaimed> {
    let vip = ctx.snapshot[ctx.interface].broadcast;
    match vip.filter(|&vip| ctx.snapshot.is_live(vip)) {
        Some(vip) => to_vip(ip, from, vip, ctx, key),
        None => Err(Verdict::Kernel.into()),
    }
}

#[inline(always)]
fn to_snat<H: IpFamily, K>(
    ip: &H,
    (id, protocol, port): (SnatId, u8, u16),
    ctx: &BurstContext,
    key: impl Fn(Ends<H::Address>) -> K,
) -> Result<K, Unclaimed> {
    let far = match check_source(ip, ctx)? {
        Some(Owner::Routed(server) | Owner::Answering(server)) => KeyPeer::Server(server),
        Some(_) | None => return Err(DropReason::NoTransfer.into()),
    };
    check_port_owner(id, protocol, port, ctx)?;
    Ok(key(Ends { direction: Direction::ToSnat, near: ip.destination(), port, far }))
}

/// Servers that route through us send other things too: lookup will tell.
#[inline(always)]
fn to_others<H: IpFamily, K>(
    ip: &H,
    port: u16,
    owner: Option<Owner>,
    ctx: &BurstContext,
    key: impl Fn(Ends<H::Address>) -> K,
) -> Result<K, Unclaimed> {
    if owner == Some(Owner::Down) {
        return Err(DropReason::VipDown.into());
    }
    match H::owner(ip.source(), ctx.snapshot) {
        Some(Owner::Routed(server)) => {
            let far = KeyPeer::Server(server);
            check_owner(H::worker(ip.destination(), ctx.workers), ctx)?;
            Ok(key(Ends { direction: Direction::ToClient, near: ip.destination(), port, far }))
        }
        Some(owner) if owner.is_ours() => Err(from_ours(ip, owner, ctx).into()),
        Some(_) | None => Err(Unclaimed::Foreign),
    }
}

/// Backends of a `dsr` service have its VIP too, and answer our health checks from it. What is such an answer
/// the kernel tells by the hardware address (`ProbeRouting` in control); anything else that comes from an address of
/// its own it drops, as nobody but itself has that.
#[cold]
fn from_ours<H: IpFamily>(ip: &H, owner: Owner, ctx: &BurstContext) -> Verdict {
    let snapshot = ctx.snapshot;
    let vip = match owner {
        Owner::Vip(vip) => Some(&snapshot[vip]),
        Owner::Down => snapshot.vips.iter().find(|vip| vip.address == ip.source().into()),
        Owner::Everybody | Owner::Snat(_) | Owner::Routed(_) | Owner::Answering(_) => None,
    };
    let is_dsr = |service: ServiceId| snapshot[service].mode == Mode::Dsr;
    match vip {
        Some(vip) if vip.services().any(is_dsr) => Verdict::Kernel,
        Some(_) | None => DropReason::BadSource.into(),
    }
}

/// Why a packet that is neither a datagram nor a segment goes no further: at a VIP or a SNAT address a ping is answered and
/// all else dropped; the rest is the kernel's to forward.
pub fn classify_other<H: IpFamily>(packet: Packet<H>, ctx: &BurstContext) -> Unclaimed {
    let split = &packet.split;
    let from = H::owner(split.ip.source(), ctx.snapshot);
    let source = match (H::owner(split.ip.destination(), ctx.snapshot), from) {
        (Some(Owner::Down), _) => return DropReason::VipDown.into(),
        (Some(Owner::Vip(_) | Owner::Snat(_)), _) => check_source(split.ip, ctx),
        (_, Some(Owner::Routed(_))) if is_udp(split) => return DropReason::BadUdp.into(),
        // A host that claims an address of ours, of which control takes note. The kernel does not believe it.
        (_, Some(owner)) if owner.is_ours() && is_claim(split) => {
            return Verdict::Kernel.into();
        }
        (_, Some(owner)) if owner.is_ours() => return from_ours(split.ip, owner, ctx).into(),
        (_, Some(_) | None) => return Unclaimed::Foreign,
    };
    let verdict = match source {
        Err(verdict) => verdict,
        Ok(_) if is_udp(split) => DropReason::BadUdp.into(),
        Ok(_) if is_tcp(split) => DropReason::BadTcp.into(),
        Ok(_) if split.protocol != H::ICMP => DropReason::NoService.into(),
        Ok(_) if icmp::is_about_neighbours(split.ip, split.body) => Verdict::Kernel,
        Ok(_) => reply::echo(packet, ctx.mac),
    };
    verdict.into()
}

/// Whether the packet tells where an address is.
fn is_claim<H: IpFamily>(split: &Split<H>) -> bool {
    split.protocol == H::ICMP
        && icmp::is_about_neighbours(split.ip, split.body)
        && neighbour::is_advertisement(split.body)
}

/// The owner of the source address. Nobody else may send from an address of ours.
#[inline]
pub fn check_source<H: IpFamily>(ip: &H, env: &Env) -> Step<Option<Owner>> {
    let from = H::owner(ip.source(), env.snapshot);
    let ours = from.is_some_and(Owner::is_ours);
    if H::is_host(ip.source()) && !ours { Ok(from) } else { Err(DropReason::BadSource.into()) }
}

/// Whether what is sent to a port of a SNAT address may stay here: it is this worker's, or nobody's.
#[inline]
pub fn check_port_owner(id: SnatId, protocol: u8, port: u16, ctx: &BurstContext) -> Step<()> {
    if ctx.workers == 1 { Ok(()) } else { my_port_of_many(id, protocol, port, ctx) }
}

/// Apart, so that it takes no registers of a lone worker.
#[inline(never)]
fn my_port_of_many(id: SnatId, protocol: u8, port: u16, ctx: &BurstContext) -> Step<()> {
    let owner = ctx.snapshot[id].of(protocol).owner(port);
    owner.map_or(Ok(()), |entry| check_owner(entry.worker(ctx.workers), ctx))
}

/// Whether a packet whose owner is this worker may stay here.
#[inline]
pub fn check_owner(owner: u16, env: &Env) -> Step<()> {
    if owner == env.worker { Ok(()) } else { Err(Verdict::HandOver(owner)) }
}

/// Whether the packet is a fragment, an ICMP error, or for a VIP with an `any` service: the slow path decides.
pub fn is_slow<H: IpFamily>(split: &Split<H>, ctx: &BurstContext) -> bool {
    split.fragment.is_some() || is_error(split) || is_anything(split, ctx)
}

/// Whether the packet is an ICMP error.
pub fn is_error<H: IpFamily>(split: &Split<H>) -> bool {
    split.protocol == H::ICMP && icmp::is_error::<H>(split.body)
}

/// Whether the packet is for the `any` service of its VIP. A ping is answered all the same, and a fragment that may be
/// another service's waits for the first one.
pub fn is_anything<H: IpFamily>(split: &Split<H>, ctx: &BurstContext) -> bool {
    let is_echo = split.protocol == H::ICMP && split.body.first() == Some(&H::ECHO_REQUEST);
    let vip = match H::owner(split.ip.destination(), ctx.snapshot) {
        Some(Owner::Vip(vip)) => &ctx.snapshot[vip],
        Some(_) | None => return false,
    };
    let is_udp_fragment = split.fragment.is_some() && split.protocol == PROTOCOL_UDP;
    vip.any.is_some() && !is_echo && (!is_udp_fragment || vip.udp.is_empty())
}
