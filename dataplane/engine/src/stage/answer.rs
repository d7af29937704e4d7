//! Packets that are turned into an answer to their sender.

use super::admit::Packet;
use crate::frame::Frame;
use crate::reason::Reason;
use crate::verdict::Verdict;
use wire::ethernet::{self, Ethernet, Mac};
use wire::icmp;
use wire::ipv4::{self, Ipv4, PROTOCOL_UDP};
use wire::tftp::{Message, UNKNOWN_TID};
use wire::udp::{self, Udp};
use zerocopy::IntoBytes;

/// Answers an echo request to one of our addresses; other ICMP is for no service.
pub fn echo(packet: Packet, mac: Mac) -> Verdict {
    let Packet { ethernet, ip, body } = packet;
    if !icmp::answer_echo(body) {
        return Reason::NoService.into();
    }
    // ICMP's checksum covers no addresses.
    let _ = ip.set_addresses(ip.destination(), ip.source());
    ip.renew();
    turn_round(ethernet, mac);
    Verdict::Answer
}

/// Tells a server that its port is no transfer's (ERROR 5, RFC 1350 §4), as its client would; the
/// client hears nothing of it. An ERROR is never answered.
pub fn unknown_tid(frame: &mut impl Frame, mac: Mac) -> Verdict {
    const UDP_AT: usize = ethernet::HEADER + ipv4::HEADER;
    const DATA_AT: usize = UDP_AT + udp::HEADER;
    let Some((mut ethernet, ip, udp)) = ends(frame.bytes_mut()) else {
        return Reason::StrayTid.into();
    };
    if !frame.set_len(DATA_AT + UNKNOWN_TID.len()) {
        return Reason::StrayTid.into();
    }
    turn_round(&mut ethernet, mac);
    let ip =
        Ipv4::new(PROTOCOL_UDP, ip.destination(), ip.source(), udp::HEADER + UNKNOWN_TID.len());
    let udp = Udp::new(udp.destination(), udp.source(), &ip, UNKNOWN_TID);
    let bytes = frame.bytes_mut();
    bytes[..ethernet::HEADER].copy_from_slice(ethernet.as_bytes());
    bytes[ethernet::HEADER..UDP_AT].copy_from_slice(ip.as_bytes());
    bytes[UDP_AT..DATA_AT].copy_from_slice(udp.as_bytes());
    bytes[DATA_AT..].copy_from_slice(UNKNOWN_TID);
    Verdict::Answer
}

/// The headers of a datagram that is to be told so; `None` for an ERROR.
fn ends(frame: &mut [u8]) -> Option<(Ethernet, Ipv4, Udp)> {
    let (ethernet, rest) = frame.split_at_mut_checked(ethernet::HEADER)?;
    let (ip, body) = Ipv4::split(rest).ok()?;
    let (udp, data) = Udp::split(body)?;
    let is_error = matches!(Message::parse(data), Ok(Message::Error { .. }));
    let ethernet = <Ethernet as zerocopy::FromBytes>::read_from_bytes(ethernet).ok()?;
    (!is_error).then_some((ethernet, *ip, *udp))
}

/// The frame may have come by broadcast: our own address is the one to answer from.
fn turn_round(ethernet: &mut Ethernet, mac: Mac) {
    ethernet.destination = ethernet.source;
    ethernet.source = mac;
}
