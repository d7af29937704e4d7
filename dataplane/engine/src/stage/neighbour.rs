//! Who has a VIP, or an address of a pool? Hosts on the link that ask are answered here. The kernel would keep a row for
//! each of them, and has room for a thousand: a boot storm has more. All else that neighbours say is the kernel's.

use super::admit::Packet;
use crate::family::Family;
use crate::here::Here;
use crate::tables::{Hop, Tables};
use crate::verdict::Verdict;
use ipnet::IpNet;
use std::net::IpAddr;
use wire::ip::{Ip, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::neighbour::{self, Question};

/// Answers an ARP frame if that is the worker's to do (`is_for_worker`).
pub fn arp(frame: &mut [u8], here: &Here) -> Verdict {
    match neighbour::asked_by_arp(frame) {
        Some(question) if is_for_worker::<Ipv4>(&question, here) => {
            neighbour::answer_arp(frame, here.mac);
            Verdict::Answer
        }
        Some(_) | None => Verdict::Kernel,
    }
}

/// Answers a neighbour solicitation likewise. Answers false, and changes nothing, if it is something else.
pub fn solicitation(packet: &mut Packet<Ipv6>, here: &Here) -> bool {
    let Packet { ethernet, split: Split { protocol, ip, body, .. } } = packet;
    if *protocol != Ipv6::ICMP {
        return false;
    }
    let question = neighbour::asked_by_solicitation(ethernet, ip, body);
    let is_for_worker = question.is_some_and(|question| is_for_worker::<Ipv6>(&question, here));
    if is_for_worker {
        neighbour::answer_solicitation(ethernet, ip, body, here.mac);
    }
    is_for_worker
}

/// Whether a host of the link asks for an address that the kernel holds there for a service. The kernel answers those that
/// it has a row for, if they are elsewhere now: so it learns that. Of backends and routers it keeps rows all the time; and
/// it knows what to do about who has an address of ours.
fn is_for_worker<H: Family>(question: &Question<H::Address>, here: &Here) -> bool {
    let Tables { interfaces, routes, .. } = here.tables;
    let interface = &interfaces[usize::from(here.from)];
    let (asker, wanted) = (question.asker.into(), question.wanted.into());
    let station = Hop { interface: here.from, mac: question.station };
    let is_in_network = || {
        interface.addresses.iter().any(|net| is_host_of(net, asker))
            && routes.hop(asker).is_none_or(|known| known == station)
    };
    interface.held.contains(&wanted)
        && H::owner(question.asker, here.tables).is_none()
        && here.tables.local().all(|local| local.addr() != asker)
        && !routes.is_router(asker)
        && (is_link_local(asker) || is_in_network())
}

/// Whether hosts have it on their link alone. Many ask from such an address whether a neighbour is still there.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Whether it is a host's address in that network: neither the network's own, nor everybody's.
fn is_host_of(net: &IpNet, address: IpAddr) -> bool {
    net.contains(&address) && ![net.network(), net.broadcast()].contains(&address)
}
