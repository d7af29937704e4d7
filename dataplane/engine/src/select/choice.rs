//! The choice: one function from a request to a backend.

use super::candidates::{Avoid, Candidates};
use crate::here::Here;
use crate::own::Own;
use crate::select::sticky::Persistence;
use crate::tables::{BackendId, ServiceId};
use crate::verdict::Step;
use std::net::IpAddr;
use wire::tftp::Request;

/// Who asks whom for what.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The client.
    pub client: IpAddr,
    /// Its version of IP ([`crate::family::Family::PLACE`]).
    pub family: usize,
    /// The service that it asks.
    pub service: ServiceId,
    /// What for, if it says.
    pub request: Option<&'a Request<'a>>,
}

/// The client's backend of late, if that is to last; else the next one by the rota's rule. Where all are full, the oldest
/// transfer or connection makes room whose client was not heard. The transfer has a place there ([`crate::tables::Backend::take_place`]), to be given back if it
/// does not come about.
pub fn choose(wish: &Wish, avoid: Avoid, here: &Here, own: &mut Own) -> Step<BackendId> {
    let service = &here.tables.services[usize::from(wish.service)];
    let id = service.rota(wish.client, wish.request);
    let rota = &here.tables.rotas[usize::from(id)][wish.family];
    let candidates = Candidates::new(here, avoid);
    let who = service.persistence.map_or(wish.client, |persistence| persistence.who(wish.client));
    let last = service.persistence.and_then(|_| own.sticky.find(id, who, here.now));
    let last = last.filter(|&backend| rota.has(backend) && candidates.take(backend));
    let next = |candidates: &Candidates, own: &mut Own| {
        let cursor = &mut own.cursors[usize::from(id)][wish.family];
        rota.next(wish, who, candidates, cursor, &own.counters)
    };
    let backend = last
        .or_else(|| next(&candidates, own))
        .or_else(|| {
            let full = candidates.full(rota.members());
            if own.make_room(full, here) { next(&candidates, own) } else { None }
        })
        .or_else(|| next(&Candidates::at_worst(here, avoid)?, own))
        .ok_or_else(|| candidates.why_none(rota.members()))?;
    if let Some(Persistence { ticks, .. }) = service.persistence {
        own.sticky.keep(id, who, backend, here.now.after(ticks), here.now);
    }
    Ok(backend)
}
