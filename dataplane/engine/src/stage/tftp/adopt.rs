//! A client's packet of a transfer that another gate saw begin goes on where that has sent the ones before, and makes a
//! row: see [`crate::state::adoption`].

use super::leave::leave;
use crate::alg::tftp::{FIRST_TID, Progress};
use crate::context::{BurstContext, Env};
use crate::flow::FlowId;
use crate::flow::endpoint::{Endpoint, HostId};
use crate::flow::state::Operation;
use crate::flow::transfer::{Parties, Transfer};
use crate::ip_family::IpFamily;
use crate::snapshot::Protocol;
use crate::snapshot::vip::only_service;
use crate::stage::classify::TransferPacket;
use crate::state::WorkerState;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::id::{InterfaceId, ServiceId, VipId};
use crate::types::verdict::Step;
use std::net::IpAddr;
use wire::ip::PROTOCOL_UDP;
use wire::tftp::Message;

/// The service by which a client's transfer to this port of a VIP would be adopted: the port is its server's TID.
pub fn adopter(vip: VipId, port: u16, client: IpAddr, env: &Env) -> Option<ServiceId> {
    let snapshot = env.snapshot;
    let adopts = |service: ServiceId| {
        snapshot[service].protocol == Protocol::Tftp && snapshot.adopts(service, client)
    };
    match snapshot.service(vip, PROTOCOL_UDP, port) {
        // Some servers answer from there.
        Some(service) => Some(service).filter(|&service| adopts(service)),
        None if port < FIRST_TID => None,
        None => only_service(&snapshot[vip].udp, adopts),
    }
}

/// Whether a client's block or ACK is of another transfer than the one that its endpoint has here: it goes to another TID,
/// and nothing speaks for that one. The client may have begun its next file at another gate, or the row is by a packet in
/// its name.
#[inline]
pub fn is_superseded<H: IpFamily>(
    packet: &TransferPacket<H>,
    message: Message,
    id: FlowId,
    env: &Env,
    state: &WorkerState,
) -> bool {
    let (to, flow) = (packet.datagram.udp.destination(), &state.transfers[id]);
    let Direction::ToServer(vip) = packet.direction else { return false };
    if flow.answers_seen() || flow.is_client_tid(to) {
        return false;
    }
    // Some clients keep sending to the service's port.
    let is_at_another_tid = |flow: &Transfer| {
        flow.client_tid().is_some() && env.snapshot.service_of(flow.backend).port != to
    };
    let mut both = [Some(id), state.transfers.newcomer(id)].into_iter().flatten();
    matches!(message, Message::Data { .. } | Message::Ack { .. })
        && both.all(|id| {
            let flow = &state.transfers[id];
            let goes_on = flow.progress.is_assured() && state.goes_on(id, env);
            is_at_another_tid(flow) && !goes_on
        })
        && adopter(vip, to, packet.sender(), env).is_some()
}

/// Takes a message that is no request, and of no transfer here but a [superseded](is_superseded) one, to the interface that
/// it leaves by. An ERROR ends its transfer, and makes no row.
#[cold]
pub fn adopt<H: IpFamily>(
    packet: &mut TransferPacket<H>,
    message: Message,
    whole: usize,
    superseded: Option<FlowId>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<InterfaceId> {
    let client = packet.sender();
    let tid = packet.datagram.udp.destination();
    let Direction::ToServer(vip) = packet.direction else {
        return Err(DropReason::NoTransfer.into());
    };
    let service = adopter(vip, tid, client, ctx).ok_or(DropReason::NoTransfer)?;
    let is_fragment = whole > packet.datagram.data.len();
    let (operation, block, bytes) = match message {
        Message::Ack { block } => (Operation::Read, Some(block), 0),
        Message::Data { block, len } if !ctx.snapshot[service].access.read_only => {
            (Operation::Write, Some(block), len)
        }
        Message::Error { .. } if !is_fragment => (Operation::Read, None, 0),
        Message::Data { .. } | Message::Error { .. } | Message::Request(_) | Message::Oack(_) => {
            return Err(DropReason::NoTransfer.into());
        }
    };
    let has_room = superseded.is_some() || state.has_room_for_transfer();
    let makes_row = block.is_some() && has_room;
    // The other fragments name no ports: a row tells where they go.
    if is_fragment && !makes_row {
        return Err(DropReason::FlowTableFull.into());
    }
    let backend = state.backend_elsewhere(client, service, ctx)?;
    state.check_adoption_rate(makes_row, ctx)?;
    if let Some(id) = superseded {
        state.end_both(id, EndReason::Replaced, ctx);
    }
    let port = packet.datagram.udp.source();
    let back = ctx.way_back(client, packet.origin(ctx).hop());
    let made = |host: HostId| {
        let seen_as = Endpoint { host, port };
        let parties = Parties { client: seen_as, seen_as, vip, backend, back, answers_from: None };
        let mut flow = Transfer::requested(parties, operation, 0, ctx.now);
        flow.learn(tid);
        flow.blocks = block.unwrap_or_default().into();
        flow.bytes = bytes.into();
        flow.progress = Progress::adopted(message);
        flow
    };
    let entered = makes_row.then(|| state.enter_adopted_transfer(client, made, ctx)).flatten();
    packet.refresh_host_id(&state.hosts);
    if is_fragment && entered.is_none() {
        return Err(DropReason::FlowTableFull.into());
    }
    let WorkerState { transfers, hosts, deferred, counters, .. } = state;
    let passing = made(HostId::NOBODY);
    let flow = entered.map_or(&passing, |id| &transfers[id]);
    leave(packet, message, flow, whole, ctx, (hosts, deferred, counters))
}
