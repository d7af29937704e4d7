//! Which backend a client would get, without giving it one: for operators.

use super::candidates::{Avoid, Candidates};
use super::choice::Wish;
use crate::flow::hosts::Host;
use crate::here::Here;
use crate::own::Own;
use crate::select::cap::Cap;
use crate::tables::{BackendId, Protocol, ServiceId};
use std::net::IpAddr;

/// The question, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The client, which is this worker's.
    pub client: IpAddr,
    /// The service that it would ask.
    pub service: ServiceId,
    /// The one that it is bound to: it gets this one or none.
    pub bound: Option<BackendId>,
    /// Its backend of late, if that is to last.
    pub remembered: Option<BackendId>,
    /// Whose turn it is by the rota's rule, whether it can be had or not.
    pub turn: Option<BackendId>,
    /// Whom it would get.
    pub chosen: Option<BackendId>,
}

impl Look {
    /// The question.
    pub fn new(client: IpAddr, service: ServiceId) -> Look {
        Look { client, service, bound: None, remembered: None, turn: None, chosen: None }
    }
}

/// Finds what [`super::choice::choose`] would say to a client that does not say what it wants, unless the client is
/// bound. Nothing moves by it.
pub fn look(question: &mut Look, here: &Here, own: &Own) {
    let Look { client, service: number, .. } = *question;
    let family = usize::from(client.is_ipv6());
    let wish = Wish { client, family, service: number, request: None };
    let service = &here.tables.services[usize::from(number)];
    let id = service.rota(client, None);
    let rota = &here.tables.rotas[usize::from(id)][family];
    let who = service.persistence.map_or(client, |persistence| persistence.who(client));
    let next = |candidates: Candidates| {
        let mut cursor = own.cursors[usize::from(id)][family];
        rota.next(&wish, who, &candidates, &mut cursor, &own.counters)
    };
    let usual = || Candidates::new(here, Avoid::Nobody).only_seen();
    let last = service.persistence.and_then(|_| own.sticky.find(id, who, here.now));
    question.bound = bound(client, number, here, own);
    question.remembered = last.filter(|&backend| rota.has(backend));
    question.turn = next(Candidates::everybody(here));
    question.chosen = match question.bound {
        Some(backend) => Some(backend).filter(|&backend| has_place(backend, here)),
        None => question
            .remembered
            .filter(|&backend| usual().has(backend))
            .or_else(|| next(usual()))
            .or_else(|| next(Candidates::at_worst(here, Avoid::Nobody)?.only_seen())),
    };
}

/// The backend that the client is bound to at the first of the service's VIPs at which it is bound.
fn bound(client: IpAddr, service: ServiceId, here: &Here, own: &Own) -> Option<BackendId> {
    let host = match client {
        IpAddr::V4(client) => Host::v4(client),
        IpAddr::V6(client) => own.hosts.find(client),
    };
    let mut vips = (0..).zip(&here.tables.vips);
    vips.find_map(|(id, vip)| {
        let is_its = vip.services().any(|known| known == service);
        own.bound(host, id, service, here).filter(|_| is_its)
    })
}

/// Whether a client that is bound gets to this backend: all that an `any` service's client sends is one connection,
/// which has its place.
fn has_place(id: BackendId, here: &Here) -> bool {
    let is_any = here.tables.service_of(id).protocol == Protocol::Any;
    is_any || here.backend(id).cap.as_ref().is_none_or(Cap::has_room)
}
