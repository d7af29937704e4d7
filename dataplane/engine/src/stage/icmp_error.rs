//! Errors about packets of transfers and connections (ICMP, for IPv6 ICMPv6): translated outside and inside, so that
//! whoever sent the packet hears what it can understand. A server whose port nobody listens on any longer has given
//! its transfer up.

mod connection;
mod endpoints;

use super::classify::{check_owner, check_port_owner, check_source};
use super::parse::Packet;
use super::transmit::{check_size, transmit};
use crate::context::{BurstContext, Env};
use crate::flow::endpoint::Endpoint;
use crate::flow::key::Key;
use crate::flow::transfer::Transfer;
use crate::ip_family::IpFamily;
use crate::net::address_map::Owner;
use crate::net::origin::Origin;
use crate::state::WorkerState;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::id::{InterfaceId, ServerId};
use crate::types::verdict::{Step, Verdict};
use connection::{about_connection, affinity, connection};
use endpoints::{Endpoints, NO_TRANSFER, about_nothing, server_at, server_of, translate};
use wire::ethernet::Ethernet;
use wire::icmp::{self, Quoted, split_error};
use wire::icmp_problem::IcmpProblem;
use wire::ip::{PROTOCOL_UDP, Split};

/// Decides what becomes of a frame that begins as an error does.
pub fn error<H: IpFamily>(
    packet: Packet<H>,
    index: usize,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<InterfaceId> {
    let Packet { ethernet, split: Split { ip, body, .. } } = packet;
    let Some(quoted) = split_error(ip, body) else { return Err(about_nothing(ip, ctx)) };
    if !quoted.has_ports() {
        let (vip, affinity) = affinity(ip, &quoted, ctx, state)?;
        let direction = Direction::ToServer(vip);
        return about_connection((ethernet, ip, body), index, direction, affinity, ctx, state);
    }
    let (direction, key) = about::<H>(ip, &quoted, ctx, state)?;
    let is_believed = is_believed(ethernet, ip, direction, key, ctx);
    if let Some(id) = connection(direction, key, &quoted, state) {
        if !is_believed {
            return Err(DropReason::WrongOrigin.into());
        }
        return about_connection((ethernet, ip, body), index, direction, id, ctx, state);
    }
    let is_datagram = quoted.protocol == PROTOCOL_UDP;
    let flow = state.transfers.find(direction.key_kind(), key).filter(|_| is_datagram);
    let Some(id) = flow else {
        return Err(if direction == Direction::ToClient { Verdict::Kernel } else { NO_TRANSFER });
    };
    // It may be about the one that waits beside it.
    let newcomer = state.transfers.newcomer(id).filter(|&newcomer| {
        let flow = &state.transfers[newcomer];
        flow.is(direction.key_kind(), key)
            && check_port::<H>(&quoted, direction, &state.transfers[id], ctx).is_err()
    });
    let id = newcomer.unwrap_or(id);
    let flow = state.transfers[id].clone();
    let is_from_client = direction.is_to_server();
    if !is_believed || is_from_client && flow.back.interface != ctx.interface {
        return Err(DropReason::WrongOrigin.into());
    }
    check_port::<H>(&quoted, direction, &flow, ctx)?;
    check_size(ip, false, direction, &flow, ctx)?;
    let to_client = !direction.is_to_server();
    let refused =
        to_client && quoted.problem == Some(IcmpProblem::NoPort) && is_by_server_of(&flow, ip, ctx);
    if refused && state.is_spared(id, ctx) {
        return Err(Verdict::Absorb);
    }
    if flow.answers_seen() {
        let endpoints = Endpoints::of(&flow, &quoted, ctx, &state.hosts);
        let other_family = translate(ip, quoted, direction, &endpoints, ctx)?;
        state.deferred.xlat.extend(other_family.map(|ends| (index, ends)));
        icmp::make_checksum(ip, body);
    }
    if refused {
        state.refused(id, ctx);
    }
    transmit(ethernet, ip.total_len(), direction, &flow, ctx, &state.counters)
}

/// Which transfer or connection it is about, and who tells: the one who could not be reached, or somebody on the way.
fn about<H: IpFamily>(
    ip: &H,
    quoted: &Quoted<H>,
    ctx: &BurstContext,
    state: &WorkerState,
) -> Step<(Direction, Key)> {
    let Quoted { ip: inner, .. } = quoted;
    // Whoever sent the packet hears of it.
    if inner.source() != ip.destination() {
        return Err(about_nothing(ip, ctx));
    }
    let host = |address| H::host_id(address, &state.hosts);
    let to = Endpoint { host: host(inner.destination()), port: quoted.destination() };
    let from = Endpoint { host: host(inner.source()), port: quoted.source() };
    let server = || server_at::<H>(inner.destination(), ctx);
    match H::owner(ip.destination(), ctx.snapshot) {
        Some(Owner::Down) => Err(DropReason::VipDown.into()),
        Some(Owner::Vip(vip)) => {
            check_source(ip, ctx)?;
            check_owner(H::worker(inner.destination(), ctx.workers), ctx)?;
            Ok((Direction::ToServer(vip), Key::of_client(to, vip)))
        }
        Some(Owner::Snat(id)) => {
            check_source(ip, ctx)?;
            let server = server().ok_or(NO_TRANSFER)?;
            check_port_owner(id, quoted.protocol, from.port, ctx)?;
            Ok((Direction::ToSnat, Key::of_server(from, server)))
        }
        Some(Owner::Everybody | Owner::Routed(_) | Owner::Answering(_)) | None => {
            let server = match server() {
                Some(server) => server,
                None if !ctx.snapshot.has_rules => return Err(Verdict::Kernel),
                // A rule may be for it.
                None => ServerId::MAX,
            };
            check_owner(H::worker(inner.source(), ctx.workers), ctx)?;
            Ok((Direction::ToClient, Key::of_server(from, server)))
        }
    }
}

/// Nobody who does not see the transfer's packets knows its ports. A client gets nothing before the TID is known,
/// unless we don't see its answers.
fn check_port<H: IpFamily>(
    quoted: &Quoted<H>,
    direction: Direction,
    flow: &Transfer,
    env: &Env,
) -> Step<()> {
    let known = match direction {
        Direction::ToServer(_) => match flow.client_tid() {
            Some(tid) => quoted.source() == tid,
            None => !flow.answers_seen(),
        },
        Direction::ToSnat | Direction::ToClient => {
            let asked = || env.snapshot.service_of(flow.backend).port;
            quoted.destination() == flow.tid().unwrap_or_else(asked)
        }
    };
    if known { Ok(()) } else { Err(NO_TRANSFER) }
}

/// Whether an error about a packet to a server comes from the server's link; and from the server's previous hop, if the
/// server sent it.
fn is_believed<H: IpFamily>(
    ethernet: &Ethernet,
    ip: &H,
    direction: Direction,
    key: Key,
    ctx: &BurstContext,
) -> bool {
    let server = match direction {
        Direction::ToServer(_) => return true,
        Direction::ToSnat | Direction::ToClient => ctx.snapshot.find_server(key.server()),
    };
    let is_on_link = server.is_none_or(|server| server.is_on(ctx.interface));
    let is_at = |server| ctx.snapshot.is_server_at(server, Origin::of(ethernet, ctx.interface));
    is_on_link && server_of(ip, ctx).is_none_or(is_at)
}

/// Whether a transfer's own server tells.
fn is_by_server_of<H: IpFamily>(flow: &Transfer, ip: &H, env: &Env) -> bool {
    server_of(ip, env) == Some(env.backend(flow.backend).server)
}
