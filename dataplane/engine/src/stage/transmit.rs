//! Where the packet leaves: to the backend's next hop, or back to where the client's came from.

use super::classify::Side;
use crate::count::Counters;
use crate::family::Family;
use crate::flow::record::Flow;
use crate::here::Here;
use crate::reason::Reason;
use crate::tables::Hop;
use crate::verdict::{Step, Verdict};
use std::net::IpAddr;
use wire::ethernet::Ethernet;
use wire::ip::Ip;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;

/// Whether a packet with this header, perhaps a part of a datagram, may go there: to be asked before it is
/// changed, since its sender is told.
pub fn check_size<H: Family>(
    ip: &H,
    is_part: bool,
    side: Side,
    flow: &Flow,
    here: &Here,
) -> Step<()> {
    let room = usize::from(room::<H>(is_part, side, flow, here)?);
    if ip.total_len() - size_of::<H>() > room { Err(Reason::TooBig.into()) } else { Ok(()) }
}

/// Bytes that may lie behind the IP header of a packet that goes there. The header may be another one then.
pub fn room<H: Family>(is_part: bool, side: Side, flow: &Flow, here: &Here) -> Step<u16> {
    let (hop, receiver) = way(side, flow, here)?;
    Ok(room_to::<H>(is_part, hop, receiver, here))
}

/// Where a transfer's packet goes next, and an address of the version that its receiver has.
#[inline(always)]
pub fn way<'a>(side: Side, flow: &'a Flow, here: &'a Here) -> Step<(&'a Hop, IpAddr)> {
    let receiver = match side {
        Side::Client(_) => here.tables.backends[usize::from(flow.backend)].address,
        Side::Server | Side::ServerToClient => here.tables.vips[usize::from(flow.vip())].address,
    };
    Ok((hop(side, flow, here)?, receiver))
}

/// The same on the way to this station, with a receiver of this version of IP.
pub fn room_to<H: Family>(is_part: bool, hop: &Hop, receiver: IpAddr, here: &Here) -> u16 {
    let mtu = here.tables.interfaces[usize::from(hop.interface)].mtu;
    let header = match receiver {
        IpAddr::V4(_) => size_of::<Ipv4>(),
        IpAddr::V6(_) if is_part && H::ETHER_TYPE == Ipv4::ETHER_TYPE => {
            size_of::<Ipv6>() + size_of::<<Ipv6 as Ip>::PartHeader>()
        }
        IpAddr::V6(_) => size_of::<Ipv6>(),
    };
    mtu.saturating_sub(header as u16)
}

/// Addresses the frame, of an IP packet of `len` bytes, to the next station, and counts it for its backend.
#[inline(always)]
pub fn transmit(
    ethernet: &mut Ethernet,
    len: usize,
    side: Side,
    flow: &Flow,
    here: &Here,
    counters: &Counters,
) -> Step<Verdict> {
    let hop = hop(side, flow, here)?;
    counters.pass(flow.backend, matches!(side, Side::Client(_)), len);
    Ok(send(ethernet, hop, here))
}

/// Addresses the frame to the next station.
#[inline(always)]
pub fn send(ethernet: &mut Ethernet, hop: &Hop, here: &Here) -> Verdict {
    ethernet.destination = hop.mac;
    ethernet.source = here.tables.interfaces[usize::from(hop.interface)].mac;
    Verdict::Transmit(hop.interface)
}

#[inline(always)]
fn hop<'a>(side: Side, flow: &'a Flow, here: &'a Here) -> Step<&'a Hop> {
    match side {
        Side::Client(_) => {
            let hop = here.tables.backends[usize::from(flow.backend)].hop.as_ref();
            Ok(hop.ok_or(Reason::BackendDown)?)
        }
        Side::Server | Side::ServerToClient => Ok(&flow.back),
    }
}
