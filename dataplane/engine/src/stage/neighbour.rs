//! Who has a VIP? Stations that ask are answered here, and not by the kernel, which keeps a row for each of them and has
//! room for a thousand: a boot storm has more. What else neighbours say is the kernel's.

use super::admit::Packet;
use crate::family::Family;
use crate::here::Here;
use crate::tables::Owner;
use crate::verdict::Verdict;
use wire::ip::Split;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::neighbour;

/// Answers a frame of ARP's that asks for a VIP.
pub fn arp(frame: &mut [u8], here: &Here) -> Verdict {
    match neighbour::asked_by_arp(frame) {
        Some(address) if is_vip::<Ipv4>(address, here) => {
            neighbour::answer_arp(frame, here.mac);
            Verdict::Answer
        }
        Some(_) | None => Verdict::Kernel,
    }
}

/// Answers a neighbour solicitation for a VIP. Answers false, and changes nothing, if it is something else.
pub fn solicitation(packet: &mut Packet<Ipv6>, here: &Here) -> bool {
    let Packet { ethernet, split: Split { protocol, fragment, ip, body } } = packet;
    if *protocol != <Ipv6 as wire::ip::Ip>::ICMP || fragment.is_some() {
        return false;
    }
    let asked = neighbour::asked_by_solicitation(ip, body);
    let is_ours = asked.is_some_and(|address| is_vip::<Ipv6>(address, here));
    if is_ours {
        neighbour::answer_solicitation(ethernet, ip, body, here.mac);
    }
    is_ours
}

/// Whether the kernel holds this VIP.
fn is_vip<H: Family>(address: H::Address, here: &Here) -> bool {
    matches!(H::owner(address, here.tables), Some(Owner::Vip(_)))
}
