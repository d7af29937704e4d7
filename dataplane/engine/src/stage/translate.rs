//! What the other side is to see: the mode of the service rewrites the packet.

use super::classify::{Parcel, Side};
use crate::flow::record::Flow;
use crate::here::Here;
use crate::mode::rules;
use crate::verdict::Step;
use wire::tftp::Message;

/// Rewrites addresses, ports and checksums as the service's mode has it.
pub fn translate(parcel: &mut Parcel, message: Message, flow: &Flow, here: &Here) -> Step<()> {
    let service = &here.tables.services[usize::from(flow.service)];
    let rules = rules(&service.mode);
    match parcel.side {
        Side::Client(_) => {
            // A request goes where requests go, all else to the TID, whatever port it was sent to.
            let port = match message {
                Message::Request(_) => service.port,
                Message::Data { .. }
                | Message::Ack { .. }
                | Message::Error { .. }
                | Message::Oack(_) => flow.tid().unwrap_or(service.port),
            };
            rules.to_backend(&mut parcel.packet, flow, port, here.tables)
        }
        Side::Server | Side::ServerToClient => {
            rules.to_client(&mut parcel.packet, flow, here.tables)
        }
    }
}
