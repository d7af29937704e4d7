//! Frames of our own making: what a dead server's transfer needs ([`super::tftp::failover`]).

use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::transfer::{Failover, Transfer};
use crate::ip_family::IpFamily;
use crate::stage::tftp::options::{apply, limits_again};
use crate::state::WorkerState;
use crate::types::next_hop::NextHop;
use arrayvec::ArrayVec;
use std::net::{IpAddr, SocketAddr};
use wire::ethernet::{Ethernet, Mac};
use wire::ip::PROTOCOL_UDP;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::udp::{self, Udp};
use zerocopy::IntoBytes;

/// A frame.
pub type OriginatedFrame = ArrayVec<u8, 256>;

/// The ERROR for a client whose server is lost.
const LOST: &[u8] = b"\x00\x05\x00\x00The server is gone\x00";

/// Builds the next frame about a transfer; returns the next hop, too. `None`: nothing is left to send, or the transfer is
/// another gate's for now, and stays as it is.
pub fn originate(
    id: FlowId,
    env: &Env,
    state: &mut WorkerState,
) -> Option<(NextHop, OriginatedFrame)> {
    state.transfers.both(id).1.takeover.queued = 0;
    if !state.has_transfer(&state.transfers[id], env) {
        return None;
    }
    let (flow, detail) = state.transfers.both(id);
    let block = detail.takeover.at as u16;
    match flow.failover {
        Failover::None | Failover::Due | Failover::Over => None,
        Failover::Asking if flow.tid().is_some() => None,
        Failover::Asking => {
            let mut request = OriginatedFrame::try_from(detail.request.whole()?).ok()?;
            let edit = limits_again(detail.terms.blksize(), flow, env);
            if let Some(edit) = edit {
                let len = apply(&edit, &mut request, env);
                request.truncate(len);
            }
            to_server(id, &request, env, state)
        }
        Failover::CatchingUp => {
            let ack = detail.terms.ack(block, 1);
            to_server(id, &ack, env, state)
        }
        Failover::Arrived => {
            flow.failover = Failover::None;
            let ack = detail.terms.ack(block, flow.window);
            to_server(id, &ack, env, state)
        }
        Failover::Lost => to_client(&state.transfers[id], env, state),
    }
}

/// In the client's place.
fn to_server(
    id: FlowId,
    message: &[u8],
    env: &Env,
    state: &WorkerState,
) -> Option<(NextHop, OriginatedFrame)> {
    let flow = &state.transfers[id];
    let backend = &env.snapshot[flow.backend];
    let port = flow.tid().unwrap_or(env.snapshot.service_of(flow.backend).port);
    let from = state.hosts.socket_address(flow.seen_as());
    let to = SocketAddr::new(*backend.address(flow.alias), port);
    let hop = backend.hop?;
    Some((hop, datagram(from, to, hop, message, env)?))
}

/// In the server's place.
fn to_client(
    flow: &Transfer,
    env: &Env,
    state: &WorkerState,
) -> Option<(NextHop, OriginatedFrame)> {
    let vip = env.snapshot[flow.vip()].address;
    let from = SocketAddr::new(vip, flow.client_tid()?);
    let to = state.hosts.socket_address(flow.client());
    Some((flow.back, datagram(from, to, flow.back, LOST, env)?))
}

fn datagram(
    from: SocketAddr,
    to: SocketAddr,
    hop: NextHop,
    message: &[u8],
    env: &Env,
) -> Option<OriginatedFrame> {
    let mac = env.snapshot[hop.interface].mac;
    let ports = (from.port(), to.port());
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            frame::<Ipv4>((mac, hop.mac), from, to, ports, message)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            frame::<Ipv6>((mac, hop.mac), from, to, ports, message)
        }
        _ => None,
    }
}

fn frame<H: IpFamily>(
    (source, destination): (Mac, Mac),
    from: H::Address,
    to: H::Address,
    ports: (u16, u16),
    message: &[u8],
) -> Option<OriginatedFrame> {
    let ethernet = Ethernet { destination, source, kind: H::ETHER_TYPE.into() };
    let ip = H::new(PROTOCOL_UDP, from, to, udp::HEADER + message.len());
    let udp = Udp::new(ports.0, ports.1, &ip, message);
    let mut frame = OriginatedFrame::new();
    for bytes in [ethernet.as_bytes(), ip.as_bytes(), udp.as_bytes(), message] {
        frame.try_extend_from_slice(bytes).ok()?;
    }
    Some(frame)
}
