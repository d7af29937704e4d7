//! The fast path of connections, for data of an open connection and its acknowledgement: nearly all segments. It is what the
//! slow path comes to for such a segment.

use super::return_hop;
use super::segment::Segment;
use super::tcp_state::advance;
use crate::context::BurstContext;
use crate::flow::state::ConnectionState;
use crate::ip_family::IpFamily;
use crate::net::origin::Origin;
use crate::stage::translate::{Sent, translate};
use crate::stage::transmit::send;
use crate::state::WorkerState;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::next_hop::NextHop;
use crate::types::verdict::Verdict;
use wire::tcp::Flags;

/// Decides on a segment that changes no state; `None`: the segment needs the slow path. Each direction has its own code,
/// which spares most segments the question where they go: one branch for the next hop, the counters and the halves. That
/// is why packets are counted here and not by [`Counters::pass`](crate::counters::Counters::pass).
#[inline]
pub fn fast_path<H: IpFamily>(
    segment: &mut Segment<H>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Option<Verdict> {
    let WorkerState { connections, hosts, counters, .. } = state;
    let connection = connections.verify(segment.candidate, &segment.tuple)?;
    let anyhow = Flags::PSH | Flags::ECE | Flags::CWR;
    let usual = segment.tcp.flags().without(anyhow) == Flags::ACK;
    // Control connections are read on the slow path.
    if !usual || connection.state != ConnectionState::Open || !connection.is_plain() {
        return None;
    }
    let backend = ctx.snapshot.find_backend(connection.backend)?;
    let len = segment.ip.total_len();
    // It fits whatever interface it leaves by.
    if len > ctx.min_mtu {
        return None;
    }
    let transfers = counters.backend(connection.backend);
    let Segment { ethernet, ip, tcp, direction, .. } = segment;
    match *direction {
        Direction::ToServer(_) => {
            let from = NextHop { mac: ethernet.source, interface: ctx.interface };
            if connection.back != from {
                return None;
            }
            translate((&mut **ip, &mut **tcp), *direction, Sent::SEGMENT, connection, ctx, hosts)
                .ok()?;
            advance(&mut connection.halves, 0, tcp, segment.len);
            connection.last_packet = ctx.now;
            connection.count(0, len as u32);
            transfers.packets_in.add(1);
            transfers.bytes_in.add(len as u64);
            Some(match &backend.hop {
                Some(hop) => Verdict::Transmit(send(ethernet, hop, ctx)),
                None => DropReason::BackendDown.into(),
            })
        }
        Direction::ToSnat | Direction::ToClient => {
            let server = ctx.snapshot.find_server(segment.tuple.server())?;
            if !server.is_usually_at(Origin::of(ethernet, ctx.interface)) {
                return None;
            }
            translate((&mut **ip, &mut **tcp), *direction, Sent::SEGMENT, connection, ctx, hosts)
                .ok()?;
            if !advance(&mut connection.halves, 1, tcp, segment.len) && segment.len > 0 {
                return_hop::unheard(connection, hosts, ctx);
            }
            connection.last_packet = ctx.now;
            connection.count(1, len as u32);
            transfers.packets_out.add(1);
            transfers.bytes_out.add(len as u64);
            Some(Verdict::Transmit(send(ethernet, &connection.back, ctx)))
        }
    }
}
