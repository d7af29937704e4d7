//! Which way a connection's packets go back: see [`crate::flow::new_hop`].

use super::packet::ConnectionPacket;
use super::tcp_state::advance;
use crate::context::{BurstContext, Env};
use crate::flow::FlowId;
use crate::flow::connection::{Connection, Half, NO_BACKEND, flag};
use crate::flow::host_table::HostTable;
use crate::flow::new_hop::{Arrival, Proof, Ways};
use crate::flow::state::ConnectionState;
use crate::state::WorkerState;
use crate::types::drop_reason::DropReason;
use crate::types::verdict::Step;
use std::net::IpAddr;
use wire::tcp::{Flags, Tcp};

/// Bytes that a client may be ahead of what was seen of it, as some of that may have got lost on the old way.
const AHEAD: u32 = 1 << 16;

/// Settles the way back to a connection's client by one more of its packets.
///
/// # Errors
///
/// The connection is read, and answers to this packet would go to a host that does not know the connection.
pub fn settle<A: Copy + Into<IpAddr>>(
    packet: &ConnectionPacket<A>,
    id: FlowId,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<()> {
    let connection = &mut state.connections[id];
    let from = packet.hop(ctx);
    if !packet.is_by_client() || ctx.is_other_gate(from.mac) {
        return Ok(());
    }
    if from == connection.back {
        // Datagrams prove nothing of what their sender hears; the kernel may have found it since.
        if packet.tcp.is_none() {
            connection.back = packet.way_back(ctx);
        }
        return Ok(());
    }
    let proof = proof(connection, packet);
    let ways = ways(connection, packet.addresses[0].into(), ctx);
    let moves = if connection.backend == NO_BACKEND {
        ways.route == Some(from) || proof == Proof::Knowledge
    } else {
        let goes_on = packet.tcp.is_some_and(|tcp| goes_on(connection, &tcp, packet.len));
        let packet = Arrival { from, proof, goes_on, mark: mark(connection) };
        connection.new_hop.takes_over(&packet, &ways, ctx.now)
    };
    if moves {
        connection.back = from;
    }
    let may_be_answered = moves || proof == Proof::Knowledge || !connection.has(flag::READ);
    if may_be_answered { Ok(()) } else { Err(DropReason::WrongOrigin.into()) }
}

/// Settles the way of what a client has not acknowledged, and is sent once more.
#[cold]
pub fn unheard(connection: &mut Connection, hosts: &HostTable, env: &Env) {
    let (back, client) = (connection.back, connection.client().near());
    let route = || env.snapshot.hop_or_seek(hosts.socket_address(client).ip());
    let other = if connection.backend == NO_BACKEND {
        // It was the kernel's choice from the beginning.
        route()
    } else {
        let mark = mark(connection);
        connection.new_hop.unheard(back, route, mark, env.now)
    };
    connection.back = other.unwrap_or(back);
}

fn ways(connection: &Connection, client: IpAddr, env: &Env) -> Ways {
    Ways { back: connection.back, route: env.snapshot.hop_or_seek(client) }
}

/// The mark of a client's progress: it changes with every packet of the client.
pub fn mark(connection: &Connection) -> u16 {
    connection.low_bytes[0] as u16
}

/// Whether a client's segment says or acknowledges something for the first time.
fn goes_on(connection: &Connection, tcp: &Tcp, len: u32) -> bool {
    advance(&mut connection.halves.clone(), 0, tcp, len)
}

/// Settles where the server is whose connection leaves by a rule, likewise.
///
/// # Errors
///
/// The packet is not from where the server is.
pub fn settle_server<A: Copy + Into<IpAddr>>(
    packet: &ConnectionPacket<A>,
    id: FlowId,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<()> {
    let connection = &mut state.connections[id];
    let from = packet.hop(ctx);
    if !packet.is_from_its_server(ctx) {
        return Err(DropReason::WrongOrigin.into());
    }
    if from == connection.fore() {
        return Ok(());
    }
    let route = ctx.snapshot.routes.hop(packet.addresses[0].into());
    let knows = packet.tcp.is_some_and(|tcp| knows(connection, false, &tcp, packet.len));
    if route == Some(from) || knows {
        connection.set_fore(from);
    } else if from.interface != connection.fore().interface {
        return Err(DropReason::WrongOrigin.into());
    }
    Ok(())
}

/// How much a client's packet proves of its sender.
fn proof<A: Copy>(connection: &Connection, packet: &ConnectionPacket<A>) -> Proof {
    match &packet.tcp {
        Some(tcp) if !connection.has(flag::AFFINITY) => {
            if knows(connection, true, tcp, packet.len) { Proof::Knowledge } else { Proof::Nothing }
        }
        Some(_) | None => Proof::Claim,
    }
}

/// Whether a segment's numbers are such as only its connection's ends know: it begins between what the other side has
/// acknowledged and a little more than was seen of its own, and acknowledges what is on the way (RFC 5961 §5).
fn knows(connection: &Connection, by_client: bool, tcp: &Tcp, len: u32) -> bool {
    let from = usize::from(!by_client);
    let (sender, receiver) = (connection.halves[from], connection.halves[1 - from]);
    let flags = tcp.flags();
    let is_known = sender.next != Half::UNKNOWN
        && (receiver.acked != Half::UNKNOWN || !connection.answers_seen());
    if flags.has(Flags::RST) || !(is_known || flags.has(Flags::SYN)) {
        return false;
    }
    let is_acknowledgement = flags.has(Flags::ACK)
        && receiver.next.since(tcp.acknowledgement()) <= receiver.next.since(sender.acked);
    if flags.has(Flags::SYN) {
        let is_same = tcp.sequence().after(len + 1) == sender.next;
        let is_new = connection.state == ConnectionState::HalfOpen;
        return is_new && if flags.has(Flags::ACK) { is_acknowledgement } else { is_same };
    }
    // Where the receiver is not seen, its sender tells.
    let least = if receiver.acked == Half::UNKNOWN { sender.next } else { receiver.acked };
    // A probe whether the other side lives repeats the last byte (RFC 9293 §3.8.4).
    let first = least.before(1);
    let is_in_window = tcp.sequence().since(first) <= sender.next.after(AHEAD).since(first);
    is_in_window && (is_acknowledgement || !connection.answers_seen())
}
