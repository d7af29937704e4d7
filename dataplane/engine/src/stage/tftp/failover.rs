//! Downloads outlive their server. When it has died, the same file is asked for at another one, and acknowledged in
//! the client's place up to the block that the client has: all that the client sees of it is one
//! retransmission of its own. What can't be taken over ends with an ERROR to the client.

use super::track::{from_elsewhere, touch, way_back};
use crate::alg::tftp::earlier::begins;
use crate::alg::tftp::takeover::{Goal, Heard};
use crate::context::{BurstContext, Env};
use crate::flow::FlowId;
use crate::flow::new_hop::{Arrival, Proof};
use crate::flow::state::Operation;
use crate::flow::transfer::{Detail, Failover, Transfer};
use crate::ip_family::IpFamily;
use crate::stage::classify::TransferPacket;
use crate::state::WorkerState;
use crate::state::failover::{REPEATS, SILENCE};
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::verdict::{Step, Verdict};
use wire::tftp::Message;

/// Ends the way of a packet whose transfer's server is dead, or suspected to be: the gateway acts as the peer. All others go
/// on.
pub fn failover<H: IpFamily>(
    packet: &TransferPacket<H>,
    message: Message,
    id: FlowId,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<()> {
    let udp = &packet.datagram.udp;
    let (flow, detail) = state.transfers.both(id);
    let elsewhere = from_elsewhere(packet, message, (flow, detail), ctx);
    let step = match packet.direction {
        Direction::ToServer(_)
            if matches!(elsewhere, Some(Arrival { proof: Proof::Nothing, .. })) =>
        {
            return match flow.needs_failover() {
                true => Err(DropReason::WrongOrigin.into()),
                false => Ok(()),
            };
        }
        Direction::ToServer(_) if is_for_server(udp.destination(), &state.transfers[id], ctx) => {
            if let &[0, 4, _, _, window] = packet.datagram.data {
                state.transfers[id].window = window;
            }
            by_client(message, id, ctx, state)
        }
        Direction::ToServer(_) => Ok(()),
        Direction::ToSnat | Direction::ToClient => {
            let backend = ctx.backend(state.transfers[id].backend);
            let alias = backend.alias(packet.datagram.ip.source().into());
            by_server((udp.source(), alias), message, id, ctx, state)
        }
    };
    // A packet that goes on is taken into account later.
    let Err(end) = step else { return Ok(()) };
    let (flow, detail) = state.transfers.both(id);
    if let Some(arrival) = &elsewhere {
        way_back(arrival, packet.sender(), (flow, detail), ctx);
    }
    touch(packet, flow, ctx);
    Err(end)
}

/// Whether a client that sends there talks to its server. Some never leave the service's port.
fn is_for_server(port: u16, flow: &Transfer, env: &Env) -> bool {
    flow.client_tid()
        .is_some_and(|tid| port == tid || port == env.snapshot.service_of(flow.backend).port)
}

/// The client says this, to the port that it takes for its server's.
fn by_client(
    message: Message,
    id: FlowId,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<()> {
    let (flow, detail) = state.transfers.both(id);
    let block = match (message, flow.operation) {
        (Message::Ack { block }, Operation::Read)
        | (Message::Data { block, .. }, Operation::Write) => block,
        // There is nobody yet to be told.
        (Message::Error { .. }, _) if flow.failover == Failover::Asking => {
            state.close(id, EndReason::Failed, ctx);
            return ABSORBED;
        }
        _ => return Ok(()),
    };
    let goes_on = flow.goes_on(block);
    let usual = goes_on || !flow.progress.client_spoke() || flow.state.is_over();
    if !usual {
        state.flow_log.transfer(id).repeated();
    }
    if !flow.answers_seen() || (usual && !flow.needs_failover()) {
        return Ok(());
    }
    if goes_on {
        flow.go_on(block);
    } else if block == flow.blocks as u16 {
        flow.repeats = flow.repeats.saturating_add(1);
        detail.stalled = if flow.repeats == 1 { ctx.now } else { detail.stalled };
    }
    let failover = flow.failover;
    if failover == Failover::Over {
        return ABSORBED;
    }
    if failover.is_under_way() && flow.progress.is_last(block) {
        state.close(id, EndReason::Completed, ctx);
        return ABSORBED;
    }
    let failed_over =
        failover != Failover::Lost && is_dead(flow, detail, ctx) && state.start_failover(id, ctx);
    // What was said before may have got lost.
    if !failed_over && matches!(failover, Failover::Asking | Failover::Lost) {
        state.queue_originate(id);
    }
    if failed_over || failover.is_under_way() || failover == Failover::Lost {
        ABSORBED
    } else {
        Ok(())
    }
}

const ABSORBED: Step<()> = Err(Verdict::Absorb);

/// Whether a transfer's server is given up for dead.
fn is_dead(flow: &Transfer, detail: &Detail, env: &Env) -> bool {
    let suspected = !env.backend(flow.backend).is_trusted();
    let silence = env.now.since(detail.stalled);
    is_surely_dead(flow, env) || (flow.repeats >= REPEATS && (suspected || silence >= SILENCE))
}

fn is_surely_dead(flow: &Transfer, env: &Env) -> bool {
    flow.failover == Failover::Due || !env.backend(flow.backend).serves()
}

/// A server says this, from this port.
fn by_server(
    (from, alias): (u16, u8),
    message: Message,
    id: FlowId,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<()> {
    let flow = &mut state.transfers[id];
    match flow.failover {
        Failover::None => return Ok(()),
        // It lives.
        Failover::Due => {
            flow.failover = Failover::None;
            return Ok(());
        }
        Failover::Lost | Failover::Over => return Err(DropReason::StrayTid.into()),
        Failover::Asking | Failover::CatchingUp | Failover::Arrived => {}
    }
    match flow.tid() {
        Some(tid) if tid != from => return Err(DropReason::StrayTid.into()),
        Some(_) => {}
        None if begins(message) => {
            state.counters.of(&state.transfers[id]).responded.add(1);
            state.transfers.learn(id, from, ctx.now);
            state.transfers[id].alias = alias;
        }
        // It was asked before, and still sends from where the client was then.
        None => return Err(DropReason::StrayTid.into()),
    }
    let (flow, detail) = state.transfers.both(id);
    let wraps_to_zero = flow.progress.wraps_to_zero();
    let goal = Goal { block: flow.blocks, wraps_to_zero, terms: detail.terms };
    match detail.takeover.hear(message, &goal) {
        Heard::Nothing => {}
        Heard::Acknowledge => {
            flow.failover = Failover::CatchingUp;
            state.queue_originate(id);
        }
        Heard::Arrived => {
            flow.failover = Failover::Arrived;
            state.queue_originate(id);
        }
        // The server waits for our ACK all the same.
        Heard::Next if flow.failover == Failover::Arrived => {}
        Heard::Next => {
            flow.failover = Failover::None;
            return Ok(());
        }
        Heard::Mismatch => {
            state.fail(id, ctx);
            return Err(DropReason::StrayTid.into());
        }
    }
    ABSORBED
}
