//! A client's segment of a connection that another gate saw open goes on where that has sent the ones before, and makes a
//! row: see [`crate::state::adoption`]. Of FTP that holds for data connections too, whose control connection is not known
//! here either.

use super::leave::leave;
use super::packet::ConnectionPacket;
use crate::alg::ftp::FIRST_DATA_PORT;
use crate::context::{BurstContext, Env};
use crate::flow::connection::{Connection, Half, flag, mark};
use crate::flow::state::ConnectionKind;
use crate::ip_family::IpFamily;
use crate::snapshot::Protocol;
use crate::snapshot::service::Service;
use crate::snapshot::vip::only_service;
use crate::state::WorkerState;
use crate::types::drop_reason::DropReason;
use crate::types::frame::Frame;
use crate::types::id::{BackendId, InterfaceId, ServiceId};
use crate::types::verdict::{Step, Verdict};
use std::net::IpAddr;
use wire::ip::{PROTOCOL_TCP, Split};
use wire::tcp::{Flags, Tcp};

/// The service that adopts a connection.
pub struct Adopter {
    service: ServiceId,
    /// The kind of connection.
    kind: ConnectionKind,
    /// The backend that the port belongs to, if it belongs to one.
    owner: Option<BackendId>,
}

/// The service by which a segment would be adopted that was found to be of no connection or service.
pub fn adopter<A: Copy + Into<IpAddr>>(
    packet: &ConnectionPacket<A>,
    why_not: Verdict,
    env: &Env,
    state: &WorkerState,
) -> Option<Adopter> {
    let is_unknown =
        matches!(why_not, Verdict::Drop(DropReason::NoConnection | DropReason::NoService));
    if !is_unknown || !packet.is_by_client() || packet.tcp.is_none() {
        return None;
    }
    let (snapshot, vip, port) = (env.snapshot, packet.tuple.vip(), packet.ports[1]);
    let adopts = |service: ServiceId| snapshot.adopts(service, packet.addresses[0].into());
    if let Some(service) = snapshot.service(vip, PROTOCOL_TCP, port) {
        let kind = ConnectionKind::Client;
        return (goes_on(packet) && adopts(service)).then_some(Adopter {
            service,
            kind,
            owner: None,
        });
    }
    let may_adopt = |service: ServiceId| may_be_data(packet, &snapshot[service]) && adopts(service);
    let owner = snapshot[vip].passive_owner(port);
    let affinity = || state.affinity(packet.tuple.near().host, vip, PROTOCOL_TCP);
    let backend = owner.or_else(|| affinity().map(|id| state.connections[id].backend));
    let service = match backend {
        Some(backend) => Some(env.backend(backend).service).filter(|&service| may_adopt(service)),
        None => only_service(&snapshot[vip].tcp, may_adopt),
    };
    Some(Adopter { service: service?, kind: ConnectionKind::Data, owner })
}

/// Whether a segment is from the middle of a connection.
fn goes_on<A: Copy>(packet: &ConnectionPacket<A>) -> bool {
    !packet.has(Flags::SYN) && (packet.has(Flags::ACK) || packet.has(Flags::RST))
}

/// Whether a segment to a port that is no service's may carry data of this one.
fn may_be_data<A: Copy>(packet: &ConnectionPacket<A>, service: &Service) -> bool {
    let Protocol::Ftp(ftp) = service.protocol else { return false };
    let port = packet.ports[1];
    let answers = packet.has(Flags::SYN | Flags::ACK) && !packet.ends();
    match port < FIRST_DATA_PORT {
        true => ftp.data_port == Some(port) && (goes_on(packet) || answers),
        false => goes_on(packet) || answers || packet.opens(),
    }
}

/// Takes the segment to the interface that it leaves by. A reset ends its connection, and makes no row.
#[cold]
pub fn adopt<H: IpFamily>(
    frame: &mut impl Frame,
    packet: &ConnectionPacket<H::Address>,
    Adopter { service, kind, owner }: Adopter,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<InterfaceId> {
    check_sum::<H>(frame, packet)?;
    let client = packet.addresses[0].into();
    let (host, vip) = (packet.tuple.near().host, packet.tuple.vip());
    let is_data = kind == ConnectionKind::Data;
    if packet.opens() && !state.has_quota(host, service, is_data, ctx) {
        return Err(DropReason::ClientFull.into());
    }
    let makes_row = !packet.has(Flags::RST) && state.has_room_for_connection();
    let backend = match owner.or_else(|| state.bound_to(host, vip, service, ctx)) {
        Some(backend) if ctx.backend(backend).is_reached() => backend,
        Some(_) => return Err(DropReason::BackendDown.into()),
        None => state.backend_elsewhere(client, service, ctx)?,
    };
    state.check_adoption_rate(makes_row, ctx)?;
    let back = packet.way_back(ctx);
    let mut connection = Connection::half_open(packet.tuple, backend, back, kind, ctx.now);
    connection.flags |= signs(packet);
    connection.mark(mark::ADOPTED, !packet.opens());
    connection.halves[0] = half(packet);
    connection.count(0, packet.offsets.total_len as u32);
    let WorkerState { hosts, deferred, counters, .. } = state;
    let interface = leave::<H>(frame, packet, &connection, ctx, (hosts, deferred, counters))?;
    if makes_row {
        state.enter_adopted_connection(client, connection, ctx);
    }
    Ok(interface)
}

/// Drops a damaged segment: its receiver would not take it, and its ports may be wrong.
fn check_sum<H: IpFamily>(
    frame: &mut impl Frame,
    packet: &ConnectionPacket<H::Address>,
) -> Step<()> {
    let Split { ip, body, .. } = packet.offsets.packet::<H>(frame.bytes_mut())?.split;
    let is_right =
        Tcp::split(body).is_some_and(|(tcp, options, data)| tcp.is_right(&*ip, options, data));
    if is_right { Ok(()) } else { Err(DropReason::BadTcp.into()) }
}

/// The flags of a connection that follow from the client's segment.
fn signs<A: Copy>(packet: &ConnectionPacket<A>) -> u8 {
    let answers = if packet.has(Flags::SYN | Flags::ACK) { flag::BY_SERVER } else { 0 };
    let is_done = if packet.has(Flags::FIN) { flag::CLIENT_DONE } else { 0 };
    answers | is_done
}

/// The client's progress.
fn half<A: Copy>(packet: &ConnectionPacket<A>) -> Half {
    let signs = [Flags::SYN, Flags::FIN].into_iter().filter(|&sign| packet.has(sign)).count();
    packet.tcp.map_or(Half::default(), |tcp| Half {
        next: tcp.sequence().after(packet.len + signs as u32),
        acked: tcp.acknowledgement(),
    })
}
