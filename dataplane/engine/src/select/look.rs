//! Which backend a client would get, without giving it one: for operators.

use super::candidates::{Avoid, Candidates};
use super::choice::Wish;
use crate::here::Here;
use crate::own::Own;
use crate::tables::{BackendId, ServiceId};
use std::net::IpAddr;

/// The question, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The client, which is this worker's.
    pub client: IpAddr,
    /// The service that it would ask.
    pub service: ServiceId,
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
        Look { client, service, remembered: None, turn: None, chosen: None }
    }
}

/// Finds what [`super::choice::choose`] would say to a client that does not say what it wants. Nothing moves by it.
pub fn look(question: &mut Look, here: &Here, own: &Own) {
    let Look { client, service, .. } = *question;
    let family = usize::from(client.is_ipv6());
    let wish = Wish { client, family, service, request: None };
    let service = &here.tables.services[usize::from(service)];
    let id = service.rota(client, None);
    let rota = &here.tables.rotas[usize::from(id)][family];
    let who = service.persistence.map_or(client, |persistence| persistence.who(client));
    let next = |candidates: Candidates| {
        let mut cursor = own.cursors[usize::from(id)][family];
        rota.next(&wish, who, &candidates, &mut cursor, &own.counters)
    };
    let usual = || Candidates::new(here, Avoid::Nobody).only_seen();
    let last = service.persistence.and_then(|_| own.sticky.find(id, who, here.now));
    question.remembered = last.filter(|&backend| rota.has(backend));
    question.turn = next(Candidates::everybody(here));
    question.chosen = question
        .remembered
        .filter(|&backend| usual().has(backend))
        .or_else(|| next(usual()))
        .or_else(|| next(Candidates::at_worst(here, Avoid::Nobody)?.only_seen()));
}
