//! Frames of our own making: what a dead server's transfer needs ([`super::rescue`]).

use super::edit::Edit;
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::record::{Flow, Rescue};
use crate::here::Here;
use crate::own::Own;
use crate::tables::Hop;
use arrayvec::ArrayVec;
use std::net::{IpAddr, SocketAddr};
use wire::ethernet::{Ethernet, Mac};
use wire::ip::PROTOCOL_UDP;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::udp::{self, Udp};
use zerocopy::IntoBytes;

/// A frame.
pub type Speech = ArrayVec<u8, 256>;

/// What a client is told whose server is lost.
const LOST: &[u8] = b"\x00\x05\x00\x00The server is gone\x00";

/// What is to be said about a transfer, and where to; `None`: nothing any more.
pub fn speak(id: FlowId, here: &Here, own: &mut Own) -> Option<(Hop, Speech)> {
    let (flow, detail) = own.flows.both(id);
    detail.catch_up.queued = 0;
    let block = detail.catch_up.at as u16;
    match flow.rescue {
        Rescue::None | Rescue::Due | Rescue::Over => None,
        Rescue::Asking if flow.tid().is_some() => None,
        Rescue::Asking => {
            let mut request = Speech::try_from(detail.request.whole()?).ok()?;
            let edit = Edit::again(detail.terms.blksize(), flow, here);
            if let Some(edit) = edit {
                let len = edit.apply(&mut request, here);
                request.truncate(len);
            }
            to_server(id, &request, here, own)
        }
        Rescue::CatchingUp => {
            let ack = detail.terms.ack(block, 1);
            to_server(id, &ack, here, own)
        }
        Rescue::Arrived => {
            flow.rescue = Rescue::None;
            let ack = detail.terms.ack(block, flow.window);
            to_server(id, &ack, here, own)
        }
        Rescue::Lost => to_client(&own.flows[id], here, own),
    }
}

/// In the client's place.
fn to_server(id: FlowId, message: &[u8], here: &Here, own: &Own) -> Option<(Hop, Speech)> {
    let flow = &own.flows[id];
    let backend = &here.tables.backends[usize::from(flow.backend)];
    let port = flow.tid().unwrap_or(here.tables.service_of(flow.backend).port);
    let from = own.hosts.socket_address(flow.seen_as());
    let to = SocketAddr::new(*backend.address(flow.alias), port);
    let hop = backend.hop?;
    Some((hop, datagram(from, to, hop, message, here)?))
}

/// In the server's place.
fn to_client(flow: &Flow, here: &Here, own: &Own) -> Option<(Hop, Speech)> {
    let vip = here.tables.vips[usize::from(flow.vip())].address;
    let from = SocketAddr::new(vip, flow.client_tid()?);
    let to = own.hosts.socket_address(flow.client());
    Some((flow.back, datagram(from, to, flow.back, LOST, here)?))
}

fn datagram(
    from: SocketAddr,
    to: SocketAddr,
    hop: Hop,
    message: &[u8],
    here: &Here,
) -> Option<Speech> {
    let mac = here.tables.interfaces[usize::from(hop.interface)].mac;
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

fn frame<H: Family>(
    (source, destination): (Mac, Mac),
    from: H::Address,
    to: H::Address,
    ports: (u16, u16),
    message: &[u8],
) -> Option<Speech> {
    let ethernet = Ethernet { destination, source, kind: H::ETHER_TYPE.into() };
    let ip = H::new(PROTOCOL_UDP, from, to, udp::HEADER + message.len());
    let udp = Udp::new(ports.0, ports.1, &ip, message);
    let mut frame = Speech::new();
    for bytes in [ethernet.as_bytes(), ip.as_bytes(), udp.as_bytes(), message] {
        frame.try_extend_from_slice(bytes).ok()?;
    }
    Some(frame)
}
