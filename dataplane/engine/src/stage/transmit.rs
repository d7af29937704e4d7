//! Where the packet leaves: to the backend's next hop, or back to where the client's came from.

use super::classify::{Parcel, Side};
use crate::flow::record::Flow;
use crate::here::Here;
use crate::reason::Reason;
use crate::tables::Hop;
use crate::verdict::{Step, Verdict};

/// Addresses the frame to the next station.
pub fn transmit(parcel: &mut Parcel, flow: &Flow, here: &Here) -> Step<Verdict> {
    let hop = match parcel.side {
        Side::Client(_) => {
            here.tables.backends[usize::from(flow.backend)].hop.ok_or(Reason::BackendDown)?
        }
        Side::Server | Side::ServerToClient => {
            Hop { interface: flow.client_interface, mac: flow.client_mac }
        }
    };
    let interface = &here.tables.interfaces[usize::from(hop.interface)];
    if parcel.packet.ip.total_len() > usize::from(interface.mtu) {
        return Err(Reason::TooBig.into());
    }
    parcel.packet.ethernet.destination = hop.mac;
    parcel.packet.ethernet.source = interface.mac;
    Ok(Verdict::Transmit(hop.interface))
}
