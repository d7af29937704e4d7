//! Frames for the kernel that bulk must not keep waiting: neighbours, routers and answers to our own health checks. Without
//! these the gate loses its place in the network, or its backends.

use super::parse::ether_type;
use crate::ip_family::IpFamily;
use crate::net::address_map::Owner;
use crate::snapshot::Snapshot;
use std::net::IpAddr;
use wire::ip::{Ip, PROTOCOL_TCP, PROTOCOL_UDP, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::neighbour::ARP;
use wire::{ethernet, icmp};

/// Protocols of IP's that routers speak among each other: IGMP, OSPF, PIM, VRRP.
const ROUTERS: [u8; 4] = [2, 89, 103, 112];
/// BGP, over TCP.
const BGP: u16 = 179;
/// BFD over one hop, over one with echoes, and over several (RFC 5881, RFC 5883).
const BFD: [u16; 3] = [3784, 3785, 4784];

/// Whether a frame that is left to the kernel is of this kind.
pub fn is_urgent(frame: &mut [u8], snapshot: &Snapshot) -> bool {
    match ether_type(frame) {
        Ok(ARP) => true,
        Ok(Ipv4::ETHER_TYPE) => is_urgent_packet::<Ipv4>(frame, snapshot),
        Ok(Ipv6::ETHER_TYPE) => is_urgent_packet::<Ipv6>(frame, snapshot),
        Ok(_) | Err(_) => false,
    }
}

fn is_urgent_packet<H: IpFamily>(frame: &mut [u8], snapshot: &Snapshot) -> bool {
    let packet = frame.get_mut(ethernet::HEADER..).and_then(|packet| H::split(packet).ok());
    let Some(Split { ip, protocol, fragment: None, body }) = packet else { return false };
    let ports = || {
        body.first_chunk().map_or([0; 2], |&[a, b, c, d]| {
            [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
        })
    };
    let is_routing = match protocol {
        PROTOCOL_TCP => ports().contains(&BGP),
        PROTOCOL_UDP => ports().iter().any(|port| BFD.contains(port)),
        _ => ROUTERS.contains(&protocol),
    };
    let destination: IpAddr = ip.destination().into();
    let is_for_kernel = snapshot.local().any(|local| local.addr() == destination);
    (is_routing && (is_for_kernel || is_never_routed(destination)))
        || (is_for_kernel && is_from_backend(ip, snapshot))
        || (protocol == H::ICMP && icmp::is_about_neighbours(ip, body))
}

/// Whether a packet to this address goes to a group, or no further than its link. Bulk that is routed has whatever ports its sender likes.
fn is_never_routed(destination: IpAddr) -> bool {
    destination.is_multicast()
        || matches!(destination, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Whether a backend sends it, perhaps as the answer to a health check: in `dsr` from the VIP.
fn is_from_backend<H: IpFamily>(ip: &H, snapshot: &Snapshot) -> bool {
    match H::owner(ip.source(), snapshot) {
        Some(Owner::Routed(_) | Owner::Answering(_) | Owner::Vip(_) | Owner::Down) => true,
        Some(Owner::Everybody | Owner::Snat(_)) | None => false,
    }
}
