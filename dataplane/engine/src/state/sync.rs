//! Flows in step with another gate: a worker copies rows out for its peer ([`export`]), and takes in what the peer tells
//! ([`import`], [`purge`]). The gate whose kernel holds a VIP is right about its flows: it tells them, and takes in none.

pub mod export;
pub mod import;
pub mod purge;

use super::WorkerState;
use crate::context::Env;
use crate::flow::endpoint::Endpoint;
use crate::snapshot::Snapshot;
use crate::types::end_reason::EndReason;
use crate::types::id::VipId;
use crate::types::mode::Mode;
use crate::types::tick::PER_SECOND;

/// Ticks between two rounds, each of which looks at all rows.
pub const ROUND: u32 = PER_SECOND / 2;

/// Rounds after which the progress of a flow is told again.
pub const REFRESH: u32 = 4;

/// The reason for the end of a flow as this gate knows it: of one whose VIP another gate has, that one sees the true end.
pub fn end_here(vip: VipId, end: EndReason, snapshot: &Snapshot) -> EndReason {
    if snapshot.is_live(vip) { end } else { EndReason::Elsewhere }
}

impl WorkerState {
    /// Whether the address that servers see as the client is held here; one that is the client's own needs no holding.
    fn holds_seen_as(&self, mode: &Mode, seen_as: Endpoint, env: &Env) -> bool {
        !matches!(mode, Mode::Snat(_)) || self.live_snat(seen_as.host, env).is_some()
    }
}
