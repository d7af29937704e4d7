//! Where the packet leaves: to the backend's next hop, or back to where the client's came from.

use super::classify::{Parcel, Side};
use crate::flow::FlowId;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::tables::Hop;
use crate::verdict::{Step, Verdict};

/// Addresses the frame to the next station, and counts it for its service and backend.
pub fn transmit(parcel: &mut Parcel, id: FlowId, here: &Here, own: &Own) -> Step<Verdict> {
    let flow = &own.flows[id];
    let hop = match parcel.side {
        Side::Client(_) => {
            here.tables.backends[usize::from(flow.backend)].hop.ok_or(Reason::BackendDown)?
        }
        Side::Server | Side::ServerToClient => {
            Hop { interface: flow.client_interface, mac: flow.client_mac }
        }
    };
    let interface = &here.tables.interfaces[usize::from(hop.interface)];
    let bytes = parcel.packet.ip.total_len();
    if bytes > usize::from(interface.mtu) {
        return Err(Reason::TooBig.into());
    }
    parcel.packet.ethernet.destination = hop.mac;
    parcel.packet.ethernet.source = interface.mac;
    match parcel.side {
        Side::Client(_) => {
            own.count(id, |transfers| &transfers.packets_in, 1);
            own.count(id, |transfers| &transfers.bytes_in, bytes as u64);
        }
        Side::Server | Side::ServerToClient => {
            own.count(id, |transfers| &transfers.packets_out, 1);
            own.count(id, |transfers| &transfers.bytes_out, bytes as u64);
        }
    }
    Ok(Verdict::Transmit(hop.interface))
}
