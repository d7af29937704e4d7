//! A request that is repeated: its client has not heard an answer. It goes where it went before, or, when that backend has
//! left it unanswered for long enough, to another one.

use super::{Asked, Before};
use crate::alg::tftp::SOONEST_REPETITION;
use crate::choose::candidates::Exclude;
use crate::context::{BurstContext, Env};
use crate::flow::FlowId;
use crate::flow::new_hop::{Arrival, Proof};
use crate::flow::state::TransferState;
use crate::flow::transfer::{Detail, Failover, Transfer};
use crate::stage::tftp::track::way_back;
use crate::state::WorkerState;
use crate::types::end_reason::EndReason;
use crate::types::selection_reason::SelectionReason;
use crate::types::tick::{PER_SECOND, Tick};
use crate::types::verdict::Step;

/// Ticks in which the same request can still have crossed the server's first answer on the way, or
/// a repetition of it that the client has not heard yet. Later, its sender has given up on that.
const CROSSING: u32 = PER_SECOND;

/// How often the time for an answer is doubled: to half a minute and more, which no server needs.
const MOST_DOUBLED: u16 = 5;

impl Asked<'_> {
    /// Whether the client merely says again what it said, because it has not heard an answer. Any
    /// other request is a new transfer: boot ROMs use the same ports at every boot.
    pub(super) fn is_repeated(
        &self,
        flow: FlowId,
        ctx: &BurstContext,
        state: &WorkerState,
    ) -> bool {
        let answered = state.transfers.detail(flow).answered;
        let flow = &state.transfers[flow];
        let same = flow.fingerprint == self.fingerprint && flow.vip() == self.vip;
        let unheard = match flow.state {
            TransferState::Requested => true,
            TransferState::Established => ctx.now.since(answered) < CROSSING,
            TransferState::Closing | TransferState::Completed => false,
        };
        same && unheard && ctx.snapshot[flow.backend].service == self.service
    }

    /// The request goes where it went before; or, when that backend has left it unanswered for long
    /// enough, to another one.
    pub(super) fn repeat(
        &self,
        id: FlowId,
        ctx: &BurstContext,
        state: &mut WorkerState,
    ) -> Step<FlowId> {
        let flow = &mut state.transfers[id];
        flow.repeats = flow.repeats.saturating_add(1);
        let silent = flow.backend;
        state.counters.of(flow).retransmitted.add(1);
        state.flow_log.transfer(id).repeated();
        let Detail { begun, moves, .. } = *state.transfers.detail(id);
        if state.transfers[id].state == TransferState::Requested
            && ctx.now.since(begun) >= SOONEST_REPETITION
        {
            state.counters.of(&state.transfers[id]).ignored.add(1);
        }
        if state.transfers[id].state == TransferState::Requested
            && has_waited(&state.transfers[id], (begun, moves), ctx)
        {
            match self.backend(Exclude::This(silent), ctx, state) {
                Ok(backend) => {
                    state.counters.of(&state.transfers[id]).asked_elsewhere.add(1);
                    let (flow, detail) = state.transfers.both(id);
                    if self.back != flow.back {
                        way_back(&self.arrival(flow), self.client, (flow, detail), ctx);
                    }
                    let asked = Asked { back: flow.back, ..*self };
                    let before = Before::Over(id, EndReason::Unanswered);
                    let mut history = *state.flow_log.transfer(id);
                    history.moved(silent, SelectionReason::AskedElsewhere, state.clock);
                    state.flow_log.transfer(id).goes_on = true;
                    let entered = asked.enter(before, Some(backend), ctx, state);
                    state.flow_log.transfer(id).goes_on = false;
                    let id = entered?;
                    let (_, detail) = state.transfers.both(id);
                    (detail.silent, detail.moves) = (silent, moves.saturating_add(1));
                    *state.flow_log.transfer(id) = history;
                    return Ok(id);
                }
                Err(none) if !ctx.backend(silent).is_reached() => return Err(none),
                Err(_) => {}
            }
        }
        // A forking server answers a repeated request from another TID. Where we don't see answers, only
        // the client's next packet tells which one it follows.
        if !state.transfers[id].answers_seen() {
            state.transfers[id].forget_tid();
        }
        Ok(id)
    }

    /// Where a repeated request comes from, that anybody could have made.
    fn arrival(&self, flow: &Transfer) -> Arrival {
        let mark = flow.blocks as u16;
        Arrival { from: self.back, proof: Proof::Claim, goes_on: false, mark }
    }
}

/// Whether another backend is to be asked, `moves` of which were asked before. A sound one gets the benefit of the doubt
/// once, and clients that say everything several times at once get no more by it. Each one has twice the time of the one
/// before: where all are slow, a client that went from one to the other would hear none of them.
fn has_waited(flow: &Transfer, (begun, moves): (Tick, u16), env: &Env) -> bool {
    let backend = env.backend(flow.backend);
    if flow.failover == Failover::Due || !backend.serves() {
        return true;
    }
    let patience = if backend.is_trusted() { 2 } else { 1 };
    let times = 1 << moves.min(MOST_DOUBLED);
    u32::from(flow.repeats) >= patience * times
        && env.now.since(begun) >= SOONEST_REPETITION * times
}
