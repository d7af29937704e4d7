//! Flows in step with another gate: a worker copies rows out for its peer ([`export`]), and takes in what the peer tells
//! ([`import`], [`purge`]). The gate whose kernel holds the address that [tells whose a flow is](super::ours) is right about
//! it: it tells that flow, and takes in none.

pub mod export;
pub mod import;
pub mod purge;

use super::WorkerState;
use crate::context::Env;
use crate::flow::endpoint::Endpoint;
use crate::types::id::VipId;
use crate::types::mode::Mode;
use crate::types::tick::PER_SECOND;

/// Ticks between two rounds, each of which looks at all rows.
pub const ROUND: u32 = PER_SECOND / 2;

/// Rounds after which the progress of a flow is told again.
pub const REFRESH: u32 = 4;

impl WorkerState {
    /// Whether this gate tells flows of a VIP that servers see coming from this endpoint. A flow of a VIP that both gates
    /// hold is told only if the endpoint is of a pool, and so tells whose the flow is.
    #[inline(always)]
    fn tells(&self, vip: VipId, mode: &Mode, seen_as: Endpoint, env: &Env) -> bool {
        env.snapshot.is_live(vip)
            && match mode {
                Mode::Snat(_) => self.live_snat(seen_as.host, env).is_some(),
                Mode::Dsr | Mode::Nat => !env.snapshot[vip].is_shared,
            }
    }
}
