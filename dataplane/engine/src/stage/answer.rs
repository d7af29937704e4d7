//! Packets that are turned into an answer to their sender.

use super::admit::{Packet, ether_type};
use crate::family::Family;
use crate::frame::Frame;
use crate::reason::Reason;
use crate::verdict::Verdict;
use wire::ethernet::{self, Ethernet, Mac};
use wire::icmp;
use wire::ip::{HOPS, Ip, PROTOCOL_UDP, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tftp::{Message, UNKNOWN_TID};
use wire::udp::{self, Udp};
use zerocopy::{FromBytes, IntoBytes};

/// Answers an echo request to one of our addresses; other ICMP is for no service.
pub fn echo<H: Family>(packet: Packet<H>, mac: Mac) -> Verdict {
    let Packet { ethernet, split: Split { ip, body, .. } } = packet;
    if !icmp::answer_echo(ip, body) {
        return Reason::NoService.into();
    }
    // The checksum covers both addresses alike, or neither.
    let _ = ip.set_addresses(ip.destination(), ip.source());
    ip.set_hops(HOPS);
    turn_round(ethernet, mac);
    Verdict::Answer
}

/// Tells a server that its port is no transfer's (ERROR 5, RFC 1350 §4), as its client would; the
/// client hears nothing of it. An ERROR is never answered.
pub fn unknown_tid(frame: &mut impl Frame, mac: Mac) -> Verdict {
    let told = match ether_type(frame.bytes()) {
        Ok(Ipv4::ETHER_TYPE) => answer::<Ipv4>(frame, mac, UNKNOWN_TID),
        Ok(Ipv6::ETHER_TYPE) => answer::<Ipv6>(frame, mac, UNKNOWN_TID),
        Ok(_) | Err(_) => None,
    };
    told.unwrap_or(Reason::StrayTid.into())
}

/// Makes the frame an answer to its sender, with this message; `None`: it is an ERROR, or too small a
/// buffer.
fn answer<H: Family>(frame: &mut impl Frame, mac: Mac, message: &[u8]) -> Option<Verdict> {
    let udp_at = ethernet::HEADER + size_of::<H>();
    let data_at = udp_at + udp::HEADER;
    let (mut ethernet, ip, udp) = ends::<H>(frame.bytes_mut())?;
    if !frame.set_len(data_at + message.len()) {
        return None;
    }
    turn_round(&mut ethernet, mac);
    let len = udp::HEADER + message.len();
    let ip = H::new(PROTOCOL_UDP, ip.destination(), ip.source(), len);
    let udp = Udp::new(udp.destination(), udp.source(), &ip, message);
    let bytes = frame.bytes_mut();
    bytes[..ethernet::HEADER].copy_from_slice(ethernet.as_bytes());
    bytes[ethernet::HEADER..udp_at].copy_from_slice(ip.as_bytes());
    bytes[udp_at..data_at].copy_from_slice(udp.as_bytes());
    bytes[data_at..].copy_from_slice(message);
    Some(Verdict::Answer)
}

/// The headers of a datagram that is to be answered; `None` for an ERROR.
fn ends<H: Family>(frame: &mut [u8]) -> Option<(Ethernet, H, Udp)> {
    let (ethernet, rest) = frame.split_at_mut_checked(ethernet::HEADER)?;
    let Split { ip, body, .. } = H::split(rest).ok()?;
    let (udp, data) = Udp::split(body)?;
    let is_error = matches!(Message::parse(data), Ok(Message::Error { .. }));
    let ethernet = Ethernet::read_from_bytes(ethernet).ok()?;
    (!is_error).then_some((ethernet, *ip, *udp))
}

/// The frame may have come by broadcast: our own address is the one to answer from.
fn turn_round(ethernet: &mut Ethernet, mac: Mac) {
    ethernet.destination = ethernet.source;
    ethernet.source = mac;
}
