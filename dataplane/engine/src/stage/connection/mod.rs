//! Connections: of TCP, of UDP other than TFTP's, and whatever else a service takes. Those that nothing happens to go
//! the fast path, [`fast_path`]; all others go the slow path, [`slow_path()`].

mod adopt;
pub mod affinity;
mod data;
mod egress_nat;
pub mod fast_path;
mod leave;
mod lookup;
mod open;
pub mod packet;
mod reopen;
pub mod reset;
mod return_hop;
mod segment;
mod slow_path;
pub mod tcp_state;
mod unnamed;

pub use segment::Segment;
pub use slow_path::{first_fragment, slow_path};

use crate::context::BurstContext;
use crate::flow::NO_FLOW;
use crate::ip_family::IpFamily;
use crate::state::WorkerState;
use crate::types::verdict::Verdict;

/// Decides on segments: prefetches the connections of all, then takes each on the fast path, or leaves it to the slow path.
#[inline(never)]
pub fn process<H: IpFamily>(
    segments: &mut [Segment<H>],
    verdicts: &mut [Verdict],
    ctx: &BurstContext,
    state: &mut WorkerState,
) {
    for segment in segments.iter_mut() {
        segment.candidate = state.connections.candidate(segment.bucket);
    }
    if ctx.other_gate.is_some() {
        leave_others(segments, ctx, state);
    }
    for segment in segments {
        segment.refresh_host_id(&state.hosts);
        match fast_path::fast_path(segment, ctx, state) {
            Some(verdict) => verdicts[segment.index] = verdict,
            None => state.deferred.slow_path.push(segment.index),
        }
    }
}

/// Leaves segments of the other gate's connections to the slow path, which sends them on.
#[cold]
fn leave_others<H: IpFamily>(segments: &mut [Segment<H>], ctx: &BurstContext, state: &WorkerState) {
    for segment in segments {
        let connection = state.connections.get(segment.candidate);
        if connection.is_some_and(|connection| !state.has_connection(connection, ctx)) {
            segment.candidate = NO_FLOW;
        }
    }
}
