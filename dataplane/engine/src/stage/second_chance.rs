//! Second chances, as GLB gives them: a router may send packets of a client to the wrong one of two gates that share a VIP, each
//! with a pool of its own, as when its table of equal routes has changed. What is of no flow here, or of one that the other
//! gate has, goes on to that gate as it came, once: what comes from there never goes back. The other gate answers the
//! client itself.

use super::parse::ether_type;
use super::transmit::send;
use crate::context::BurstContext;
use crate::counters::Counters;
use crate::ip_family::IpFamily;
use crate::net::address_map::Owner;
use crate::types::drop_reason::DropReason;
use crate::types::frame::Frame;
use crate::types::id::{InterfaceId, VipId};
use crate::types::verdict::Verdict;
use std::net::IpAddr;
use wire::ethernet::{Ethernet, Mac};
use wire::ip::Ip;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use zerocopy::FromBytes;

/// The hardware address of the gate that a packet to this VIP can go on to; `None`: that gate does not hold the VIP, or has
/// sent the packet itself.
#[inline]
pub fn other_gate(vip: VipId, source: Mac, ctx: &BurstContext) -> Option<Mac> {
    ctx.other_gate.filter(|&other| other != source && ctx.snapshot[vip].is_shared)
}

/// Whether packets with this verdict may be of a flow that another gate has.
pub fn is_unknown(verdict: Verdict) -> bool {
    use DropReason::{NoConnection, NoService, NoTransfer, SnatDown};
    matches!(verdict, Verdict::Drop(NoConnection | NoService | NoTransfer | SnatDown))
}

/// Sends those frames of the burst on to the other gate that may be of its flows, and answers to what it has sent on to their
/// clients.
#[cold]
pub fn give_second_chances<F: Frame>(
    burst: &mut [F],
    verdicts: &mut [Verdict],
    ctx: &BurstContext,
    counters: &Counters,
) {
    for (frame, verdict) in burst.iter_mut().zip(verdicts) {
        let frame = frame.bytes_mut();
        if is_unknown(*verdict) && send_on(frame, ctx).is_some() {
            *verdict = Verdict::Transmit(ctx.interface);
            counters.packets.second_chances.add(1);
        } else if *verdict == Verdict::Answer
            && is_to_other_gate(frame, ctx)
            && let Some(interface) = send_to_client(frame, ctx)
        {
            *verdict = Verdict::Transmit(interface);
        }
    }
}

/// Sends an answer to the client's next hop, by the kernel's route. `None`: there is none, or the answer is not about a packet
/// of IP, and goes back to the other gate.
fn send_to_client(frame: &mut [u8], ctx: &BurstContext) -> Option<InterfaceId> {
    let hop = ctx.snapshot.hop_or_seek(destination(frame)?)?;
    let (ethernet, _) = Ethernet::mut_from_prefix(frame).ok()?;
    Some(send(ethernet, &hop, ctx))
}

/// Addresses a frame to the other gate. `None`: that gate does not want it.
fn send_on(frame: &mut [u8], ctx: &BurstContext) -> Option<()> {
    let vip = match ctx.snapshot.addresses.get(destination(frame)?)? {
        Owner::Vip(vip) => vip,
        Owner::Snat(_)
        | Owner::Everybody
        | Owner::Down
        | Owner::Routed(_)
        | Owner::Answering(_) => return None,
    };
    let (ethernet, _) = Ethernet::mut_from_prefix(frame).ok()?;
    ethernet.destination = other_gate(vip, ethernet.source, ctx)?;
    ethernet.source = ctx.mac;
    Some(())
}

fn is_to_other_gate(frame: &mut [u8], ctx: &BurstContext) -> bool {
    Ethernet::mut_from_prefix(frame)
        .is_ok_and(|(ethernet, _)| ctx.is_other_gate(ethernet.destination))
}

/// The address that a packet is for.
fn destination(frame: &mut [u8]) -> Option<IpAddr> {
    match ether_type(frame) {
        Ok(Ipv4::ETHER_TYPE) => destination_of::<Ipv4>(frame),
        Ok(Ipv6::ETHER_TYPE) => destination_of::<Ipv6>(frame),
        Ok(_) | Err(_) => None,
    }
}

fn destination_of<H: IpFamily>(frame: &mut [u8]) -> Option<IpAddr> {
    let (_, packet) = Ethernet::mut_from_prefix(frame).ok()?;
    Some(H::split(packet).ok()?.ip.destination().into())
}
