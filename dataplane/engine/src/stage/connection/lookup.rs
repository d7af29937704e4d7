//! Which connection is a packet part of? One that has begun, one that is expected, or a new one.

use super::seen::Seen;
use super::{begin, bond, data, policy, unnamed};
use crate::alg::End;
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::tuple::Tuple;
use crate::flow::view::Stage;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::classify::Side;
use crate::verdict::{Step, Verdict};
use std::net::{IpAddr, SocketAddr};
use wire::ip::PROTOCOL_TCP;

/// The packet's connection, which may have begun with it.
pub fn lookup<H: Family>(seen: &Seen<H::Address>, here: &Here, own: &mut Own) -> Step<FlowId> {
    let known = own.connections.find(&seen.tuple);
    let is_awaited = || {
        let expected = || expected(&seen.tuple.to_any_port(), own);
        known.or_else(expected).or_else(|| unnamed::control(seen, here, own)).is_some()
    };
    if !seen.is_from_its_server(here) && (seen.side == Side::Server || is_awaited()) {
        return Err(Reason::WrongOrigin.into());
    }
    if let Some(id) = known {
        if own.connections[id].stage == Stage::Expected {
            return data::complete::<H>(id, seen, here, own);
        }
        let is_another = || is_past(seen, id, here, own) || is_announced_anew(id, seen, own);
        if !(seen.opens() && is_another()) {
            return Ok(id);
        }
        own.end_connection(id, End::Replaced, here);
    }
    match seen.side {
        Side::Client(vip) => by_client::<H>(vip, seen, here, own),
        Side::Server | Side::ServerToClient => by_server::<H>(seen, here, own),
    }
}

/// Whether a packet that can begin a connection does not go on with this one, though it has the same ends.
fn is_past<A: Copy>(seen: &Seen<A>, id: FlowId, here: &Here, own: &Own) -> bool {
    let connection = &own.connections[id];
    // What such a server still says is heard.
    let is_left = || {
        let backend = here.tables.backends.get(usize::from(connection.backend));
        seen.is_by_client() && backend.is_some_and(|backend| !backend.serves())
    };
    match connection.stage {
        Stage::Closed => true,
        // Where the server's last word is not seen.
        Stage::Closing => !connection.answers_seen(),
        // Its server has died since it was chosen.
        Stage::HalfOpen => is_left(),
        // A datagram is as good a beginning as the first one was. The client of a TCP connection is told.
        Stage::Open => !connection.client().is_tcp() && is_left(),
        Stage::Expected => false,
    }
}

/// Whether it is expected between the ends of one that is about to be closed: they were announced once more.
fn is_announced_anew<A>(id: FlowId, seen: &Seen<A>, own: &Own) -> bool {
    own.connections[id].stage == Stage::Closing
        && [seen.tuple.from_any_port(), seen.tuple.to_any_port()]
            .iter()
            .any(|tuple| expected(tuple, own).is_some())
}

fn by_client<H: Family>(
    vip: u16,
    seen: &Seen<H::Address>,
    here: &Here,
    own: &mut Own,
) -> Step<FlowId> {
    if let Some(id) = expected(&seen.tuple.from_any_port(), own) {
        return data::complete::<H>(id, seen, here, own);
    }
    let (protocol, port) = (seen.tuple.protocol, seen.ports[1]);
    if let Some(service) = here.tables.service(vip, protocol, port) {
        if !seen.opens() {
            return Err(NO_CONNECTION);
        }
        return begin::begin::<H>(service, seen, here, own);
    }
    if protocol == PROTOCOL_TCP
        && let Some(step) = data::unread::<H>(vip, seen, here, own)
    {
        return step;
    }
    match here.tables.vips[usize::from(vip)].any {
        Some(service) => bond::any::<H>(service, vip, seen, here, own),
        None => Err(Reason::NoService.into()),
    }
}

fn by_server<H: Family>(seen: &Seen<H::Address>, here: &Here, own: &mut Own) -> Step<FlowId> {
    if let Some(id) = expected(&seen.tuple.to_any_port(), own) {
        return data::complete::<H>(id, seen, here, own);
    }
    if let Some(control) = unnamed::control(seen, here, own) {
        return unnamed::begin(control, seen, here, own);
    }
    if seen.side == Side::Server {
        return Err(if seen.tcp.is_some() { NO_CONNECTION } else { Reason::NoTransfer.into() });
    }
    match policy::lookup::<H>(seen, here, own) {
        Err(Verdict::Kernel) if is_departed(seen, here, own) => Err(Reason::NoTransfer.into()),
        step => step,
    }
}

/// Whether a server still answers a client that has left it: that must not reach it by the server's own address.
fn is_departed<A: Copy + Into<IpAddr>>(seen: &Seen<A>, here: &Here, own: &Own) -> bool {
    let [from, to] = seen.ports;
    let client = SocketAddr::new(seen.addresses[1].into(), to);
    seen.tcp.is_none() && own.departed.has(client, (seen.tuple.far(), from), here.now)
}

/// The connection that is expected between such ends.
fn expected(tuple: &Tuple, own: &Own) -> Option<FlowId> {
    own.connections.find(tuple).filter(|&id| own.connections[id].stage == Stage::Expected)
}

/// Of TCP, and of no connection.
pub const NO_CONNECTION: Verdict = Verdict::Drop(Reason::NoConnection);
