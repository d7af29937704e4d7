//! Forwarding on the slow paths: a packet is checked for its size and translated, or its sender is told why it does not go
//! on.

use super::peer::Peer;
use super::translate::{Ports, Sent, Untranslated, translate};
use super::transmit::{check_size, max_payload};
use super::xlat::xlat_ends;
use crate::context::Env;
use crate::flow::host_table::HostTable;
use crate::ip_family::IpFamily;
use crate::state::deferred::{Deferred, IcmpNotice, XlatEnds};
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::verdict::{Step, Verdict};
use wire::icmp_problem::IcmpProblem;

/// The facts of a packet that must be forwarded.
pub struct Outgoing {
    /// The packet's index in the burst.
    pub index: usize,
    /// Whether the packet is a fragment.
    pub is_fragment: bool,
    /// Which way the packet goes.
    pub direction: Direction,
    /// Sender and kind, which its translation depends on.
    pub sent: Sent,
}

/// Translates a packet with these headers: at once, or at the end of the burst if it is for the other address family.
///
/// # Errors
///
/// The packet is too big for its way, or no hop is left: the sender will be told.
#[inline]
pub fn forward<H: IpFamily>(
    (ip, ports): (&mut H, &mut impl Ports),
    packet: &Outgoing,
    peer: &impl Peer,
    env: &Env,
    hosts: &HostTable,
    deferred: &mut Deferred,
) -> Step<()> {
    let why_not = match translated((&mut *ip, ports), packet, peer, env, hosts) {
        Ok(None) => return Ok(()),
        Ok(Some(ends)) => {
            deferred.xlat.push((packet.index, ends));
            return Ok(());
        }
        Err(why_not) => why_not,
    };
    deferred.icmp_notices.extend(icmp_notice(why_not, ip, packet, peer, env));
    Err(why_not)
}

/// Translates the packet; returns its ends, if it is for the other address family.
fn translated<H: IpFamily>(
    (ip, ports): (&mut H, &mut impl Ports),
    &Outgoing { is_fragment, direction, sent, .. }: &Outgoing,
    peer: &impl Peer,
    env: &Env,
    hosts: &HostTable,
) -> Step<Option<XlatEnds>> {
    check_size(ip, is_fragment, direction, peer, env)?;
    match translate((&mut *ip, ports), direction, sent, peer, env, hosts) {
        Ok(()) => Ok(None),
        Err(Untranslated::OtherFamily) if ip.hops() > 1 => {
            Ok(Some(xlat_ends(direction, sent, peer, env, hosts)))
        }
        Err(Untranslated::Expired | Untranslated::OtherFamily) => {
            Err(DropReason::TtlExpired.into())
        }
    }
}

/// The ICMP error for the sender of a packet that does not go on; `None`: its sender is not told.
fn icmp_notice<H: IpFamily>(
    why_not: Verdict,
    ip: &H,
    packet: &Outgoing,
    peer: &impl Peer,
    env: &Env,
) -> Option<IcmpNotice> {
    let &Outgoing { index, is_fragment, direction, .. } = packet;
    let problem = match why_not {
        Verdict::Drop(DropReason::TtlExpired) => IcmpProblem::Expired,
        Verdict::Drop(DropReason::TooBig) => {
            IcmpProblem::TooBig(max_payload::<H>(is_fragment, direction, peer, env).ok()?)
        }
        _ => return None,
    };
    let from = match direction {
        Direction::ToServer(_) | Direction::ToSnat => ip.destination().into(),
        Direction::ToClient => peer.vip_address(env),
    };
    Some(IcmpNotice { index, from, problem })
}
