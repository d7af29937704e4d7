//! A client's packet of a transfer that another gate saw begin goes on where that has sent the ones before, and makes a
//! row: see [`crate::state::adoption`].

use super::leave::leave;
use crate::alg::tftp::Progress;
use crate::context::{BurstContext, Env};
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
        None => only_service(&snapshot[vip].udp, adopts),
    }
}

/// Takes a message that is no request, and of no transfer here, to the interface that it leaves by. An ERROR ends its
/// transfer, and makes no row.
#[cold]
pub fn adopt<H: IpFamily>(
    packet: &mut TransferPacket<H>,
    message: Message,
    whole: usize,
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
    let makes_row = block.is_some() && state.has_room_for_transfer();
    // The other fragments name no ports: a row tells where they go.
    if is_fragment && !makes_row {
        return Err(DropReason::FlowTableFull.into());
    }
    let backend = state.backend_elsewhere(client, service, ctx)?;
    state.check_adoption_rate(makes_row, ctx)?;
    let port = packet.datagram.udp.source();
    let back = ctx.snapshot.routes.back_to(client, packet.origin(ctx).hop());
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
    leave(packet, message, flow, whole, ctx, hosts, deferred)?;
    packet.transmit(flow, ctx, counters)
}
