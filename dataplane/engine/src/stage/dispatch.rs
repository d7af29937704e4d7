//! The slow path of a burst, after its fast paths: fragments, ICMP errors, and packets that open, change or end a connection.

use super::classify::{is_anything, is_error};
use super::connection::packet::ConnectionPacket;
use super::icmp_error::error;
use super::parse::{Offsets, Packet, ether_type};
use super::{connection, fragment};
use crate::context::BurstContext;
use crate::ip_family::IpFamily;
use crate::state::WorkerState;
use crate::types::drop_reason::DropReason;
use crate::types::frame::Frame;
use crate::types::id::InterfaceId;
use crate::types::verdict::{Step, Verdict};
use wire::ethernet::Ethernet;
use wire::ip::{Ip, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use zerocopy::FromBytes;

/// Decides on the frames of the burst that take the slow path, in their order: later fragments follow their first one.
#[cold]
pub fn dispatch<F: Frame>(
    burst: &mut [F],
    verdicts: &mut [Verdict],
    ctx: &BurstContext,
    state: &mut WorkerState,
) {
    for index in state.deferred.slow_path.take() {
        let frame = &mut burst[index];
        let step = match ether_type(frame.bytes()) {
            Ok(Ipv6::ETHER_TYPE) => by_kind::<Ipv6>(frame, index, ctx, state),
            Ok(Ipv4::ETHER_TYPE) => by_kind::<Ipv4>(frame, index, ctx, state),
            Ok(_) => Err(Verdict::Kernel),
            Err(why_not) => Err(why_not),
        };
        verdicts[index] = state.deferred.settle(index, step);
    }
}

fn by_kind<H: IpFamily>(
    frame: &mut impl Frame,
    index: usize,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<InterfaceId> {
    let (ethernet, rest) =
        Ethernet::mut_from_prefix(frame.bytes_mut()).map_err(|_| DropReason::Truncated)?;
    let split: Split<H> = H::split(rest).map_err(|_| H::BAD)?;
    let is_error = is_error(&split);
    let fragment = split.fragment.filter(|_| !is_anything(&split, ctx));
    match fragment {
        Some(fragment) => {
            let offsets = Offsets::of(&split);
            fragment::fragment::<H>(frame, (fragment, offsets), index, ctx, state)
        }
        None if is_error => error(Packet { ethernet, split }, index, ctx, state),
        None => {
            let packet = Packet { ethernet, split };
            let packet = ConnectionPacket::of(packet, index, ctx, state)?;
            connection::slow_path::<H>(frame, packet, ctx, state)
        }
    }
}
