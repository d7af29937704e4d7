//! What of the kernel's must not be kept waiting by whatever else goes there: neighbours, routers and answers to our own
//! health checks. Without these the gate loses its place in the network, or its backends.

use super::admit::ether_type;
use crate::family::Family;
use crate::tables::{Owner, Tables};
use std::net::IpAddr;
use wire::ethernet;
use wire::icmp;
use wire::ip::{Ip, PROTOCOL_TCP, PROTOCOL_UDP, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::neighbour::ARP;

/// Protocols of IP's that routers speak among each other: IGMP, OSPF, PIM, VRRP.
const ROUTERS: [u8; 4] = [2, 89, 103, 112];
/// BGP, over TCP.
const BGP: u16 = 179;
/// BFD over one hop, over one with echoes, and over several (RFC 5881, RFC 5883).
const BFD: [u16; 3] = [3784, 3785, 4784];

/// Whether a frame that is left to the kernel is of this kind.
pub fn is_urgent(frame: &mut [u8], tables: &Tables) -> bool {
    match ether_type(frame) {
        Ok(ARP) => true,
        Ok(Ipv4::ETHER_TYPE) => is_urgent_packet::<Ipv4>(frame, tables),
        Ok(Ipv6::ETHER_TYPE) => is_urgent_packet::<Ipv6>(frame, tables),
        Ok(_) | Err(_) => false,
    }
}

fn is_urgent_packet<H: Family>(frame: &mut [u8], tables: &Tables) -> bool {
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
    let is_own = tables.local().any(|local| local.addr() == destination);
    (is_routing && (is_own || is_never_routed(destination)))
        || (is_own && is_from_backend(ip, tables))
        || (protocol == H::ICMP && icmp::is_about_neighbours(ip, body))
}

/// Whether it goes to a group, or no further than its link. Bulk that is routed has whatever ports its sender likes.
fn is_never_routed(destination: IpAddr) -> bool {
    destination.is_multicast()
        || matches!(destination, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Whether a backend sends it, perhaps as the answer to a health check: in `dsr` from the VIP.
fn is_from_backend<H: Family>(ip: &H, tables: &Tables) -> bool {
    match H::owner(ip.source(), tables) {
        Some(Owner::Routed(_) | Owner::Answering(_) | Owner::Vip(_) | Owner::Down) => true,
        Some(Owner::Everybody | Owner::Snat(_)) | None => false,
    }
}
