//! Which transfer or connection a frame belongs to, for captures. It is asked beside the frame's way, and changes nothing:
//! the way itself has no cost of it.
//!
//! A frame is identified before the engine rewrites it, and its flow is looked up before and afterwards: a request has its
//! transfer only then, and the last packet of a connection had one before.

use crate::context::BurstContext;
use crate::flow::FlowId;
use crate::flow::connection::NO_BACKEND;
use crate::flow::endpoint::{Endpoint, HostId};
use crate::flow::host_table::HostTable;
use crate::flow::key::{Key, KeyPeer};
use crate::flow::summary::{FlowState, FlowSummary};
use crate::flow::tuple::{ANY_PROTOCOL, Tuple};
use crate::ip_family::IpFamily;
use crate::snapshot::Snapshot;
use crate::stage::classify::Ends;
use crate::stage::connection::packet::whose;
use crate::stage::parse::ether_type;
use crate::state::WorkerState;
use crate::types::direction::Direction;
use std::net::{IpAddr, SocketAddr};
use wire::ethernet;
use wire::icmp::{is_error, split_error};
use wire::ip::{Ip, PROTOCOL_TCP, PROTOCOL_UDP, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;

/// The facts in a frame's headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Source and destination.
    pub addresses: [IpAddr; 2],
    /// The datagram that the frame has a fragment of.
    pub datagram: Option<DatagramId>,
    /// The ends by which the frame's flow is found. A later fragment has none.
    pub ends: Option<FlowEnds>,
}

/// A datagram in fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatagramId {
    addresses: [IpAddr; 2],
    protocol: u8,
    id: u32,
}

/// The ends by which a flow is found. They have addresses, not host ids: a new client has no id yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowEnds {
    direction: Direction,
    protocol: u8,
    /// The client, or the endpoint that stands for it.
    near: SocketAddr,
    /// The number of the VIP or server.
    far: KeyPeer,
    /// The VIP's or the server's endpoint.
    other: SocketAddr,
}

/// Source and destination of a frame's packet, whatever else is wrong with it.
pub fn addresses(frame: &[u8]) -> Option<[IpAddr; 2]> {
    let packet = frame.get(ethernet::HEADER..)?;
    match ether_type(frame).ok()? {
        Ipv4::ETHER_TYPE => addresses_of::<Ipv4>(packet),
        Ipv6::ETHER_TYPE => addresses_of::<Ipv6>(packet),
        _ => None,
    }
}

fn addresses_of<H: IpFamily>(packet: &[u8]) -> Option<[IpAddr; 2]> {
    let (ip, _) = H::ref_from_prefix(packet).ok()?;
    Some([ip.source().into(), ip.destination().into()])
}

/// Identifies a frame that came in; with `is_sent`, one that leaves.
pub fn identify(frame: &mut [u8], is_sent: bool, ctx: &BurstContext) -> Option<Identity> {
    let ether_type = ether_type(frame).ok()?;
    let packet = frame.get_mut(ethernet::HEADER..)?;
    match ether_type {
        Ipv4::ETHER_TYPE => identify_packet::<Ipv4>(packet, is_sent, ctx),
        Ipv6::ETHER_TYPE => identify_packet::<Ipv6>(packet, is_sent, ctx),
        _ => None,
    }
}

fn identify_packet<H: IpFamily>(
    packet: &mut [u8],
    is_sent: bool,
    ctx: &BurstContext,
) -> Option<Identity> {
    let addresses = addresses_of::<H>(packet)?;
    let Ok(split) = H::split(packet) else {
        return Some(Identity { addresses, datagram: None, ends: None });
    };
    let protocol = split.protocol;
    let datagram = split.fragment.map(|part| DatagramId { addresses, protocol, id: part.id });
    Some(Identity { addresses, datagram, ends: ends(split, is_sent, ctx) })
}

/// The ends of a packet, or of the one that an ICMP error is about: that one went the other way.
fn ends<H: IpFamily>(split: Split<H>, is_sent: bool, ctx: &BurstContext) -> Option<FlowEnds> {
    let Split { ip, protocol, fragment, body } = split;
    if fragment.is_some_and(|part| part.offset > 0) {
        return None;
    }
    if protocol == H::ICMP && is_error::<H>(body) {
        let quoted = split_error(ip, body)?;
        let ports = (quoted.source(), quoted.destination());
        return between(*quoted.ip, quoted.protocol, ports, !is_sent, ctx);
    }
    between(*ip, protocol, ports(protocol, body), is_sent, ctx)
}

/// Source and destination port; zeroes, if the protocol has none.
fn ports(protocol: u8, body: &[u8]) -> (u16, u16) {
    match body {
        &[a, b, c, d, ..] if [PROTOCOL_TCP, PROTOCOL_UDP].contains(&protocol) => {
            (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
        }
        _ => (0, 0),
    }
}

fn between<H: IpFamily>(
    mut ip: H,
    protocol: u8,
    (mut from, mut to): (u16, u16),
    is_sent: bool,
    ctx: &BurstContext,
) -> Option<FlowEnds> {
    if is_sent {
        // Its flow is that of an answer to it.
        let _unread_checksums = ip.set_addresses(ip.destination(), ip.source());
        (from, to) = (to, from);
    }
    let Ends { direction, near, port, far } = whose(&ip, protocol, (from, to), ctx).ok()?;
    let other: (IpAddr, u16) = match direction {
        Direction::ToServer(_) => (ip.destination().into(), to),
        Direction::ToSnat | Direction::ToClient => (ip.source().into(), from),
    };
    let near = SocketAddr::new(near.into(), port);
    Some(FlowEnds { direction, protocol, near, far, other: other.into() })
}

/// The flow between these ends. Without one, the service that they ask for.
pub fn flow_between(
    ends: &FlowEnds,
    snapshot: &Snapshot,
    state: &WorkerState,
) -> Option<FlowSummary> {
    let of_service = || service_between(ends, snapshot);
    transfer(ends, snapshot, state)
        .or_else(|| connection(ends, snapshot, state))
        .or_else(of_service)
}

fn transfer(ends: &FlowEnds, snapshot: &Snapshot, state: &WorkerState) -> Option<FlowSummary> {
    let WorkerState { transfers, hosts, .. } = state;
    let (kind, key) = (ends.direction.key_kind(), Key::of(endpoint(ends.near, hosts), ends.far));
    let found = transfers.find(kind, key).filter(|_| ends.protocol == PROTOCOL_UDP)?;
    // The one that waits beside it has another TID.
    let newcomer = transfers.newcomer(found).filter(|&newcomer| {
        let newcomer = &transfers[newcomer];
        newcomer.is(kind, key) && newcomer.tid() == Some(ends.other.port())
    });
    let flow = &transfers[newcomer.unwrap_or(found)];
    Some(FlowSummary {
        client: hosts.socket_address(flow.client()),
        service: snapshot.find_backend(flow.backend).map(|backend| backend.service),
        backend: Some(flow.backend),
        by_client: ends.direction.is_to_server(),
        state: FlowState::Transfer(flow.state, flow.tid()),
    })
}

fn connection(ends: &FlowEnds, snapshot: &Snapshot, state: &WorkerState) -> Option<FlowSummary> {
    let connection = &state.connections[find_connection(ends, state)?];
    let backend = Some(connection.backend).filter(|&backend| backend != NO_BACKEND);
    let found = backend.and_then(|backend| snapshot.find_backend(backend));
    Some(FlowSummary {
        client: state.hosts.socket_address(connection.client().near()),
        service: found.map(|backend| backend.service),
        backend,
        by_client: ends.direction.is_to_server(),
        state: FlowState::Connection(connection.state),
    })
}

fn find_connection(ends: &FlowEnds, state: &WorkerState) -> Option<FlowId> {
    let WorkerState { connections, hosts, .. } = state;
    let (near, port, protocol) = (endpoint(ends.near, hosts), ends.other.port(), ends.protocol);
    match ends.far {
        KeyPeer::Vip(vip) => {
            let known = connections.find(&Tuple::at_vip(near, vip, port, protocol));
            known.or_else(|| state.affinity(near.host, vip, ANY_PROTOCOL))
        }
        KeyPeer::Server(server) => {
            let known = connections.find(&Tuple::at_server(near, server, port, protocol));
            let by_host = || Tuple::at_host(near, endpoint(ends.other, hosts), protocol);
            known.or_else(|| connections.find(&by_host()))
        }
    }
}

fn service_between(ends: &FlowEnds, snapshot: &Snapshot) -> Option<FlowSummary> {
    let KeyPeer::Vip(vip) = ends.far else { return None };
    let service = snapshot.service(vip, ends.protocol, ends.other.port());
    Some(FlowSummary {
        client: ends.near,
        service: service.or(snapshot[vip].any),
        backend: None,
        by_client: true,
        state: FlowState::None,
    })
}

fn endpoint(end: SocketAddr, hosts: &HostTable) -> Endpoint {
    let host = match end.ip() {
        IpAddr::V4(address) => HostId::v4(address),
        IpAddr::V6(address) => hosts.find(address),
    };
    Endpoint { host, port: end.port() }
}
