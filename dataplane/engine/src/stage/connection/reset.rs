//! Segments of our own: a reset for whoever talks to nobody, or to a server that is dead; an acknowledgement for whoever
//! would not go on without.

use super::seen::Seen;
use super::translate::vip;
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::connection::Turn;
use crate::frame::Frame;
use crate::here::Here;
use crate::own::Own;
use crate::stage::speak::Speech;
use crate::tables::Hop;
use crate::verdict::Verdict;
use std::net::SocketAddr;
use wire::ethernet::{self, Ethernet};
use wire::ip::{Ip, PROTOCOL_TCP};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tcp::{self, Flags, Says, Tcp};
use zerocopy::IntoBytes;

/// Takes a reset's options off: its receiver would drop one with a timestamp that is too old for it, or with a signature.
/// What ends the connection here ends it there.
pub fn make_plain<H: Family>(frame: &mut impl Frame) {
    let packet = frame.bytes_mut().get_mut(ethernet::HEADER..).unwrap_or_default();
    let segment = H::split(packet).ok().and_then(|split| Tcp::split(split.body));
    if let Some((tcp, options, _)) = segment {
        tcp.blank(options);
    }
}

/// Turns a segment that is for nobody into a reset (RFC 9293 §3.10.7.1); a reset is never answered.
pub fn refuse<H: Family>(
    frame: &mut impl Frame,
    seen: &Seen<H::Address>,
    here: &Here,
) -> Option<Verdict> {
    let tcp = seen.tcp.filter(|tcp| !tcp.flags().has(Flags::RST))?;
    let (sequence, acknowledgement, flags) = if tcp.flags().has(Flags::ACK) {
        (tcp.acknowledgement(), 0, Flags::RST)
    } else {
        let control =
            [Flags::SYN, Flags::FIN].into_iter().filter(|&flag| tcp.flags().has(flag)).count();
        let end = tcp.sequence().wrapping_add(seen.len).wrapping_add(control as u32);
        (0, end, Flags::RST | Flags::ACK)
    };
    answer::<H>(frame, seen, (sequence, acknowledgement), (flags, 0, &[]), here)
}

/// Turns a segment into one to its sender, with these numbers, flags, window and options.
pub fn answer<H: Family>(
    frame: &mut impl Frame,
    seen: &Seen<H::Address>,
    (sequence, acknowledgement): (u32, u32),
    (flags, window, options): (Flags, u16, &[u8]),
    here: &Here,
) -> Option<Verdict> {
    let ([from, to], [source, destination]) = (seen.addresses, seen.ports);
    let ip = H::new(PROTOCOL_TCP, to, from, tcp::HEADER + options.len());
    let says =
        Says { source: destination, destination: source, sequence, acknowledgement, flags, window };
    let words = words(&ip, &says, options, (here.mac, seen.station))?;
    if !frame.set_len(words.len()) {
        return None;
    }
    frame.bytes_mut().copy_from_slice(&words);
    Some(Verdict::Answer)
}

/// What the client of a connection is told whose server is dead, and where to; the connection is over.
pub fn cut_off(id: FlowId, here: &Here, own: &Own) -> Option<(Hop, Speech)> {
    let connection = own.connections.get(id).filter(|one| one.turn == Turn::CutOff)?;
    let client = connection.halves[0];
    let (from, to) = (vip(connection, here), own.hosts.socket_address(connection.client().near()));
    let says = Says {
        source: from.port(),
        destination: to.port(),
        sequence: client.acked,
        acknowledgement: client.next,
        flags: Flags::RST | Flags::ACK,
        window: 0,
    };
    let hop = connection.back;
    let macs = (here.tables.interfaces[usize::from(hop.interface)].mac, hop.mac);
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

fn words<H: Family>(
    ip: &H,
    says: &Says,
    options: &[u8],
    (source, destination): (ethernet::Mac, ethernet::Mac),
) -> Option<Speech> {
    let ethernet = Ethernet { destination, source, kind: H::ETHER_TYPE.into() };
    let tcp = Tcp::new(says, ip, options, &[]);
    let mut words = Speech::new();
    for bytes in [ethernet.as_bytes(), ip.as_bytes(), tcp.as_bytes(), options] {
        words.try_extend_from_slice(bytes).ok()?;
    }
    Some(words)
}
