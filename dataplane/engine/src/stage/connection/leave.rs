//! A packet of a connection on the slow path leaves for the other side.

use super::packet::ConnectionPacket;
use crate::context::BurstContext;
use crate::counters::Counters;
use crate::flow::connection::Connection;
use crate::flow::host_table::HostTable;
use crate::ip_family::IpFamily;
use crate::stage::forward::{Outgoing, forward};
use crate::stage::parse::Packet;
use crate::stage::translate::{Body, Sent};
use crate::stage::transmit::transmit;
use crate::state::deferred::Deferred;
use crate::types::frame::Frame;
use crate::types::id::InterfaceId;
use crate::types::verdict::Step;
use wire::ip::Split;

/// Translates the packet and has it leave.
pub fn leave<H: IpFamily>(
    frame: &mut impl Frame,
    packet: &ConnectionPacket<H::Address>,
    connection: &Connection,
    ctx: &BurstContext,
    (hosts, deferred, counters): (&HostTable, &mut Deferred, &Counters),
) -> Step<InterfaceId> {
    let direction = packet.direction;
    let Packet { ethernet, split: Split { ip, body, .. } } =
        packet.offsets.packet::<H>(frame.bytes_mut())?;
    let len = ip.total_len();
    let sent = Outgoing {
        index: packet.index,
        is_fragment: packet.offsets.is_fragment(),
        direction,
        sent: Sent::SEGMENT,
    };
    let ports = &mut Body(packet.tuple.protocol, body);
    forward((&mut *ip, ports), &sent, connection, ctx, hosts, deferred)?;
    transmit(ethernet, len, direction, connection, ctx, counters)
}
