//! Which transfer is each packet part of?

use crate::alg::tftp::SOONEST_REPETITION;
use crate::context::{BurstContext, Env};
use crate::flow::FlowId;
use crate::flow::endpoint::Endpoint;
use crate::flow::key::Key;
use crate::flow::transfer::Transfer;
use crate::flow::transfer_table::TransferTable;
use crate::flow::tuple::Tuple;
use crate::ip_family::IpFamily;
use crate::net::address_map::Owner;
use crate::snapshot::Protocol;
use crate::stage::classify::{TransferPacket, check_source};
use crate::stage::parse::Datagram;
use crate::stage::second_chance::other_gate;
use crate::stage::tftp::adopt::adopter;
use crate::state::WorkerState;
use crate::state::departed::ANY_PORT;
use crate::types::direction::{Direction, KeyKind};
use crate::types::drop_reason::DropReason;
use crate::types::id::VipId;
use crate::types::verdict::{Step, Verdict};
use std::net::SocketAddr;
use wire::ip::PROTOCOL_UDP;
use wire::tftp::{self, Message};

/// Has the memory of all packets' transfers come at once: waiting for one after the other is what takes
/// the time.
#[inline(always)]
pub fn prefetch<H>(burst: &mut [TransferPacket<H>], transfers: &TransferTable) {
    for packet in burst {
        packet.candidate = transfers.candidate(packet.bucket);
    }
}

/// The flow that a datagram belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// TFTP: this transfer, or none yet, as the datagram can be a request or of a transfer to be adopted.
    Tftp(Option<FlowId>),
    /// A connection over UDP, which it may begin.
    Connection,
}

/// The packet's transfer, which the packets before may have made or ended. Without one, only a client's packet may go on:
/// to a service's port, as it can be a request; to any port, as it can be of a transfer to be adopted.
pub fn lookup<H: IpFamily>(
    packet: &TransferPacket<H>,
    ctx: &BurstContext,
    state: &WorkerState,
) -> Step<Found> {
    let udp = &packet.datagram.udp;
    // Port 0 is nobody's.
    if udp.source() == 0 || udp.destination() == 0 {
        return Err(DropReason::BadUdp.into());
    }
    let transfer = transfer(packet, ctx, state);
    match packet.direction {
        Direction::ToServer(vip) => by_client(packet, vip, transfer, ctx, state),
        Direction::ToSnat | Direction::ToClient => by_server(packet, transfer, ctx, state),
    }
}

/// The transfer that the packet is part of, as far as addresses and ports tell.
pub fn transfer<H: IpFamily>(
    packet: &TransferPacket<H>,
    ctx: &BurstContext,
    state: &WorkerState,
) -> Option<FlowId> {
    let (kind, key) = (packet.direction.key_kind(), packet.key);
    let found = state.transfers.find(kind, key)?;
    match state
        .transfers
        .newcomer(found)
        .filter(|&newcomer| state.transfers[newcomer].is(kind, key))
    {
        Some(newcomer) if is_for_newcomer(packet, (found, newcomer), ctx, state) => Some(newcomer),
        Some(_) | None => Some(found),
    }
}

/// Whether the packet is of the transfer that waits beside an elder one: their TIDs tell.
#[cold]
fn is_for_newcomer<H: IpFamily>(
    packet: &TransferPacket<H>,
    (elder, newcomer): (FlowId, FlowId),
    env: &Env,
    state: &WorkerState,
) -> bool {
    let before = &state.transfers.detail(elder).earlier;
    let (elder, newcomer) = (&state.transfers[elder], &state.transfers[newcomer]);
    let Datagram { udp, data, .. } = &packet.datagram;
    let to_service = |port| port == env.snapshot.service_of(newcomer.backend).port;
    match packet.direction {
        Direction::ToServer(_) => {
            let to = udp.destination();
            let may_be = match newcomer.client_tid() {
                Some(tid) => tid == to || to_service(to),
                None => !newcomer.answers_seen(),
            };
            let is_elder_s = elder.client_tid() == Some(to);
            let is_quick = is_elder_s && env.now.since(elder.last_packet) < SOONEST_REPETITION;
            let may_be_elder = is_elder_s || to_service(to);
            may_be && (!may_be_elder || can_only_be_of(newcomer, elder, is_quick, data))
        }
        Direction::ToSnat | Direction::ToClient => {
            let from = udp.source();
            let is_old = elder.tid().is_none_or(|tid| tid == from);
            let is_new = Message::parse(data).is_ok_and(|said| before.check(from, said).is_ok());
            let is_stale = before.reach(from).is_some() && !to_service(from) && !is_new;
            !is_old && !is_stale
        }
    }
}

/// Whether the client of the elder transfer can't say this in it any more, so that it is of the newcomer. `is_quick`: it
/// comes too soon to be said again.
fn can_only_be_of(newcomer: &Transfer, elder: &Transfer, is_quick: bool, data: &[u8]) -> bool {
    let fits =
        |flow: &Transfer, block: u16| block.wrapping_sub(flow.blocks as u16) <= LARGEST_WINDOW;
    match Message::parse(data) {
        // Of one block, which may have been all.
        Ok(Message::Ack { block: 1 }) if elder.blocks == 1 && !elder.answers_seen() => is_quick,
        Ok(Message::Ack { block } | Message::Data { block, .. }) => {
            let goes_on = newcomer.progress.client_spoke() && fits(newcomer, block);
            !fits(elder, block) && (block <= 1 || goes_on)
        }
        Ok(Message::Error { code }) => code == tftp::OPTIONS_REFUSED && elder.blocks > 0,
        Ok(Message::Request(_) | Message::Oack(_)) | Err(_) => false,
    }
}

/// Blocks by which a client's number goes on at the most, as it is taken here: no window in use is larger.
const LARGEST_WINDOW: u16 = 1024;

fn by_client<H: IpFamily>(
    packet: &TransferPacket<H>,
    vip: VipId,
    transfer: Option<FlowId>,
    ctx: &BurstContext,
    state: &WorkerState,
) -> Step<Found> {
    let Datagram { ethernet, ip, udp, .. } = &packet.datagram;
    if let Some(id) = transfer
        && other_gate(vip, ethernet.source, ctx).is_some()
        && !state.has_transfer(&state.transfers[id], ctx)
    {
        return Err(DropReason::NoTransfer.into());
    }
    let to = udp.destination();
    let is_its = transfer.is_some_and(|id| state.transfers[id].client_tid() == Some(to));
    if let Some(id) = transfer.filter(|_| is_its || !ctx.snapshot.has_connections) {
        return Ok(Found::Tftp(Some(id)));
    }
    let near = packet.key.endpoint();
    let tuple = Tuple::at_vip(near, vip, to, PROTOCOL_UDP);
    if ctx.snapshot.has_connections && state.connections.find(&tuple).is_some() {
        return Ok(Found::Connection);
    }
    let service = ctx.snapshot.service(vip, PROTOCOL_UDP, to);
    let protocol = service.map(|id| ctx.snapshot[id].protocol);
    match (protocol, transfer) {
        (Some(Protocol::Udp), _) => Ok(Found::Connection),
        (_, Some(id)) => Ok(Found::Tftp(Some(id))),
        (Some(_), None) => {
            check_source(&**ip, ctx)?;
            Ok(Found::Tftp(None))
        }
        // What else is said to everybody is for the kernel too.
        (None, None) if H::owner(ip.destination(), ctx.snapshot) == Some(Owner::Everybody) => {
            Err(Verdict::Kernel)
        }
        (None, None) if ctx.snapshot[vip].any.is_some() => Ok(Found::Connection),
        (None, None) => {
            check_source(&**ip, ctx)?;
            match adopter(vip, to, packet.sender(), ctx) {
                Some(_) => Ok(Found::Tftp(None)),
                None => Err(DropReason::NoService.into()),
            }
        }
    }
}

fn by_server<H: IpFamily>(
    packet: &TransferPacket<H>,
    transfer: Option<FlowId>,
    ctx: &BurstContext,
    state: &WorkerState,
) -> Step<Found> {
    let from = packet.datagram.udp.source();
    let server = packet.key.server();
    if transfer.is_some() && !ctx.snapshot.is_server_at(server, packet.origin(ctx)) {
        return Err(DropReason::WrongOrigin.into());
    }
    let is_its = transfer.is_some_and(|id| state.transfers[id].tid() == Some(from));
    if let Some(id) = transfer.filter(|_| is_its || !ctx.snapshot.has_connections) {
        return Ok(Found::Tftp(Some(id)));
    }
    let tuple = Tuple::at_server(packet.key.endpoint(), server, from, PROTOCOL_UDP);
    match transfer {
        _ if state.connections.find(&tuple).is_some() => Ok(Found::Connection),
        Some(id) => Ok(Found::Tftp(Some(id))),
        None if packet.direction == Direction::ToSnat => Err(DropReason::NoTransfer.into()),
        None if is_of_another(packet, ctx, state) => Err(DropReason::StrayTid.into()),
        // A rule may be for it, or a connection that was forgotten.
        None if ctx.snapshot.has_connections => Ok(Found::Connection),
        None => Err(Verdict::Kernel),
    }
}

/// Whether a server's packet for a client that has no transfer with it is of one that was given up: the client's endpoint
/// now has one with another server, or had one with this. The packet must not reach the client by the server's own address.
fn is_of_another<H: IpFamily>(
    packet: &TransferPacket<H>,
    ctx: &BurstContext,
    state: &WorkerState,
) -> bool {
    let Datagram { ip, udp, data, .. } = &packet.datagram;
    let host = H::host_id(ip.destination(), &state.hosts);
    let client = Endpoint { host, port: udp.destination() };
    let is_elsewhere = ctx.snapshot.numbered_vips().any(|(vip, _)| {
        let flow = state.transfers.find(KeyKind::Client, Key::of_client(client, vip));
        // Only where servers answer through us, to the client's own address.
        flow.is_some_and(|flow| {
            state.transfers[flow].answers_seen() && state.transfers[flow].seen_as() == client
        })
    });
    let is_departed = || {
        let client = SocketAddr::new(ip.destination().into(), udp.destination());
        state.departed.has(client, (packet.key.server(), ANY_PORT), ctx.now)
    };
    (is_elsewhere || is_departed()) && Message::parse(data).is_ok()
}
