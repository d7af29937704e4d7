//! Where the packet leaves: to the backend's next hop, or back to where the client's came from.

use super::classify::Side;
use crate::count::Counters;
use crate::flow::record::Flow;
use crate::here::Here;
use crate::reason::Reason;
use crate::verdict::{Step, Verdict};
use wire::ethernet::Ethernet;

/// Addresses the frame, of an IP packet of so many bytes, to the next station, and counts it for its
/// backend.
#[inline(always)]
pub fn transmit(
    ethernet: &mut Ethernet,
    len: usize,
    side: Side,
    flow: &Flow,
    here: &Here,
    counters: &Counters,
) -> Step<Verdict> {
    let counters = counters.of(flow);
    let (hop, packets, bytes) = match side {
        Side::Client(_) => {
            let hop = here.tables.backends[usize::from(flow.backend)].hop.as_ref();
            (hop.ok_or(Reason::BackendDown)?, &counters.packets_in, &counters.bytes_in)
        }
        Side::Server | Side::ServerToClient => {
            (&flow.back, &counters.packets_out, &counters.bytes_out)
        }
    };
    let interface = &here.tables.interfaces[usize::from(hop.interface)];
    if len > usize::from(interface.mtu) {
        return Err(Reason::TooBig.into());
    }
    ethernet.destination = hop.mac;
    ethernet.source = interface.mac;
    packets.add(1);
    bytes.add(len as u64);
    Ok(Verdict::Transmit(hop.interface))
}
