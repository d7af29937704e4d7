//! The slow path, stage by stage: for packets that open, change or end a connection, and for those that are read.

use super::adopt::{adopt, adopter};
use super::leave::leave;
use super::lookup::lookup;
use super::packet::ConnectionPacket;
use super::reopen::begins_again;
use super::tcp_state::{follow, is_repeated};
use super::{reset, return_hop};
use crate::context::BurstContext;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, Half, flag, mark};
use crate::flow::state::ConnectionState;
use crate::ip_family::IpFamily;
use crate::stage::ftp::control;
use crate::stage::parse::Offsets;
use crate::stage::second_chance::{is_unknown, other_gate};
use crate::state::WorkerState;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::frame::Frame;
use crate::types::id::InterfaceId;
use crate::types::verdict::{Step, Verdict};
use wire::tcp::{Flags, Tcp};

/// Takes a packet that is perhaps of a connection to the interface that it leaves by.
pub fn slow_path<H: IpFamily>(
    frame: &mut impl Frame,
    mut packet: ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<InterfaceId> {
    let id = match lookup::<H>(&packet, ctx, state) {
        Ok(id) => id,
        Err(why_not) => return unknown::<H>(frame, &packet, why_not, ctx, state),
    };
    begins_again(&packet, id, ctx, state);
    return_hop::settle(&packet, id, ctx, state)?;
    // In `dsr` packets stay as they are.
    if packet.has(Flags::RST) && state.connections[id].answers_seen() {
        reset::make_plain::<H>(frame, &packet)?;
    }
    if !state.connections[id].has(flag::READ) {
        let begun = control::begin::<H>(&packet, id, ctx, state);
        begun.map_err(|why_not| refused::<H>(frame, &packet, why_not, ctx, state))?;
    }
    if state.connections[id].has(flag::READ) {
        control::read::<H>(frame, &mut packet, id, ctx, state)?;
    }
    pass::<H>(frame, &packet, id, ctx, state)
}

/// Adopts a packet of no connection here, if there is a service that does so; else refuses it. What can't be adopted gets no
/// reset, unless it opens a connection: another gate's goes on when its client repeats itself.
fn unknown<H: IpFamily>(
    frame: &mut impl Frame,
    packet: &ConnectionPacket<H::Address>,
    why_not: Verdict,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<InterfaceId> {
    let step = match adopter(packet, why_not, ctx, state) {
        Some(adopter) => adopt::<H>(frame, packet, adopter, ctx, state),
        None => return Err(refused::<H>(frame, packet, why_not, ctx, state)),
    };
    match step {
        Err(why_not) if packet.opens() => Err(refused::<H>(frame, packet, why_not, ctx, state)),
        Ok(_) | Err(_) => step,
    }
}

/// Takes a first fragment to the interface that it leaves by; returns its connection and its direction, too.
pub fn first_fragment<H: IpFamily>(
    frame: &mut impl Frame,
    offsets: Offsets,
    index: usize,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<(FlowId, Direction, InterfaceId)> {
    let packet = offsets.packet::<H>(frame.bytes_mut())?;
    let packet = ConnectionPacket::of(packet, index, ctx, state)?;
    let id = lookup::<H>(&packet, ctx, state)?;
    return_hop::settle(&packet, id, ctx, state)?;
    let interface = pass::<H>(frame, &packet, id, ctx, state)?;
    Ok((id, packet.direction, interface))
}

/// Takes the packet into account and passes it on.
fn pass<H: IpFamily>(
    frame: &mut impl Frame,
    packet: &ConnectionPacket<H::Address>,
    id: FlowId,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<InterfaceId> {
    track(packet, id, ctx, state)?;
    let WorkerState { connections, hosts, deferred, counters, .. } = state;
    leave::<H>(frame, packet, &connections[id], ctx, (hosts, deferred, counters))
}

/// Resets a connection that can't be opened, or is not known: its sender need not wait. The verdict is `why_not` where no reset
/// may be sent, or the other gate may know it.
fn refused<H: IpFamily>(
    frame: &mut impl Frame,
    packet: &ConnectionPacket<H::Address>,
    why_not: Verdict,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Verdict {
    let is_told = matches!(
        why_not,
        Verdict::Drop(
            DropReason::NoConnection
                | DropReason::NoBackend
                | DropReason::BackendsFull
                | DropReason::BackendDown
                | DropReason::SessionsFull
                | DropReason::ClientFull
                | DropReason::Refused
        )
    );
    let goes_on = || {
        packet.is_by_client() && other_gate(packet.tuple.vip(), packet.source_mac, ctx).is_some()
    };
    let is_early = || ctx.snapshot.resets_from.is_some_and(|time| !time.is_due(ctx.now));
    let may_be_known = || is_unknown(why_not) && (goes_on() || (!packet.opens() && is_early()));
    if !is_told || packet.tcp.is_none() || may_be_known() || !state.icmp_limiter.allows(ctx.now) {
        return why_not;
    }
    reset::refuse::<H>(frame, packet, ctx).unwrap_or(why_not)
}

/// Takes the packet into account.
fn track<A: Copy>(
    packet: &ConnectionPacket<A>,
    id: FlowId,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<()> {
    let by_client = packet.is_by_client();
    let connection = &mut state.connections[id];
    let was_unassured = connection.is_unassured();
    let was_answered = connection.is_answered();
    let from = usize::from(!by_client);
    let is_repeated = |tcp: Tcp| is_repeated(&connection.halves, from, &tcp, packet.len);
    if !by_client && packet.tcp.is_some_and(is_repeated) {
        return_hop::unheard(connection, &state.hosts, ctx);
    }
    let next = match &packet.tcp {
        Some(tcp) if !connection.has(flag::AFFINITY) => {
            follow(connection, by_client, tcp, packet.len)?
        }
        tcp => {
            if tcp.is_some() {
                connection.mark(mark::HAS_TCP, true);
            }
            answered(connection, by_client)
        }
    };
    connection.count(from, packet.offsets.total_len as u32);
    connection.last_packet = ctx.now;
    if by_client {
        connection.new_hop.advance(packet.hop(ctx), return_hop::mark(connection));
    }
    let is_answered = connection.is_answered() || next == ConnectionState::Open;
    if is_answered && !was_answered {
        state.note_connection_answer(id);
    }
    let connection = &state.connections[id];
    if next != connection.state {
        state.advance(id, next, ctx);
    } else if was_unassured && !connection.is_unassured() {
        state.connections.assure(id);
        state.quotas.assure(id, Half::UNKNOWN);
    }
    Ok(())
}

/// Where a connection stands that has no signs of its own, after a packet of one side.
fn answered(connection: &mut Connection, by_client: bool) -> ConnectionState {
    let by_opener = by_client != connection.has(flag::BY_SERVER);
    // Where we don't see answers, the opener's second word tells that there was one.
    let may_be_answered = !connection.answers_seen() && connection.bytes()[0] > 0;
    if by_opener && (may_be_answered || connection.state == ConnectionState::Open) {
        connection.mark(mark::UNASSURED, false);
    }
    if by_opener && !may_be_answered { connection.state } else { ConnectionState::Open }
}
