//! Packets that are turned into an answer to their sender.

use super::parse::{Packet, ether_type};
use crate::context::BurstContext;
use crate::ip_family::IpFamily;
use crate::state::WorkerState;
use crate::state::deferred::IcmpNotice;
use crate::types::drop_reason::DropReason;
use crate::types::frame::Frame;
use crate::types::verdict::Verdict;
use std::net::IpAddr;
use wire::ethernet::{self, Ethernet, Mac};
use wire::icmp::{self, ErrorHeader};
use wire::ip::{Fragment, HOPS, Ip, PROTOCOL_UDP, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tftp::{Message, UNKNOWN_TID};
use wire::udp::{self, Udp};
use zerocopy::{FromBytes, IntoBytes};

/// Tells servers that their ports are no transfer's.
#[cold]
pub fn strays<F: Frame>(
    burst: &mut [F],
    verdicts: &mut [Verdict],
    ctx: &BurstContext,
    state: &mut WorkerState,
) {
    for index in state.deferred.strays.take() {
        verdicts[index] = unknown_tid(&mut burst[index], ctx.mac);
    }
}

/// Tells senders of packets that don't go on.
#[cold]
pub fn notify<F: Frame>(
    burst: &mut [F],
    verdicts: &mut [Verdict],
    ctx: &BurstContext,
    state: &mut WorkerState,
) {
    for notice in state.deferred.icmp_notices.take() {
        let frame = &mut burst[notice.index];
        if !state.icmp_limiter.allows(ctx.now) {
            continue;
        }
        let told = match ether_type(frame.bytes()) {
            Ok(Ipv6::ETHER_TYPE) => tell::<Ipv6>(frame, ctx.mac, &notice),
            _ => tell::<Ipv4>(frame, ctx.mac, &notice),
        };
        if let Some(verdict) = told {
            verdicts[notice.index] = verdict;
        }
    }
}

/// Tells clients why their requests are refused, as a server would: from where they asked.
#[cold]
pub fn refuse<F: Frame>(
    burst: &mut [F],
    verdicts: &mut [Verdict],
    ctx: &BurstContext,
    state: &mut WorkerState,
) {
    for (index, vip, refusal) in state.deferred.refusals.take() {
        let (frame, message) = (&mut burst[index], refusal.message());
        // The client may have asked everybody.
        let told = match ctx.snapshot[vip].address {
            IpAddr::V4(vip) => answer::<Ipv4>(frame, ctx.mac, Some(vip), message),
            IpAddr::V6(vip) => answer::<Ipv6>(frame, ctx.mac, Some(vip), message),
        };
        if let Some(verdict) = told {
            verdicts[index] = verdict;
        }
    }
}

/// Answers an echo request to one of our addresses; other ICMP is for no service.
pub fn echo<H: IpFamily>(packet: Packet<H>, mac: Mac) -> Verdict {
    let Packet { ethernet, split: Split { ip, body, .. } } = packet;
    if !icmp::answer_echo(ip, body) {
        return DropReason::NoService.into();
    }
    // The checksum covers both addresses alike, or neither.
    let _ = ip.set_addresses(ip.destination(), ip.source());
    ip.set_hops(HOPS);
    turn_round(ethernet, mac);
    Verdict::Answer
}

/// Tells a server that its port is no transfer's (ERROR 5, RFC 1350 §4), as its client would; the
/// client hears nothing of it. An ERROR is never answered.
fn unknown_tid(frame: &mut impl Frame, mac: Mac) -> Verdict {
    let told = match ether_type(frame.bytes()) {
        Ok(Ipv4::ETHER_TYPE) => answer::<Ipv4>(frame, mac, None, UNKNOWN_TID),
        Ok(Ipv6::ETHER_TYPE) => answer::<Ipv6>(frame, mac, None, UNKNOWN_TID),
        Ok(_) | Err(_) => None,
    };
    told.unwrap_or(DropReason::StrayTid.into())
}

/// Tells the sender of a packet that it does not go on (RFC 792, RFC 4443); `None`: it is not to be told.
fn tell<H: IpFamily>(frame: &mut impl Frame, mac: Mac, notice: &IcmpNotice) -> Option<Verdict> {
    let from = H::of(&notice.from)?;
    let (mut ethernet, rest) = Ethernet::read_from_prefix(frame.bytes()).ok()?;
    let (old, _) = H::read_from_prefix(rest).ok()?;
    // Never one that everybody may have got (RFC 1122 §3.2.2).
    if ethernet.destination.is_group() || !H::is_host(old.source()) {
        return None;
    }
    let quote = old.total_len().min(H::QUOTE);
    let body_at = ethernet::HEADER + size_of::<H>();
    // The packet stays where it is, behind the headers to come.
    let grown = frame.grow_front(size_of::<H>() + icmp::ERROR_HEADER);
    if !(grown && frame.set_len(body_at + icmp::ERROR_HEADER + quote)) {
        return None;
    }
    turn_round(&mut ethernet, mac);
    let ip = H::new(H::ICMP, from, old.source(), icmp::ERROR_HEADER + quote);
    let (head, body) = frame.bytes_mut().split_at_mut_checked(body_at)?;
    head[..ethernet::HEADER].copy_from_slice(ethernet.as_bytes());
    head[ethernet::HEADER..].copy_from_slice(ip.as_bytes());
    body[..icmp::ERROR_HEADER].copy_from_slice(ErrorHeader::new::<H>(notice.problem).as_bytes());
    icmp::make_checksum(&ip, body);
    Some(Verdict::Answer)
}

/// Makes the frame an answer to its sender, with this message, from this address or from where it was sent
/// to; `None`: it is an ERROR, or too small a buffer.
fn answer<H: IpFamily>(
    frame: &mut impl Frame,
    mac: Mac,
    from: Option<H::Address>,
    message: &[u8],
) -> Option<Verdict> {
    let udp_at = ethernet::HEADER + size_of::<H>();
    let data_at = udp_at + udp::HEADER;
    let (mut ethernet, ip, udp) = ends::<H>(frame.bytes_mut())?;
    if !frame.set_len(data_at + message.len()) {
        return None;
    }
    turn_round(&mut ethernet, mac);
    let len = udp::HEADER + message.len();
    let ip = H::new(PROTOCOL_UDP, from.unwrap_or(ip.destination()), ip.source(), len);
    let udp = Udp::new(udp.destination(), udp.source(), &ip, message);
    let bytes = frame.bytes_mut();
    bytes[..ethernet::HEADER].copy_from_slice(ethernet.as_bytes());
    bytes[ethernet::HEADER..udp_at].copy_from_slice(ip.as_bytes());
    bytes[udp_at..data_at].copy_from_slice(udp.as_bytes());
    bytes[data_at..].copy_from_slice(message);
    Some(Verdict::Answer)
}

/// The headers of a datagram that must be answered; `None` for an ERROR.
fn ends<H: IpFamily>(frame: &mut [u8]) -> Option<(Ethernet, H, Udp)> {
    let (ethernet, rest) = frame.split_at_mut_checked(ethernet::HEADER)?;
    let Split { ip, fragment, body, .. } = H::split(rest).ok()?;
    // Only the first fragment has the ports.
    let (udp, data) = match fragment {
        None => Udp::split(body)?,
        Some(Fragment { offset: 0, .. }) => Udp::split_fragment::<H>(body)?,
        Some(_) => return None,
    };
    let is_error = matches!(Message::parse(data), Ok(Message::Error { .. }));
    let ethernet = Ethernet::read_from_bytes(ethernet).ok()?;
    (!is_error).then_some((ethernet, *ip, *udp))
}

/// The frame may have come by broadcast: our own address is the one to answer from.
fn turn_round(ethernet: &mut Ethernet, mac: Mac) {
    ethernet.destination = ethernet.source;
    ethernet.source = mac;
}
