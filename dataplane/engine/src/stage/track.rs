//! What the packet changes in what is known of its transfer: carries out what the protocol's
//! [`crate::alg`] says.

use super::classify::{Parcel, Side};
use crate::alg::{Lesson, tftp};
use crate::flow::FlowId;
use crate::flow::record::Flow;
use crate::here::Here;
use crate::mode::rules;
use crate::own::Own;
use crate::reason::Reason;
use crate::verdict::Step;
use wire::tftp::Message;

/// Takes the packet into account, or refuses it.
pub fn track(
    parcel: &Parcel,
    message: Message,
    flow: FlowId,
    here: &Here,
    own: &mut Own,
) -> Step<()> {
    let udp = &parcel.packet.udp;
    match (parcel.side, message) {
        (Side::Client(_), Message::Request(_)) => {}
        (Side::Client(_), _) => {
            let known = known(&own.flows[flow], here);
            let lesson = tftp::from_client(&known, udp.destination(), message)?;
            if known.tid.is_some_and(|tid| tid != udp.destination())
                && udp.destination() == known.service_port
            {
                own.count(flow, |transfers| &transfers.to_service_port, 1);
            }
            carry_out(lesson, flow, here, own);
        }
        (Side::Server | Side::ServerToClient, _) => {
            let known = known(&own.flows[flow], here);
            let lesson =
                tftp::from_server(&known, udp.source(), message).inspect_err(|reason| {
                    if *reason == Reason::StrayTid {
                        own.count(flow, |transfers| &transfers.strays, 1);
                    }
                })?;
            carry_out(lesson, flow, here, own);
        }
    }
    touch(parcel, flow, here, own);
    Ok(())
}

fn known(flow: &Flow, here: &Here) -> tftp::Known {
    let service = &here.tables.services[usize::from(flow.service)];
    tftp::Known {
        tid: flow.tid(),
        old_tids: flow.old_tids,
        service_port: service.port,
        answers_seen: rules(&service.mode).answers_seen(),
        progress: flow.progress,
    }
}

fn carry_out(lesson: Lesson, id: FlowId, here: &Here, own: &mut Own) {
    if let Some(tid) = lesson.learn {
        own.flows.learn(id, tid, here.now);
    }
    let flow = &mut own.flows[id];
    flow.progress = lesson.progress;
    if let Some(len) = lesson.data {
        flow.blocks = flow.blocks.wrapping_add(1);
        flow.bytes += u64::from(len);
    }
    if let Some(end) = lesson.end {
        own.close(id, end, here);
    }
}

/// The flow lives on, and answers go back the way that the client's packet came.
fn touch(parcel: &Parcel, id: FlowId, here: &Here, own: &mut Own) {
    let flow = &mut own.flows[id];
    flow.last_packet = here.now;
    match parcel.side {
        Side::Client(_) => {
            flow.client_mac = parcel.packet.ethernet.source;
            flow.client_interface = here.from;
        }
        Side::Server | Side::ServerToClient if !flow.progress.client_spoke() => {
            flow.answered = here.now;
        }
        Side::Server | Side::ServerToClient => {}
    }
}
