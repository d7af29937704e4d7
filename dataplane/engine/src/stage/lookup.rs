//! Which transfer is it part of?

use super::classify::{Parcel, Side};
use crate::flow::FlowId;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::verdict::{Step, Verdict};

/// Finds the packet's transfer. Without one, only a packet to a service's port may go on: it can
/// be a request.
pub fn lookup(parcel: &Parcel, here: &Here, own: &Own) -> Step<Option<FlowId>> {
    let hash = own.flows.hash(parcel.key);
    match parcel.side {
        Side::Client(vip) => {
            let flow = own.flows.find_by_client(parcel.key, hash);
            let port = parcel.packet.udp.destination();
            if flow.is_none() && here.tables.service(vip, port).is_none() {
                return Err(Reason::NoService.into());
            }
            Ok(flow)
        }
        Side::Server => {
            let flow = own.flows.find_by_server(parcel.key, hash);
            flow.map(Some).ok_or(Reason::NoTransfer.into())
        }
        Side::ServerToClient => {
            let flow = own.flows.find_by_server(parcel.key, hash);
            flow.map(Some).ok_or(Verdict::Kernel)
        }
    }
}
