//! TFTP: [`mod@lookup`] finds a packet's transfer, [`schedule`] makes one for a request,
//! [`adopt`] one for a packet in the middle of one that another gate knows, [`track`] learns from the packet,
//! [`mod@fast_path`] is all of that for a packet that teaches nothing, [`mod@slow_path`] for any other;
//! [`failover`] goes on for a server that has died, and [`options`] are held to limits last.

pub mod adopt;
pub mod failover;
pub mod fast_path;
mod leave;
pub mod lookup;
pub mod options;
pub mod schedule;
pub mod slow_path;
pub mod track;

use super::classify::TransferPacket;
use crate::context::BurstContext;
use crate::flow::NO_FLOW;
use crate::ip_family::IpFamily;
use crate::state::WorkerState;
use crate::types::verdict::Verdict;
use fast_path::fast_path;
use lookup::{Found, lookup, prefetch};
use slow_path::slow_path;

/// Decides on datagrams that may be of transfers: prefetches the transfers of all, then takes each on the fast path, or
/// else on the slow path.
#[inline(never)]
pub fn process<H: IpFamily>(
    packets: &mut [TransferPacket<H>],
    verdicts: &mut [Verdict],
    ctx: &BurstContext,
    state: &mut WorkerState,
) {
    prefetch(packets, &state.transfers);
    if ctx.other_gate.is_some() {
        leave_others(packets, ctx, state);
    }
    for packet in packets {
        packet.refresh_host_id(&state.hosts);
        match fast_path(packet, ctx, state) {
            Some(verdict) => verdicts[packet.index] = verdict,
            None => slowly(packet, verdicts, ctx, state),
        }
    }
}

/// Leaves packets of the other gate's transfers to the slow path, which sends them on.
#[cold]
fn leave_others<H>(packets: &mut [TransferPacket<H>], ctx: &BurstContext, state: &WorkerState) {
    for packet in packets {
        let is_others = |flow| !state.has_transfer(flow, ctx);
        if state.transfers.get(packet.candidate).is_some_and(is_others) {
            packet.candidate = NO_FLOW;
        }
    }
}

/// Decides on a datagram on the slow path, or leaves it to connections. Not inlined: most packets take the fast path.
#[inline(never)]
fn slowly<H: IpFamily>(
    packet: &mut TransferPacket<H>,
    verdicts: &mut [Verdict],
    ctx: &BurstContext,
    state: &mut WorkerState,
) {
    let whole = packet.datagram.data.len();
    let step = match lookup(packet, ctx, state) {
        Ok(Found::Tftp(found)) => slow_path(packet, found, whole, ctx, state),
        Ok(Found::Connection) => return state.deferred.slow_path.push(packet.index),
        Err(verdict) => Err(verdict),
    };
    verdicts[packet.index] = state.deferred.settle(packet.index, step);
}
