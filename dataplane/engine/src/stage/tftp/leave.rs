//! A packet of TFTP on the slow path leaves for the other side.

use super::options::limits_of;
use crate::context::BurstContext;
use crate::counters::Counters;
use crate::flow::host_table::HostTable;
use crate::flow::transfer::Transfer;
use crate::ip_family::IpFamily;
use crate::stage::classify::TransferPacket;
use crate::stage::forward::{Outgoing, forward};
use crate::stage::parse::Datagram;
use crate::stage::translate::Sent;
use crate::state::deferred::Deferred;
use crate::types::id::InterfaceId;
use crate::types::verdict::Step;
use wire::tftp::Message;

/// Translates the packet, notes the limits of its options, and has it leave.
pub fn leave<H: IpFamily>(
    packet: &mut TransferPacket<H>,
    message: Message,
    flow: &Transfer,
    whole: usize,
    ctx: &BurstContext,
    (hosts, deferred, counters): (&HostTable, &mut Deferred, &Counters),
) -> Step<InterfaceId> {
    let (index, direction) = (packet.index, packet.direction);
    let is_fragment = whole > packet.datagram.data.len();
    let Datagram { ip, udp, .. } = &mut packet.datagram;
    let sent = Sent { from: udp.source(), is_request: matches!(message, Message::Request(_)) };
    let outgoing = Outgoing { index, is_fragment, direction, sent };
    forward((&mut **ip, &mut **udp), &outgoing, flow, ctx, hosts, deferred)?;
    deferred.options.extend(limits_of(message, flow, ctx).map(|edit| (index, edit)));
    packet.transmit(flow, ctx, counters)
}
