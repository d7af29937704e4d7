//! Where a packet leaves, and whether it may: the next hop to the backend, or back to the client; the size that fits.

use super::peer::Peer;
use crate::context::Env;
use crate::counters::Counters;
use crate::ip_family::IpFamily;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::id::InterfaceId;
use crate::types::next_hop::NextHop;
use crate::types::verdict::Step;
use std::net::IpAddr;
use wire::ethernet::Ethernet;
use wire::ip::Ip;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;

/// The next hop of a packet, which is unknown while the kernel has not resolved the backend.
pub fn next_hop(direction: Direction, peer: &impl Peer, env: &Env) -> Step<NextHop> {
    to_next_hop(direction, peer, env, |&hop| hop)
}

/// Applies `then` to the next hop where it lies: a copy costs more than all else here.
#[inline(always)]
fn to_next_hop<T>(
    direction: Direction,
    peer: &impl Peer,
    env: &Env,
    mut then: impl FnMut(&NextHop) -> T,
) -> Step<T> {
    if !direction.is_to_server() {
        return Ok(then(peer.client_hop()));
    }
    let hop = match env.snapshot.find_backend(peer.backend()) {
        Some(backend) => backend.hop.as_ref().map(&mut then),
        None => peer.rule_hop().as_ref().map(&mut then),
    };
    Ok(hop.ok_or(DropReason::BackendDown)?)
}

/// Bytes that may lie behind the IP header of a packet on its way on. The header may be one of the other address family then.
pub fn max_payload<H: IpFamily>(
    is_fragment: bool,
    direction: Direction,
    peer: &impl Peer,
    env: &Env,
) -> Step<u16> {
    let hop = next_hop(direction, peer, env)?;
    let mtu = env.snapshot[hop.interface].mtu;
    let header = match peer.receiver(direction, env) {
        IpAddr::V4(_) => size_of::<Ipv4>(),
        IpAddr::V6(_) if is_fragment && H::ETHER_TYPE == Ipv4::ETHER_TYPE => {
            size_of::<Ipv6>() + size_of::<<Ipv6 as Ip>::FragmentHeader>()
        }
        IpAddr::V6(_) => size_of::<Ipv6>(),
    };
    Ok(mtu.saturating_sub(header as u16))
}

/// Whether a packet with this header, perhaps a fragment, is small enough for its way: must be asked before the packet is
/// changed, since its sender is told.
pub fn check_size<H: IpFamily>(
    ip: &H,
    is_fragment: bool,
    direction: Direction,
    peer: &impl Peer,
    env: &Env,
) -> Step<()> {
    let most = usize::from(max_payload::<H>(is_fragment, direction, peer, env)?);
    if ip.total_len() - size_of::<H>() > most { Err(DropReason::TooBig.into()) } else { Ok(()) }
}

/// Addresses the frame, of an IP packet of `len` bytes, to the next hop, and counts the packet for its backend.
#[inline(always)]
pub fn transmit(
    ethernet: &mut Ethernet,
    len: usize,
    direction: Direction,
    peer: &impl Peer,
    env: &Env,
    counters: &Counters,
) -> Step<InterfaceId> {
    to_next_hop(direction, peer, env, |hop| {
        counters.pass(peer.backend(), direction.is_to_server(), len);
        send(ethernet, hop, env)
    })
}

/// Addresses the frame to the next hop.
#[inline(always)]
pub fn send(ethernet: &mut Ethernet, hop: &NextHop, env: &Env) -> InterfaceId {
    ethernet.destination = hop.mac;
    ethernet.source = env.snapshot[hop.interface].mac;
    hop.interface
}
