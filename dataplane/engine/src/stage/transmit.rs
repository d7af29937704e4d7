//! Where the packet leaves: to the backend's next hop, or back to where the client's came from.

use super::classify::Side;
use crate::count::Counters;
use crate::flow::record::Flow;
use crate::here::Here;
use crate::reason::Reason;
use crate::tables::Hop;
use crate::verdict::{Step, Verdict};
use wire::ethernet::Ethernet;

/// Whether an IP packet of `len` bytes may go there: to be asked before it is changed, since its sender is
/// told.
pub fn check_size(len: usize, side: Side, flow: &Flow, here: &Here) -> Step<()> {
    if len > usize::from(mtu(side, flow, here)?) { Err(Reason::TooBig.into()) } else { Ok(()) }
}

/// The largest IP packet that may go there.
pub fn mtu(side: Side, flow: &Flow, here: &Here) -> Step<u16> {
    Ok(here.tables.interfaces[usize::from(hop(side, flow, here)?.interface)].mtu)
}

/// Addresses the frame, of an IP packet of `len` bytes, to the next station, and counts it for its backend.
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
    let (packets, bytes) = match side {
        Side::Client(_) => (&counters.packets_in, &counters.bytes_in),
        Side::Server | Side::ServerToClient => (&counters.packets_out, &counters.bytes_out),
    };
    let hop = hop(side, flow, here)?;
    ethernet.destination = hop.mac;
    ethernet.source = here.tables.interfaces[usize::from(hop.interface)].mac;
    packets.add(1);
    bytes.add(len as u64);
    Ok(Verdict::Transmit(hop.interface))
}

#[inline(always)]
fn hop<'a>(side: Side, flow: &'a Flow, here: &'a Here) -> Step<&'a Hop> {
    match side {
        Side::Client(_) => {
            let hop = here.tables.backends[usize::from(flow.backend)].hop.as_ref();
            Ok(hop.ok_or(Reason::BackendDown)?)
        }
        Side::Server | Side::ServerToClient => Ok(&flow.back),
    }
}
