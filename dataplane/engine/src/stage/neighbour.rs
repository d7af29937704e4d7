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
use wire::ethernet::Mac;
use wire::ip::{Ip, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::neighbour::{self, Question};

/// Answers an ARP frame if that is the worker's to do (`answer_of_worker`).
pub fn arp(frame: &mut [u8], ctx: &BurstContext) -> Verdict {
    let question = neighbour::asked_by_arp(frame);
    match question.and_then(|question| answer_of_worker::<Ipv4>(&question, ctx)) {
        Some(mac) => {
            neighbour::answer_arp(frame, mac);
            Verdict::Answer
        }
        None => Verdict::Kernel,
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
    let answer = question.and_then(|question| answer_of_worker::<Ipv6>(&question, ctx));
    if let Some(mac) = answer {
        neighbour::answer_solicitation(ethernet, ip, body, mac);
    }
    answer.is_some()
}

/// The hardware address that a host of the link is told, if it asks for an address that the kernel holds there for a
/// service. The kernel answers those that it has a row for, if they are elsewhere now: so it learns that. Of backends and
/// routers it keeps rows all the time; and it knows what to do about who has an address of ours.
fn answer_of_worker<H: IpFamily>(
    question: &Question<H::Address>,
    ctx: &BurstContext,
) -> Option<Mac> {
    let Snapshot { routes, .. } = ctx.snapshot;
    let interface = &ctx.snapshot[ctx.interface];
    let (asker, wanted) = (question.asker.into(), question.wanted.into());
    let asker_hop = NextHop { interface: ctx.interface, mac: question.mac };
    let is_in_network = || {
        interface.addresses.iter().any(|net| is_host_of(net, asker))
            && routes.hop(asker).is_none_or(|known| known == asker_hop)
    };
    let mac = interface.held.get(&wanted)?;
    let is_for_worker = H::owner(question.asker, ctx.snapshot).is_none()
        && ctx.snapshot.local().all(|local| local.addr() != asker)
        && !routes.is_router(asker)
        && (is_link_local(asker) || is_in_network());
    is_for_worker.then_some(*mac)
}

/// Whether hosts have it on their link alone. Many ask from such an address whether a neighbour is still there.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Whether the address is a host's in that network: neither the network's own, nor everybody's.
fn is_host_of(net: &IpNet, address: IpAddr) -> bool {
    net.contains(&address) && ![net.network(), net.broadcast()].contains(&address)
}
