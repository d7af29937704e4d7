//! The first fragment of a datagram names the ports: it goes the way of an unfragmented one.

use crate::context::{BurstContext, Env};
use crate::flow::fragment_table::{FlowRef, FragmentPath};
use crate::ip_family::IpFamily;
use crate::stage::classify::classify;
use crate::stage::connection;
use crate::stage::parse::{Datagram, Offsets, Packet};
use crate::stage::tftp::lookup::{Found, lookup, transfer};
use crate::stage::tftp::slow_path::slow_path;
use crate::state::WorkerState;
use crate::types::direction::{Direction, KeyKind};
use crate::types::drop_reason::DropReason;
use crate::types::frame::Frame;
use crate::types::id::{BackendId, InterfaceId};
use crate::types::mode::Mode;
use crate::types::verdict::{Step, Unclaimed};
use wire::ethernet;
use wire::ip::Split;
use wire::udp::{self, Udp};

/// Takes a first fragment to the interface that it leaves by; returns the path for the later ones, too.
pub fn first<H: IpFamily>(
    frame: &mut impl Frame,
    offsets: Offsets,
    index: usize,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<(FragmentPath, InterfaceId)> {
    let of_transfer = of_transfer::<H>(frame, offsets, index, ctx, state)?;
    let FirstFragment { flow, backend, direction, interface } = match of_transfer {
        Some(fragment) => fragment,
        None => of_connection::<H>(frame, offsets, index, ctx, state)?,
    };
    let id = is_one_of_many(backend, direction, ctx).then(|| state.next_id());
    if let Some(id) = id {
        renumber::<H>(frame, index, id, state);
    }
    Ok((FragmentPath { flow, direction, id }, interface))
}

/// A first fragment that goes on.
struct FirstFragment {
    flow: FlowRef,
    backend: BackendId,
    direction: Direction,
    interface: InterfaceId,
}

/// Takes a first fragment of a transfer. `None`: the fragment is of a connection, which it may begin.
fn of_transfer<H: IpFamily>(
    frame: &mut impl Frame,
    offsets: Offsets,
    index: usize,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<Option<FirstFragment>> {
    let Packet { ethernet, split: Split { ip, body, .. } } =
        offsets.packet::<H>(frame.bytes_mut())?;
    let (udp, data) = Udp::split_fragment::<H>(body).ok_or(DropReason::Fragment)?;
    let whole = udp.total_len() - udp::HEADER;
    let datagram = Datagram { ethernet, ip, udp, data };
    let mut packet = match classify(datagram, index, ctx, state) {
        Ok(packet) => packet,
        // A rule may be for what a server sends by itself.
        Err(Unclaimed::Foreign) if ctx.snapshot.has_rules => return Ok(None),
        Err(unclaimed) => return Err(unclaimed.into()),
    };
    let Found::Tftp(found) = lookup(&packet, ctx, state)? else { return Ok(None) };
    let interface = slow_path(&mut packet, found, whole, ctx, state)?;
    let (key, direction) = (packet.key, packet.direction);
    let id = transfer(&packet, ctx, state).ok_or(DropReason::NoTransfer)?;
    let backend = state.transfers[id].backend;
    Ok(Some(FirstFragment { flow: FlowRef::Transfer(id, key), backend, direction, interface }))
}

fn of_connection<H: IpFamily>(
    frame: &mut impl Frame,
    offsets: Offsets,
    index: usize,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FirstFragment> {
    let (id, direction, interface) =
        connection::first_fragment::<H>(frame, offsets, index, ctx, state)?;
    let connection = &state.connections[id];
    let tuple = match direction.key_kind() {
        KeyKind::Client => connection.client(),
        KeyKind::Server => connection.server(),
    };
    let flow = FlowRef::Connection(id, tuple);
    Ok(FirstFragment { flow, backend: connection.backend, direction, interface })
}

/// Whether the receiver sees several senders as one, whose numbers are not to clash: clients behind a pool, or servers
/// that a rule has leave as a VIP.
fn is_one_of_many(backend: BackendId, direction: Direction, env: &Env) -> bool {
    let backend = env.snapshot.find_backend(backend);
    let service = backend.map(|backend| &env.snapshot[backend.service]);
    match (direction.key_kind(), service) {
        (KeyKind::Client, Some(service)) => matches!(service.mode, Mode::Snat(_)),
        (KeyKind::Client, None) | (KeyKind::Server, Some(_)) => false,
        (KeyKind::Server, None) => true,
    }
}

fn renumber<H: IpFamily>(frame: &mut impl Frame, index: usize, id: u16, state: &mut WorkerState) {
    let packet = frame.bytes_mut().get_mut(ethernet::HEADER..).unwrap_or_default();
    if let Ok((ip, _)) = H::mut_from_prefix(packet) {
        ip.renumber(id);
    }
    // IPv6 has it elsewhere.
    if let Some((at, new)) = state.deferred.xlat.last_mut()
        && *at == index
    {
        new.id = Some(id);
    }
}
