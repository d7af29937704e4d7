//! Tracking: a packet changes what is known of its transfer, as the protocol's [`crate::alg`] says.

use crate::alg::tftp::takeover::Terms;
use crate::alg::tftp::{self, Lesson};
use crate::context::{BurstContext, Env};
use crate::counters::Counters;
use crate::flow::new_hop::{Arrival, Proof, Ways};
use crate::flow::transfer::{Detail, Transfer};
use crate::ip_family::IpFamily;
use crate::stage::classify::TransferPacket;
use crate::types::direction::{Direction, KeyKind};
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::next_hop::NextHop;
use crate::types::verdict::Step;
use std::net::IpAddr;
use wire::tftp::Message;

/// Takes the packet into account, or refuses it. What it teaches beyond its flow is the answer, for
/// [`crate::state::WorkerState::settle`].
#[inline]
pub fn track<H: IpFamily>(
    packet: &TransferPacket<H>,
    message: Message,
    (flow, detail): (&mut Transfer, &mut Detail),
    ctx: &BurstContext,
    counters: &Counters,
) -> Step<Lesson> {
    let had_spoken = flow.progress.client_spoke();
    if is_of_transfer_before(packet, message, flow, detail) {
        return Err(DropReason::NoTransfer.into());
    }
    let lesson = lesson(packet, message, (flow, detail), ctx, counters)?;
    if lesson.end == Some(EndReason::Completed) {
        packet.datagram.check_sum()?;
    }
    let elsewhere = from_elsewhere(packet, message, (flow, detail), ctx);
    if let Some(arrival) = &elsewhere {
        way_back(arrival, packet.sender(), (flow, detail), ctx);
    }
    flow.progress = lesson.progress;
    if lesson.learn.is_some() && packet.direction.key_kind() == KeyKind::Server {
        let backend = &ctx.snapshot[flow.backend];
        flow.alias = backend.alias(packet.datagram.ip.source().into());
        detail.earlier.forget_last_block();
    }
    flow.bytes += u64::from(lesson.data.unwrap_or_default());
    if let Message::Data { block, .. } = message
        && packet.direction.key_kind() == KeyKind::Server
        && flow.progress.is_last(block)
    {
        detail.earlier.note_last_block(packet.datagram.udp.checksum());
    }
    match (packet.direction, message) {
        (Direction::ToServer(_), Message::Data { block, .. } | Message::Ack { block }) => {
            // A guess at a block's number is passed on, and not taken for the client's.
            let is_guess = matches!(elsewhere, Some(Arrival { proof: Proof::Nothing, .. }));
            let goes_on = flow.goes_on(block) && !is_guess;
            if goes_on {
                flow.go_on(block);
            }
            if elsewhere.is_none() {
                by_old_way(goes_on, packet.sender(), (flow, detail), ctx);
            }
        }
        (Direction::ToSnat | Direction::ToClient, _)
            if !flow.progress.client_spoke() && !lesson.is_withheld =>
        {
            detail.answered = ctx.now;
            if let Message::Oack(options) = message {
                detail.terms = Terms::of(options);
                flow.timeout = options.timeout().unwrap_or_default();
            }
        }
        (Direction::ToServer(_) | Direction::ToSnat | Direction::ToClient, _) => {}
    }
    if let Some(Arrival { from, .. }) = elsewhere {
        detail.new_hop.advance(from, flow.blocks as u16);
    }
    // That the request was repeated is of the past.
    if !had_spoken && flow.progress.client_spoke() {
        flow.repeats = 0;
    }
    // Anybody can ask in a client's name that has spoken already; an ERROR that ends nothing is of another transfer.
    let is_its_own = match message {
        Message::Request(_) => !had_spoken,
        Message::Error { .. } => lesson.end.is_some(),
        Message::Data { .. } | Message::Ack { .. } | Message::Oack(_) => true,
    };
    if is_its_own {
        touch(packet, flow, ctx);
    }
    Ok(lesson)
}

/// Whether the packet repeats what a server sent last in the transfer before.
fn is_of_transfer_before<H>(
    packet: &TransferPacket<H>,
    message: Message,
    flow: &Transfer,
    detail: &mut Detail,
) -> bool {
    let is_first = packet.direction.key_kind() == KeyKind::Server && flow.tid().is_none();
    is_first
        && matches!(message, Message::Data { .. })
        && detail.earlier.is_last_block(packet.datagram.udp.checksum())
}

#[inline]
fn lesson<H>(
    packet: &TransferPacket<H>,
    message: Message,
    (flow, detail): (&Transfer, &Detail),
    ctx: &BurstContext,
    counters: &Counters,
) -> Step<Lesson> {
    if let (Direction::ToServer(_), Message::Request(_)) = (packet.direction, message) {
        let mut lesson = Lesson::of(flow.progress);
        lesson.progress.ask_again();
        return Ok(lesson);
    }
    let udp = &packet.datagram.udp;
    let tid = match packet.direction {
        Direction::ToServer(_) => flow.client_tid(),
        Direction::ToSnat | Direction::ToClient => flow.tid(),
    };
    let known = tftp::Known {
        tid,
        earlier: detail.earlier,
        service_port: || ctx.snapshot.service_of(flow.backend).port,
        answers_seen: flow.answers_seen(),
        progress: flow.progress,
    };
    match packet.direction {
        Direction::ToServer(_) => {
            let lesson = tftp::from_client(&known, udp.destination(), message)?;
            if known.tid.is_some_and(|tid| tid != udp.destination())
                && udp.destination() == (known.service_port)()
            {
                counters.of(flow).to_service_port.add(1);
            }
            Ok(lesson)
        }
        Direction::ToSnat | Direction::ToClient => tftp::from_server(&known, udp.source(), message)
            .map_err(|reason| {
                if reason == DropReason::StrayTid {
                    counters.of(flow).strays.add(1);
                }
                reason.into()
            }),
    }
}

/// The flow lives on.
#[inline]
pub fn touch<H>(packet: &TransferPacket<H>, flow: &mut Transfer, env: &Env) {
    flow.last_packet = env.now;
    match packet.direction {
        Direction::ToServer(_) => {}
        Direction::ToSnat | Direction::ToClient => flow.repeats = 0,
    }
}

/// Where a client's message to the right TID comes from, if not from where answers go, and what it proves before it is
/// taken into account: whether it says the last one again, or goes on as the window allows.
#[inline]
pub fn from_elsewhere<H: IpFamily>(
    packet: &TransferPacket<H>,
    message: Message,
    (flow, detail): (&Transfer, &Detail),
    ctx: &BurstContext,
) -> Option<Arrival> {
    let from = NextHop { mac: packet.datagram.ethernet.source, interface: ctx.interface };
    if from == flow.back || !packet.direction.is_to_server() || ctx.is_other_gate(from.mac) {
        return None;
    }
    let mark = flow.blocks as u16;
    let (proof, goes_on) = match message {
        Message::Request(_) => (Proof::Claim, false),
        Message::Data { block, .. } | Message::Ack { block } => {
            let knows_block = block.wrapping_sub(mark) <= detail.terms.windowsize();
            // Everybody knows the service's port.
            let knows_tid = flow.is_client_tid(packet.datagram.udp.destination());
            let proof = match (knows_block, knows_tid) {
                (true, true) => Proof::Knowledge,
                (true, false) => Proof::Claim,
                (false, _) => Proof::Nothing,
            };
            (proof, flow.goes_on(block))
        }
        Message::Oack(_) | Message::Error { .. } => (Proof::Nothing, false),
    };
    Some(Arrival { from, proof, goes_on, mark })
}

/// Settles the way back to a client by a packet that comes from elsewhere: see [`crate::flow::new_hop`].
#[cold]
pub fn way_back(
    arrival: &Arrival,
    client: IpAddr,
    (flow, detail): (&mut Transfer, &mut Detail),
    ctx: &BurstContext,
) {
    let ways = Ways { back: flow.back, route: ctx.snapshot.hop_or_seek(client) };
    if detail.new_hop.takes_over(arrival, &ways, ctx.now) {
        flow.back = arrival.from;
    }
}

/// Settles it by one that comes from where answers go: it is in use, or nothing is heard there.
#[inline]
fn by_old_way(
    goes_on: bool,
    client: IpAddr,
    (flow, detail): (&mut Transfer, &mut Detail),
    env: &Env,
) {
    detail.new_hop.is_not_needed(goes_on);
    // The server has spoken since the client said this before.
    if !goes_on && flow.repeats == 1 {
        unheard(client, (flow, detail), env);
    }
}

#[cold]
fn unheard(client: IpAddr, (flow, detail): (&mut Transfer, &mut Detail), env: &Env) {
    let route = || env.snapshot.hop_or_seek(client);
    let other = detail.new_hop.unheard(flow.back, route, flow.blocks as u16, env.now);
    flow.back = other.unwrap_or(flow.back);
}
