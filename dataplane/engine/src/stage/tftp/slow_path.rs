//! The slow path, stage by stage: for packets that begin, teach or end something.

use super::adopt::{adopt, is_superseded};
use super::failover::failover;
use super::leave::leave;
use super::schedule::schedule;
use super::track::track;
use crate::context::{BurstContext, Env};
use crate::flow::FlowId;
use crate::ip_family::IpFamily;
use crate::stage::classify::TransferPacket;
use crate::state::WorkerState;
use crate::state::flow_log::TftpError;
use crate::types::direction::KeyKind;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::id::InterfaceId;
use crate::types::verdict::Step;
use wire::tftp::{self, Message};

/// Takes a packet from the transfer that was found for it to the interface that it leaves by. `whole` is the length of its
/// datagram's data, of which it may be the first fragment.
#[inline]
pub fn slow_path<H: IpFamily>(
    packet: &mut TransferPacket<H>,
    found: Option<FlowId>,
    whole: usize,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<InterfaceId> {
    let message = message(packet.datagram.data, whole)?;
    let superseded = found.filter(|&id| is_superseded(packet, message, id, ctx, state));
    let found = found.filter(|_| superseded.is_none());
    check_sum(packet, message, found, state)?;
    if found.is_none() && !matches!(message, Message::Request(_)) {
        return adopt(packet, message, whole, superseded, ctx, state);
    }
    let id = schedule(packet, message, found, ctx, state)?;
    failover(packet, message, id, ctx, state)?;
    let is_mistakable = is_mistakable(packet, id, ctx, state);
    let WorkerState { transfers, hosts, deferred, counters, .. } = state;
    let (flow, detail) = transfers.both(id);
    let mut lesson = track(packet, message, (flow, detail), ctx, counters)?;
    lesson.is_withheld |= is_mistakable;
    let step = match lesson.is_withheld {
        true => Err(DropReason::UnheardClient.into()),
        false => leave(packet, message, flow, whole, ctx, (hosts, deferred, counters)),
    };
    let is_heard = step.is_ok() || packet.direction.key_kind() == KeyKind::Server;
    if is_heard && lesson.end.is_some_and(|end| end != EndReason::Unheard) {
        flow.progress.end_at_server();
    }
    if lesson.end.is_some() {
        note_error(packet.datagram.data, id, state);
    }
    state.settle(id, &lesson, ctx);
    state.flow_log.error = None;
    step
}

/// Drops a damaged packet that would begin or teach something: its receiver would not take it. The blocks of a running transfer
/// go on as they are.
fn check_sum<H: IpFamily>(
    packet: &TransferPacket<H>,
    message: Message,
    found: Option<FlowId>,
    state: &WorkerState,
) -> Step<()> {
    match (message, found) {
        (Message::Data { .. } | Message::Ack { .. }, Some(id))
            if state.transfers[id].progress.client_spoke() =>
        {
            Ok(())
        }
        _ => packet.datagram.check_sum(),
    }
}

/// Whether the client would take what a server says for part of another transfer, which it goes on with: servers that
/// answer from the service's port have no other.
fn is_mistakable<H>(
    packet: &TransferPacket<H>,
    id: FlowId,
    env: &Env,
    state: &WorkerState,
) -> bool {
    let Some(elder) = state.transfers.elder(id) else { return false };
    let (flow, before) = (&state.transfers[id], &state.transfers[elder]);
    let from = flow.client_tid().unwrap_or(packet.datagram.udp.source());
    !packet.direction.is_to_server()
        && flow.client_key() == before.client_key()
        && before.client_tid() == Some(from)
        && state.goes_on(elder, env)
}

/// Keeps an ERROR, for the record of the transfer that ends with it.
#[cold]
fn note_error(data: &[u8], id: FlowId, state: &mut WorkerState) {
    if let Ok(Message::Error { code }) = Message::parse(data) {
        let error = TftpError::new(code, &data[tftp::ERROR_HEADER..]);
        state.flow_log.error = Some((id, error));
    }
}

/// The packet's message, of which `data` may be the first fragment.
fn message(data: &[u8], whole: usize) -> Step<Message<'_>> {
    let is_fragment = whole > data.len();
    let broken = if is_fragment { DropReason::Fragment } else { DropReason::BadTftp };
    match Message::parse(data).map_err(|_| broken)? {
        Message::Data { block, .. } => {
            let len = u16::try_from(whole.saturating_sub(tftp::DATA_HEADER))
                .map_err(|_| DropReason::BadTftp)?;
            Ok(Message::Data { block, len })
        }
        // Nobody's fills a packet, and what is cut off would matter.
        Message::Request(_) | Message::Oack(_) if is_fragment => Err(DropReason::Fragment.into()),
        message => Ok(message),
    }
}
