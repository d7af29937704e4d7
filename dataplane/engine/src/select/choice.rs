//! The choice: one function from a request to a backend.

use super::candidates::Candidates;
use crate::here::Here;
use crate::own::Own;
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
    /// What for.
    pub request: &'a Request<'a>,
}

/// The client's backend of late, if that is to last; else the next one by the rota's rule. `avoid` is not
/// chosen. The transfer has a place there ([`crate::tables::Backend::take_place`]), to be given back if it
/// does not come about.
pub fn choose(
    wish: &Wish,
    avoid: Option<BackendId>,
    here: &Here,
    own: &mut Own,
) -> Step<BackendId> {
    let service = &here.tables.services[usize::from(wish.service)];
    let id = service.rota(wish.client, wish.request);
    let rota = &here.tables.rotas[usize::from(id)][wish.family];
    let candidates = Candidates::new(here, avoid);
    let last = service.persistence.and_then(|_| own.sticky.find(id, wish.client, here.now));
    let last = last.filter(|&backend| rota.has(backend) && candidates.take(backend));
    let cursor = &mut own.cursors[usize::from(id)][wish.family];
    let backend = last
        .or_else(|| rota.next(wish, wish.client, &candidates, cursor, &own.counters))
        .ok_or_else(|| candidates.why_none(rota.backends()))?;
    if let Some(length) = service.persistence {
        own.sticky.keep(id, wish.client, backend, here.now.after(length), here.now);
    }
    Ok(backend)
}
