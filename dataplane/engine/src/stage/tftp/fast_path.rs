//! The fast path of TFTP, for DATA and ACK of an established transfer: nearly all packets. It is what `schedule` and `track`
//! come to for such a packet; translation and transmission follow as for any other.

use super::track::touch;
use crate::alg::tftp;
use crate::context::BurstContext;
use crate::flow::host_table::HostTable;
use crate::flow::transfer::Transfer;
use crate::ip_family::IpFamily;
use crate::net::origin::Origin;
use crate::stage::classify::TransferPacket;
use crate::stage::parse::Datagram;
use crate::stage::translate::{Sent, translate};
use crate::state::WorkerState;
use crate::types::direction::Direction;
use crate::types::next_hop::NextHop;
use crate::types::verdict::Verdict;

/// Decides on a packet that teaches nothing; `None`: the packet needs the slow path. Each direction has its own code, which
/// spares most packets the question where they go.
#[inline]
pub fn fast_path<H: IpFamily>(
    packet: &mut TransferPacket<H>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Option<Verdict> {
    let WorkerState { transfers, hosts, counters, .. } = state;
    let flow = transfers.verify(packet.candidate, packet.direction.key_kind(), packet.key)?;
    // It fits whatever interface it leaves by.
    if flow.needs_failover() || packet.datagram.ip.total_len() > ctx.min_mtu {
        return None;
    }
    let Datagram { ethernet, udp, data, .. } = &packet.datagram;
    match packet.direction {
        Direction::ToServer(_) => {
            let from = NextHop { mac: ethernet.source, interface: ctx.interface };
            if !flow.is_client_tid(udp.destination()) || flow.back != from {
                return None;
            }
            let usual = tftp::steady(flow.progress, data)?;
            let goes_on = flow.goes_on(usual.block);
            // Who has waited for an answer, and says the same again.
            if !goes_on && flow.last_packet != ctx.now {
                return None;
            }
            pass(packet, flow, ctx, hosts)?;
            flow.bytes += u64::from(usual.len);
            if goes_on {
                flow.go_on(usual.block);
            }
        }
        Direction::ToSnat | Direction::ToClient => {
            let server = ctx.snapshot.find_server(packet.key.server())?;
            let origin = Origin::of(ethernet, ctx.interface);
            if !flow.is_tid(udp.source()) || !server.is_usually_at(origin) {
                return None;
            }
            let usual = tftp::steady(flow.progress, data)?;
            pass(packet, flow, ctx, hosts)?;
            flow.bytes += u64::from(usual.len);
        }
    }
    touch(packet, flow, ctx);
    Some(packet.transmit(flow, ctx, counters).into())
}

/// Translates the packet; `None`: it needs the slow path.
#[inline(always)]
fn pass<H: IpFamily>(
    packet: &mut TransferPacket<H>,
    flow: &Transfer,
    ctx: &BurstContext,
    hosts: &HostTable,
) -> Option<()> {
    let Datagram { ip, udp, .. } = &mut packet.datagram;
    let sent = Sent { from: udp.source(), is_request: false };
    translate((&mut **ip, &mut **udp), packet.direction, sent, flow, ctx, hosts).ok()
}
