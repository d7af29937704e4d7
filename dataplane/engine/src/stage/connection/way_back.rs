//! Which way a connection's packets go back: see [`crate::flow::new_hop`].

use super::follow::advance;
use super::seen::Seen;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, NO_BACKEND, flag};
use crate::flow::hosts::Hosts;
use crate::flow::new_hop::{Arrival, Proof, Ways};
use crate::flow::view::Stage;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::verdict::Step;
use std::net::IpAddr;
use wire::tcp::{Flags, Tcp};

/// Bytes that a client may be ahead of what was seen of it, as some of that may have got lost on the old way.
const AHEAD: u32 = 1 << 16;

/// Settles the way back to a connection's client by one more of its packets.
///
/// # Errors
///
/// The connection is read, and answers to this packet would go to a station that does not know the connection.
pub fn settle<A: Copy + Into<IpAddr>>(
    seen: &Seen<A>,
    id: FlowId,
    here: &Here,
    own: &mut Own,
) -> Step<()> {
    let connection = &mut own.connections[id];
    let from = seen.hop(here);
    if !seen.is_by_client() {
        return Ok(());
    }
    if from == connection.back {
        // Datagrams prove nothing of what their sender hears; the kernel may have found it since.
        if seen.tcp.is_none() {
            connection.back = seen.way_back(here);
        }
        return Ok(());
    }
    let proof = proof(connection, seen);
    let ways = ways(connection, seen.addresses[0].into(), here);
    let moves = if connection.backend == NO_BACKEND {
        ways.route == Some(from) || proof == Proof::Knowledge
    } else {
        let goes_on = seen.tcp.is_some_and(|tcp| goes_on(connection, &tcp, seen.len));
        let packet = Arrival { from, proof, goes_on, mark: mark(connection) };
        connection.new_hop.takes_over(&packet, &ways, here.now)
    };
    if moves {
        connection.back = from;
    }
    let may_be_answered = moves || proof == Proof::Knowledge || !connection.has(flag::READ);
    if may_be_answered { Ok(()) } else { Err(Reason::WrongOrigin.into()) }
}

/// Settles the way of what a client has not acknowledged, and is sent once more.
#[cold]
pub fn unheard(connection: &mut Connection, hosts: &Hosts, here: &Here) {
    let (back, client) = (connection.back, connection.client().near());
    let route = || here.tables.hop_or_seek(hosts.socket_address(client).ip());
    let other = if connection.backend == NO_BACKEND {
        // It was the kernel's choice from the beginning.
        route()
    } else {
        let mark = mark(connection);
        connection.new_hop.unheard(back, route, mark, here.now)
    };
    connection.back = other.unwrap_or(back);
}

fn ways(connection: &Connection, client: IpAddr, here: &Here) -> Ways {
    Ways { back: connection.back, route: here.tables.hop_or_seek(client) }
}

/// Changes with every packet of the client.
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
    seen: &Seen<A>,
    id: FlowId,
    here: &Here,
    own: &mut Own,
) -> Step<()> {
    let connection = &mut own.connections[id];
    let from = seen.hop(here);
    if !seen.is_from_its_server(here) {
        return Err(Reason::WrongOrigin.into());
    }
    if from == connection.fore() {
        return Ok(());
    }
    let route = here.tables.routes.hop(seen.addresses[0].into());
    let knows = seen.tcp.is_some_and(|tcp| knows(connection, false, &tcp, seen.len));
    if route == Some(from) || knows {
        connection.set_fore(from);
    } else if from.interface != connection.fore().interface {
        return Err(Reason::WrongOrigin.into());
    }
    Ok(())
}

/// What a client's packet proves of its sender.
fn proof<A: Copy>(connection: &Connection, seen: &Seen<A>) -> Proof {
    match &seen.tcp {
        Some(tcp) if !connection.has(flag::BOND) => {
            if knows(connection, true, tcp, seen.len) {
                Proof::Knowledge
            } else {
                Proof::Nothing
            }
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
    if flags.has(Flags::RST) {
        return false;
    }
    let is_acknowledgement = flags.has(Flags::ACK)
        && receiver.next.wrapping_sub(tcp.acknowledgement())
            <= receiver.next.wrapping_sub(sender.acked);
    if flags.has(Flags::SYN) {
        let is_same = tcp.sequence().wrapping_add(len + 1) == sender.next;
        let is_new = connection.stage == Stage::HalfOpen;
        return is_new && if flags.has(Flags::ACK) { is_acknowledgement } else { is_same };
    }
    // Where the receiver is not seen, its sender tells.
    let least = if receiver.acked == 0 { sender.next } else { receiver.acked };
    // A probe whether the other side lives repeats the last byte (RFC 9293 §3.8.4).
    let first = least.wrapping_sub(1);
    let is_in_window =
        tcp.sequence().wrapping_sub(first) <= sender.next.wrapping_sub(first).wrapping_add(AHEAD);
    is_in_window && (is_acknowledgement || !connection.answers_seen())
}
