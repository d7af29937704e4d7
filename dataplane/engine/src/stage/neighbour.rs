//! ARP and neighbour solicitations for VIPs and pool addresses, answered by the worker. The kernel would keep a row for each
//! host that asks, and has room for a thousand: a boot storm has more. All else that neighbours say is the kernel's.

use super::parse::Packet;
use crate::context::BurstContext;
use crate::ip_family::IpFamily;
use crate::snapshot::Snapshot;
use crate::types::next_hop::NextHop;
use crate::types::verdict::Verdict;
use ipnet::IpNet;
use std::net::IpAddr;
use wire::ip::{Ip, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::neighbour::{self, Question};

/// Answers an ARP frame if that is the worker's to do (`is_for_worker`).
pub fn arp(frame: &mut [u8], ctx: &BurstContext) -> Verdict {
    match neighbour::asked_by_arp(frame) {
        Some(question) if is_for_worker::<Ipv4>(&question, ctx) => {
            neighbour::answer_arp(frame, ctx.mac);
            Verdict::Answer
        }
        Some(_) | None => Verdict::Kernel,
    }
}

/// How hosts ask for the hardware address of others, by address family.
pub trait Solicited: IpFamily {
    /// Answers a question for an address of ours. Answers false, and changes nothing, if the packet is something else.
    fn answer_solicitation(packet: &mut Packet<Self>, ctx: &BurstContext) -> bool;
}

impl Solicited for Ipv4 {
    /// ARP is no IP: [`arp`].
    fn answer_solicitation(_: &mut Packet<Ipv4>, _: &BurstContext) -> bool {
        false
    }
}

impl Solicited for Ipv6 {
    fn answer_solicitation(packet: &mut Packet<Ipv6>, ctx: &BurstContext) -> bool {
        solicitation(packet, ctx)
    }
}

fn solicitation(packet: &mut Packet<Ipv6>, ctx: &BurstContext) -> bool {
    let Packet { ethernet, split: Split { protocol, ip, body, .. } } = packet;
    if *protocol != Ipv6::ICMP {
        return false;
    }
    let question = neighbour::asked_by_solicitation(ethernet, ip, body);
    let is_for_worker = question.is_some_and(|question| is_for_worker::<Ipv6>(&question, ctx));
    if is_for_worker {
        neighbour::answer_solicitation(ethernet, ip, body, ctx.mac);
    }
    is_for_worker
}

/// Whether a host of the link asks for an address that the kernel holds there for a service. The kernel answers those that
/// it has a row for, if they are elsewhere now: so it learns that. Of backends and routers it keeps rows all the time; and
/// it knows what to do about who has an address of ours.
fn is_for_worker<H: IpFamily>(question: &Question<H::Address>, ctx: &BurstContext) -> bool {
    let Snapshot { routes, .. } = ctx.snapshot;
    let interface = &ctx.snapshot[ctx.interface];
    let (asker, wanted) = (question.asker.into(), question.wanted.into());
    let asker_hop = NextHop { interface: ctx.interface, mac: question.mac };
    let is_in_network = || {
        interface.addresses.iter().any(|net| is_host_of(net, asker))
            && routes.hop(asker).is_none_or(|known| known == asker_hop)
    };
    interface.held.contains(&wanted)
        && H::owner(question.asker, ctx.snapshot).is_none()
        && ctx.snapshot.local().all(|local| local.addr() != asker)
        && !routes.is_router(asker)
        && (is_link_local(asker) || is_in_network())
}

/// Whether hosts have it on their link alone. Many ask from such an address whether a neighbour is still there.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Whether the address is a host's in that network: neither the network's own, nor everybody's.
fn is_host_of(net: &IpNet, address: IpAddr) -> bool {
    net.contains(&address) && ![net.network(), net.broadcast()].contains(&address)
}
