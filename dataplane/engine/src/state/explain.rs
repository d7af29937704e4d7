//! Which backend a client would get, without giving it one: for operators.

use crate::choose::candidates::{Candidates, Exclude};
use crate::choose::{Selection, SelectionRequest};
use crate::context::Env;
use crate::flow::endpoint::HostId;
use crate::scheduler::transfer_limit::TransferLimit;
use crate::snapshot::Protocol;
use crate::state::WorkerState;
use crate::types::id::{BackendId, ServiceId};
use std::net::IpAddr;

/// The question, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectionTrace {
    /// The client, which is this worker's.
    pub client: IpAddr,
    /// The service that it would ask.
    pub service: ServiceId,
    /// The one that it is bound to: it gets this one or none.
    pub bound: Option<BackendId>,
    /// The client's backend of late, if persistence still holds.
    pub remembered: Option<BackendId>,
    /// The backend whose turn it is by the group's algorithm, whether it can be had or not.
    pub turn: Option<BackendId>,
    /// The backend that the client would get.
    pub chosen: Option<BackendId>,
}

impl SelectionTrace {
    /// The question.
    pub fn new(client: IpAddr, service: ServiceId) -> SelectionTrace {
        SelectionTrace { client, service, bound: None, remembered: None, turn: None, chosen: None }
    }
}

/// Finds what [`WorkerState::choose`] would say to a client that does not say what it wants, unless the client is bound. Nothing
/// moves by it.
pub fn explain(question: &mut SelectionTrace, env: &Env, state: &WorkerState) {
    let SelectionTrace { client, service, .. } = *question;
    let family = usize::from(client.is_ipv6());
    let request = SelectionRequest { client, family, service, tftp: None };
    let choice = Selection::new(&request, env);
    let next = |candidates: Candidates| {
        let mut cursor = choice.cursor(&state.choose);
        choice.next(&candidates, &mut cursor, &state.counters)
    };
    let usual = || Candidates::new(env, Exclude::Nobody).only_seen();
    question.bound = bound(client, service, env, state);
    question.remembered = choice.remembered(&state.choose, env.now);
    question.turn = next(Candidates::everybody(env));
    question.chosen = match question.bound {
        Some(backend) => Some(backend).filter(|&backend| has_room(backend, env)),
        None => question
            .remembered
            .filter(|&backend| usual().has(backend))
            .or_else(|| next(usual()))
            .or_else(|| next(Candidates::at_worst(env, Exclude::Nobody)?.only_seen())),
    };
}

/// The backend that the client is bound to at the first of the service's VIPs at which it is bound.
fn bound(client: IpAddr, service: ServiceId, env: &Env, state: &WorkerState) -> Option<BackendId> {
    let host = match client {
        IpAddr::V4(client) => HostId::v4(client),
        IpAddr::V6(client) => state.hosts.find(client),
    };
    let mut vips = env.snapshot.numbered_vips();
    vips.find_map(|(id, vip)| {
        let is_its = vip.services().any(|known| known == service);
        state.bound_to(host, id, service, env).filter(|_| is_its)
    })
}

/// Whether a client that is bound gets to this backend: all that an `any` service's client sends is one connection,
/// which has its place.
fn has_room(id: BackendId, env: &Env) -> bool {
    let is_any = env.snapshot.service_of(id).protocol == Protocol::Any;
    is_any || env.backend(id).cap.as_ref().is_none_or(TransferLimit::has_room)
}
