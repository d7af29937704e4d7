//! Later fragments of a datagram follow the first one, which has the checksum of UDP.

use crate::context::{BurstContext, Env};
use crate::flow::fragment_table::{FlowRef, FragmentPath};
use crate::flow::host_table::HostTable;
use crate::ip_family::IpFamily;
use crate::stage::parse::{Offsets, Packet};
use crate::stage::peer::Peer;
use crate::stage::translate::Sent;
use crate::stage::transmit::{max_payload, next_hop, send};
use crate::stage::xlat::xlat_ends;
use crate::state::WorkerState;
use crate::state::deferred::XlatEnds;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::frame::Frame;
use crate::types::id::{BackendId, InterfaceId};
use crate::types::next_hop::NextHop;
use crate::types::verdict::{Step, Verdict};

/// Takes a later fragment to the interface that it leaves by.
pub fn rest<H: IpFamily>(
    frame: &mut impl Frame,
    (offsets, index): (Offsets, usize),
    path: &FragmentPath,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<InterfaceId> {
    let Packet { ethernet, split } = offsets.packet::<H>(frame.bytes_mut())?;
    let ip = split.ip;
    let len = ip.total_len();
    let Course { hop, max_payload, backend, ends } = course::<H>(path, len, ctx, state)?;
    if len - size_of::<H>() > usize::from(max_payload) {
        return Err(DropReason::TooBig.into());
    }
    if let Some(ends) = ends {
        let other_family = readdress(ip, XlatEnds { id: path.id, ..ends })?;
        state.deferred.xlat.extend(other_family.map(|ends| (index, ends)));
    }
    if let Some(id) = path.id {
        ip.renumber(id);
    }
    state.counters.pass(backend, path.direction.is_to_server(), len);
    Ok(send(ethernet, &hop, ctx))
}

/// Where the fragments of a datagram go.
struct Course {
    hop: NextHop,
    /// Bytes that may lie behind the IP header.
    max_payload: u16,
    backend: BackendId,
    /// The ends that the receiver sees; `None`: the fragment stays as it is.
    ends: Option<XlatEnds>,
}

/// Counts a fragment of so many bytes; returns where it goes.
fn course<H: IpFamily>(
    path: &FragmentPath,
    len: usize,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<Course> {
    let WorkerState { transfers, connections, hosts, .. } = state;
    match path.flow {
        FlowRef::Transfer(id, key) => {
            let flow = transfers
                .verify(id, path.direction.key_kind(), key)
                .ok_or(DropReason::NoTransfer)?;
            // The first fragment was taken in.
            if flow.needs_failover() {
                return Err(Verdict::Absorb);
            }
            flow.last_packet = ctx.now;
            course_of::<H>(flow, path.direction, ctx, hosts)
        }
        FlowRef::Connection(id, tuple) => {
            let connection = connections.verify(id, &tuple).ok_or(DropReason::NoTransfer)?;
            connection.last_packet = ctx.now;
            let from = usize::from(!path.direction.is_to_server());
            connection.count(from, len as u32);
            course_of::<H>(connection, path.direction, ctx, hosts)
        }
    }
}

fn course_of<H: IpFamily>(
    peer: &impl Peer,
    direction: Direction,
    env: &Env,
    hosts: &HostTable,
) -> Step<Course> {
    let ends = || xlat_ends(direction, Sent::SEGMENT, peer, env, hosts);
    Ok(Course {
        hop: next_hop(direction, peer, env)?,
        max_payload: max_payload::<H>(true, direction, peer, env)?,
        backend: peer.backend(),
        ends: peer.answers_seen().then(ends),
    })
}

/// Rewrites the addresses and takes a hop off; or returns the ends, if the receiver has the other address family.
fn readdress<H: IpFamily>(ip: &mut H, ends: XlatEnds) -> Step<Option<XlatEnds>> {
    match (H::of(&ends.source.ip()), H::of(&ends.destination.ip())) {
        (Some(source), Some(destination)) => {
            let _ = ip.forward(source, destination).ok_or(DropReason::TtlExpired)?;
            Ok(None)
        }
        _ if ip.hops() <= 1 => Err(DropReason::TtlExpired.into()),
        _ => Ok(Some(ends)),
    }
}
