//! Segments of our own: a reset for a sender that talks to nobody, or to a dead server; an acknowledgement for one that would
//! not go on without.

use super::packet::ConnectionPacket;
use crate::context::{BurstContext, Env};
use crate::flow::FlowId;
use crate::flow::connection::Turn;
use crate::ip_family::IpFamily;
use crate::stage::originate::OriginatedFrame;
use crate::stage::peer::vip_endpoint;
use crate::state::WorkerState;
use crate::types::frame::Frame;
use crate::types::next_hop::NextHop;
use crate::types::verdict::{Step, Verdict};
use std::net::SocketAddr;
use wire::ethernet::{self, Ethernet};
use wire::ip::{Ip, PROTOCOL_TCP, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tcp::{self, Flags, SegmentFields, SeqNumber, Tcp};
use zerocopy::IntoBytes;

/// Takes a reset's options off: its receiver would drop one with a timestamp that is too old for it, or with a signature.
/// What ends the connection here ends it there.
pub fn make_plain<H: IpFamily>(
    frame: &mut impl Frame,
    packet: &ConnectionPacket<H::Address>,
) -> Step<()> {
    let Split { body, .. } = packet.offsets.packet::<H>(frame.bytes_mut())?.split;
    if let Some((tcp, options, _)) = Tcp::split(body) {
        tcp.blank(options);
    }
    Ok(())
}

/// Turns a segment that is for nobody into a reset (RFC 9293 §3.10.7.1); a reset is never answered.
pub fn refuse<H: IpFamily>(
    frame: &mut impl Frame,
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
) -> Option<Verdict> {
    let tcp = packet.tcp.filter(|tcp| !tcp.flags().has(Flags::RST))?;
    let (sequence, acknowledgement, flags) = if tcp.flags().has(Flags::ACK) {
        (tcp.acknowledgement(), SeqNumber(0), Flags::RST)
    } else {
        let control =
            [Flags::SYN, Flags::FIN].into_iter().filter(|&flag| tcp.flags().has(flag)).count();
        let end = tcp.sequence().after(packet.len).after(control as u32);
        (SeqNumber(0), end, Flags::RST | Flags::ACK)
    };
    answer::<H>(frame, packet, (sequence, acknowledgement), (flags, 0, &[]), ctx)
}

/// Turns a segment into one to its sender, with these numbers, flags, window and options.
pub fn answer<H: IpFamily>(
    frame: &mut impl Frame,
    packet: &ConnectionPacket<H::Address>,
    (sequence, acknowledgement): (SeqNumber, SeqNumber),
    (flags, window, options): (Flags, u16, &[u8]),
    ctx: &BurstContext,
) -> Option<Verdict> {
    let ([from, to], [source, destination]) = (packet.addresses, packet.ports);
    let ip = H::new(PROTOCOL_TCP, to, from, tcp::HEADER + options.len());
    let says = SegmentFields {
        source: destination,
        destination: source,
        sequence,
        acknowledgement,
        flags,
        window,
    };
    let words = words(&ip, &says, options, (ctx.mac, packet.source_mac))?;
    if !frame.set_len(words.len()) {
        return None;
    }
    frame.bytes_mut().copy_from_slice(&words);
    Some(Verdict::Answer)
}

/// Builds the reset for the client of a connection whose server is dead; returns the next hop, too. The connection is over.
/// `None`: the connection is another gate's now.
pub fn reset_cut_off(
    id: FlowId,
    env: &Env,
    state: &WorkerState,
) -> Option<(NextHop, OriginatedFrame)> {
    let connection = state.connections.get(id).filter(|one| one.turn == Turn::CutOff)?;
    if !state.has_connection(connection, env) {
        return None;
    }
    let client = connection.halves[0];
    let (from, to) =
        (vip_endpoint(connection, env), state.hosts.socket_address(connection.client().near()));
    let says = SegmentFields {
        source: from.port(),
        destination: to.port(),
        sequence: client.acked,
        acknowledgement: client.next,
        flags: Flags::RST | Flags::ACK,
        window: 0,
    };
    let hop = connection.back;
    let macs = (env.snapshot[hop.interface].mac, hop.mac);
    let words = match (from, to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            words(&Ipv4::new(PROTOCOL_TCP, *from.ip(), *to.ip(), tcp::HEADER), &says, &[], macs)
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            words(&Ipv6::new(PROTOCOL_TCP, *from.ip(), *to.ip(), tcp::HEADER), &says, &[], macs)
        }
        _ => None,
    };
    Some((hop, words?))
}

fn words<H: IpFamily>(
    ip: &H,
    says: &SegmentFields,
    options: &[u8],
    (source, destination): (ethernet::Mac, ethernet::Mac),
) -> Option<OriginatedFrame> {
    let ethernet = Ethernet { destination, source, kind: H::ETHER_TYPE.into() };
    let tcp = Tcp::new(says, ip, options, &[]);
    let mut words = OriginatedFrame::new();
    for bytes in [ethernet.as_bytes(), ip.as_bytes(), tcp.as_bytes(), options] {
        words.try_extend_from_slice(bytes).ok()?;
    }
    Some(words)
}
