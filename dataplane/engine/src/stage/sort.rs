//! Parsing and classification: the frames of a burst become packets, by what they are looked up by.

use crate::context::BurstContext;
use crate::stage::classify::{TransferPacket, classify, classify_other, is_slow};
use crate::stage::connection::Segment;
use crate::stage::neighbour::{self, Solicited};
use crate::stage::parse::{Admitted, Datagram, admit, check_mac, ether_type};
use crate::state::WorkerState;
use crate::types::drop_reason::DropReason;
use crate::types::frame::{Burst, Frame};
use crate::types::verdict::{Unclaimed, Verdict};
use wire::common_frame::{Plain, PlainTcp};
use wire::icmp::is_redirect;
use wire::ip::Ip;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::neighbour::ARP;

/// The datagrams and segments of a burst, by address family.
#[derive(Default)]
pub struct Packets<'a> {
    /// Datagrams over IPv4.
    pub v4: Burst<TransferPacket<'a, Ipv4>>,
    /// Datagrams over IPv6.
    pub v6: Burst<TransferPacket<'a, Ipv6>>,
    /// Segments over IPv4.
    pub tcp_v4: Burst<Segment<'a, Ipv4>>,
    /// Segments over IPv6.
    pub tcp_v6: Burst<Segment<'a, Ipv6>>,
}

/// Parses and classifies the frames of a burst. Those that are no whole datagram or segment, and those that only a rule can
/// be for, are left to the slow path.
#[inline(always)]
pub fn sort<'a, F: Frame>(
    burst: &'a mut [F],
    packets: &mut Packets<'a>,
    verdicts: &mut [Verdict],
    ctx: &BurstContext,
    state: &mut WorkerState,
) {
    let mac = ctx.mac.word();
    for (index, frame) in burst.iter_mut().enumerate() {
        match sort_one(frame.bytes_mut(), index, mac, ctx, state, packets) {
            Ok(()) => {}
            Err(unclaimed) => leave(unclaimed, index, verdicts, ctx, state),
        }
    }
}

/// Settles what becomes of a frame that is not looked up.
#[cold]
#[inline(never)]
fn leave(
    unclaimed: Unclaimed,
    index: usize,
    verdicts: &mut [Verdict],
    ctx: &BurstContext,
    state: &mut WorkerState,
) {
    match unclaimed {
        Unclaimed::Foreign if ctx.snapshot.has_rules => state.deferred.slow_path.push(index),
        unclaimed => verdicts[index] = unclaimed.into(),
    }
}

/// Adds a frame to the packets, unless it is clear already what becomes of it.
#[inline(always)]
fn sort_one<'a>(
    frame: &'a mut [u8],
    index: usize,
    mac: u64,
    ctx: &BurstContext,
    state: &mut WorkerState,
    packets: &mut Packets<'a>,
) -> Result<(), Unclaimed> {
    check_mac(frame, mac, ctx)?;
    match Plain::check(frame) {
        Some(len) => {
            let packet = Datagram::plain(frame, len).ok_or(DropReason::Truncated)?;
            packets.v4.push(classify(packet, index, ctx, state)?);
        }
        None => return sort_unusual(frame, index, ctx, state, packets),
    }
    Ok(())
}

/// Not inlined, also so that the common case need not lay its packet down in memory for both to meet.
#[inline(never)]
fn sort_unusual<'a>(
    frame: &'a mut [u8],
    index: usize,
    ctx: &BurstContext,
    state: &mut WorkerState,
    packets: &mut Packets<'a>,
) -> Result<(), Unclaimed> {
    let Packets { v4, v6, tcp_v4, tcp_v6 } = packets;
    if let Some(len) = PlainTcp::check(frame) {
        let (PlainTcp { ethernet, ip, tcp }, _) =
            PlainTcp::split(frame).ok_or(DropReason::Truncated)?;
        tcp_v4.push(Segment::classify((ethernet, ip, tcp), len, index, ctx, state)?);
        return Ok(());
    }
    match ether_type(frame)? {
        Ipv4::ETHER_TYPE => sort_by_header(frame, index, ctx, state, (v4, tcp_v4)),
        Ipv6::ETHER_TYPE => sort_by_header(frame, index, ctx, state, (v6, tcp_v6)),
        ARP => Err(neighbour::arp(frame, ctx).into()),
        _ => Err(Verdict::Kernel.into()),
    }
}

fn sort_by_header<'a, H: Solicited>(
    frame: &'a mut [u8],
    index: usize,
    ctx: &BurstContext,
    state: &mut WorkerState,
    (packets, segments): (&mut Burst<TransferPacket<'a, H>>, &mut Burst<Segment<'a, H>>),
) -> Result<(), Unclaimed> {
    match admit(frame, ctx.snapshot[ctx.interface].mtu)? {
        Admitted::Datagram(packet) => {
            packets.push(classify(packet, index, ctx, state)?);
            Ok(())
        }
        Admitted::Segment(packet, len) => {
            segments.push(Segment::classify(packet, len, index, ctx, state)?);
            Ok(())
        }
        Admitted::Other(mut packet) => {
            // Where packets go is the operator's to say, and what the kernel makes of a redirect depends on settings of
            // the whole machine.
            if is_redirect(&packet.split) {
                return Err(DropReason::Redirect.into());
            }
            if H::answer_solicitation(&mut packet, ctx) {
                return Err(Verdict::Answer.into());
            }
            if is_slow(&packet.split, ctx) {
                state.deferred.slow_path.push(index);
                return Ok(());
            }
            Err(classify_other(packet, ctx))
        }
    }
}
