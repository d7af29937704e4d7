//! Translation between IPv4 and IPv6, where a client's address family is not its server's (RFC 7915): the packet gets
//! another header. Its length changes, so that happens when all packets of the burst have been through
//! [`super::translate`], which says what the new header is to be.

mod datagram;
mod header;
mod icmp_error;

use super::peer::Peer;
use super::translate::Sent;
use crate::context::Env;
use crate::flow::host_table::HostTable;
use crate::ip_family::IpFamily;
use crate::state::WorkerState;
use crate::state::deferred::XlatEnds;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::frame::Frame;
use crate::types::verdict::{Step, Verdict};
use header::{Head, Plan, add};
use std::net::SocketAddr;
use std::ops::Range;
use wire::ethernet::{self, Ethernet};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use zerocopy::FromBytes;
use zerocopy::network_endian::U16;

/// The ends that the receiver of a packet sees, in the other address family.
pub fn xlat_ends(
    direction: Direction,
    sent: Sent,
    peer: &impl Peer,
    env: &Env,
    hosts: &HostTable,
) -> XlatEnds {
    let (source, destination) = match direction {
        Direction::ToServer(_) => {
            (hosts.socket_address(peer.seen_as()), peer.server(sent.is_request, env, hosts).into())
        }
        Direction::ToSnat | Direction::ToClient => {
            let vip_port = peer.vip_port().unwrap_or(sent.from);
            let vip = SocketAddr::new(peer.vip_address(env), vip_port);
            (vip, hosts.socket_address(peer.client()))
        }
    };
    XlatEnds { source, destination, id: None }
}

/// Rewrites the packets that are for the other address family.
#[cold]
pub fn apply<F: Frame>(burst: &mut [F], verdicts: &mut [Verdict], state: &mut WorkerState) {
    for (index, new) in state.deferred.xlat.take() {
        let (frame, verdict) = (&mut burst[index], &mut verdicts[index]);
        if !matches!(verdict, Verdict::Transmit(_)) {
            continue;
        }
        let step = match new.destination {
            SocketAddr::V4(_) => rewrite::<Ipv6, Ipv4>(&new, frame, state),
            SocketAddr::V6(_) => rewrite::<Ipv4, Ipv6>(&new, frame, state),
        };
        if let Err(why_not) = step {
            *verdict = why_not;
        }
    }
}

/// Replaces the frame's headers, of address family `A`, by those of `B`.
fn rewrite<A: IpFamily, B: IpFamily>(
    new: &XlatEnds,
    frame: &mut impl Frame,
    state: &mut WorkerState,
) -> Step<()> {
    let (mut ethernet, _) =
        Ethernet::read_from_prefix(frame.bytes()).map_err(|_| DropReason::Truncated)?;
    ethernet.kind = U16::new(B::ETHER_TYPE);
    let packet = frame.bytes_mut().get_mut(ethernet::HEADER..).ok_or(DropReason::Truncated)?;
    let split = A::split(packet).map_err(|_| A::BAD)?;
    let is_error = split.protocol == A::ICMP;
    let mut head = Head::new();
    add(&mut head, &ethernet);
    let Plan { head, rest } = if is_error {
        icmp_error::plan::<A, B>(new, split, head)?
    } else {
        datagram::plan::<A, B>(new, split, head, state)?
    };
    put(frame, &head, rest)?;
    if is_error {
        icmp_error::seal::<B>(frame.bytes_mut());
    }
    Ok(())
}

/// Makes the frame hold these headers and, behind them, the bytes that it holds in this range now.
fn put(frame: &mut impl Frame, head: &Head, rest: Range<usize>) -> Step<()> {
    let moved = match head.len().checked_sub(rest.start) {
        Some(more) => frame.grow_front(more),
        None => frame.cut_front(rest.start - head.len()),
    };
    // What lies behind goes.
    if !(moved && frame.set_len(head.len() + rest.len())) {
        return Err(DropReason::TooBig.into());
    }
    frame.bytes_mut()[..head.len()].copy_from_slice(head);
    Ok(())
}
