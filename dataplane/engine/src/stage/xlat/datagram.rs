//! Translation of a datagram, a fragment, or a segment.

use super::header::{Head, Plan, add_ip, translated};
use crate::ip_family::IpFamily;
use crate::state::WorkerState;
use crate::state::deferred::XlatEnds;
use crate::types::drop_reason::DropReason;
use crate::types::verdict::Step;
use wire::checksum::Delta;
use wire::ethernet;
use wire::ip::{Fragment, PROTOCOL_TCP, Split};
use wire::tcp::Tcp;
use wire::udp::Udp;
use zerocopy::FromBytes;

/// An IPv4 packet of at most so many bytes may be fragmented: over IPv6 it went over every link, so that its
/// sender can't be told to send smaller ones (RFC 7915 §5.1).
const SMALL: usize = 1260;

/// Adds the headers to come, and rewrites that of UDP.
pub fn plan<A: IpFamily, B: IpFamily>(
    new: &XlatEnds,
    Split { ip: old, protocol, fragment, body }: Split<A>,
    mut head: Head,
    state: &mut WorkerState,
) -> Step<Plan> {
    let at = ethernet::HEADER + old.total_len() - body.len();
    let len = match fragment {
        Some(_) => body.len(),
        None if protocol == PROTOCOL_TCP => body.len(),
        None => Udp::split(body).map(|(udp, _)| udp.total_len()).ok_or(DropReason::BadUdp)?,
    };
    let mut ip: B = translated(new, old, protocol, len)?;
    if protocol == PROTOCOL_TCP {
        rewrite_tcp(new, old, &ip, &mut body[..len])?;
    } else if fragment.is_none_or(|fragment| fragment.offset == 0) {
        rewrite_udp(new, old, &ip, fragment, &mut body[..len])?;
    }
    if fragment.is_none() {
        let id = state.next_id();
        if ip.total_len() <= SMALL {
            ip.allow_fragments(id);
        }
    }
    let id = |old: Fragment| new.id.map_or(old.id, u32::from);
    add_ip(&mut head, ip, fragment.map(|old| Fragment { id: id(old), ..old }));
    Ok(Plan { head, rest: at..at + len })
}

fn rewrite_tcp<A: IpFamily, B: IpFamily>(
    new: &XlatEnds,
    old: &A,
    ip: &B,
    body: &mut [u8],
) -> Step<()> {
    let (tcp, _) = Tcp::mut_from_prefix(body).map_err(|_| DropReason::BadTcp)?;
    let addresses = Delta::replaced(old.addresses(), ip.addresses());
    tcp.set_ports(new.source.port(), new.destination.port(), addresses);
    Ok(())
}

/// Rewrites ports and checksum. The checksum of a datagram cannot be computed from a fragment (RFC 7915 §4.5).
fn rewrite_udp<A: IpFamily, B: IpFamily>(
    new: &XlatEnds,
    old: &A,
    ip: &B,
    fragment: Option<Fragment>,
    body: &mut [u8],
) -> Step<()> {
    let (udp, data) = Udp::mut_from_prefix(body).map_err(|_| DropReason::BadUdp)?;
    let addresses = Delta::replaced(old.addresses(), ip.addresses());
    udp.set_ports(new.source.port(), new.destination.port(), addresses);
    if udp.is_summed() || B::UNSUMMED_UDP {
        return Ok(());
    }
    if fragment.is_some() {
        return Err(DropReason::BadUdp.into());
    }
    udp.make_checksum(ip, data);
    Ok(())
}
