//! Client affinity for services that take everything (`any`): all that a client sends to the VIP goes to one backend,
//! whatever the protocol and the ports.

use super::open::record_refusal;
use super::packet::ConnectionPacket;
use crate::choose::SelectionRequest;
use crate::choose::candidates::Exclude;
use crate::context::BurstContext;
use crate::flow::FlowId;
use crate::flow::connection::Connection;
use crate::flow::state::ConnectionState;
use crate::flow::tuple::{ANY_PROTOCOL, Tuple};
use crate::ip_family::IpFamily;
use crate::state::WorkerState;
use crate::state::affinity::affinity;
use crate::types::end_reason::EndReason;
use crate::types::id::{ServiceId, VipId};
use crate::types::verdict::Step;

/// Finds the affinity of a client of an `any` service, or makes it.
pub fn any<H: IpFamily>(
    service: ServiceId,
    vip: VipId,
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    let known = state.affinity(packet.tuple.near().host, vip, ANY_PROTOCOL);
    if let Some(id) = known
        && ctx.backend(state.connections[id].backend).serves()
    {
        return Ok(id);
    }
    if let Some(id) = known {
        state.end_connection(id, EndReason::Lost, ctx);
    }
    bind::<H>(service, vip, packet, ctx, state).inspect_err(|why_not| {
        record_refusal(service, packet, why_not, ctx, state);
    })
}

/// Makes the affinity of a client to a backend of an `any` service.
fn bind<H: IpFamily>(
    service: ServiceId,
    vip: VipId,
    packet: &ConnectionPacket<H::Address>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    let client = packet.addresses[0].into();
    let host = state.admit(client, service, ctx)?;
    let request = SelectionRequest { client, family: H::PLACE, service, tftp: None };
    let backend =
        state.choose(&request, Exclude::Nobody, ctx).inspect_err(|_| state.hosts.release(host))?;
    let affinity = Connection {
        state: ConnectionState::HalfOpen,
        back: packet.way_back(ctx),
        ..affinity(Tuple::of_affinity(host, vip, ANY_PROTOCOL), backend, ctx)
    };
    state.enter_connection(&affinity, ctx)
}
