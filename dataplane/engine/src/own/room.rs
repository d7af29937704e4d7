//! Room for more than a worker was made with. Control makes it before it says what is new, and the worker
//! moves what it has into it: nothing is allocated or freed on the way.

use super::{Own, cursors};
use crate::flow::hosts::Host;
use crate::flow::key::Seed;
use crate::flow::ports::Turn;
use crate::flow::quotas::Quotas;
use crate::select::rate::Rates;
use crate::select::round_robin::Cursor;
use crate::select::sticky::Sticky;
use crate::tables::Tables;
use std::mem::swap;
use std::net::IpAddr;

/// What one worker needs for a snapshot. After [`Own::move_to`]: what it no longer needs.
#[derive(Debug)]
pub struct Room {
    cursors: Vec<[Cursor; 2]>,
    turns: Vec<[Turn; 2]>,
    snat: Vec<Host>,
    tenants: Vec<u32>,
    /// The SNAT addresses that are new.
    new_snat: Vec<IpAddr>,
    sticky: Option<Sticky>,
    rates: Option<Rates>,
    quotas: Option<Quotas>,
}

impl Room {
    /// What worker `worker`, with `max_flows` transfers at the most, needs for the snapshot `new` beyond what it needed
    /// for `old`; `None`: nothing.
    pub fn between(
        old: &Tables,
        new: &Tables,
        worker: u16,
        max_flows: u32,
        seed: Seed,
    ) -> Option<Room> {
        let sticky = new.is_sticky() && !old.is_sticky();
        let rated = new.is_rated() && !old.is_rated();
        let limited = new.has_quotas() && !old.has_quotas();
        let known = old.snat.len();
        let grows = new.rotas.len() > old.rotas.len() || new.snat.len() > known;
        (grows || sticky || rated || limited).then(|| Room {
            cursors: cursors(worker, new),
            turns: vec![Default::default(); new.snat.len()],
            snat: vec![Host::NOBODY; new.snat.len()],
            tenants: vec![0; new.snat.len()],
            new_snat: new.snat[known..].iter().map(|one| one.address).collect(),
            sticky: sticky.then(|| Sticky::new(max_flows as usize, seed)),
            rates: rated.then(|| Rates::new(max_flows as usize, seed)),
            quotas: limited.then(|| Quotas::new(max_flows as usize, seed)),
        })
    }
}

impl Own {
    /// Moves what is here into this room, which then holds what is left over.
    pub fn move_to(&mut self, room: &mut Room) {
        let known = self.snat.len();
        room.cursors[..self.cursors.len()].copy_from_slice(&self.cursors);
        room.snat[..known].copy_from_slice(&self.snat);
        room.tenants[..known].copy_from_slice(&self.tenants);
        room.turns[..known].copy_from_slice(&self.turns);
        for (host, &address) in room.snat[known..].iter_mut().zip(&room.new_snat) {
            // There is room for the names of all ([`super::ROOM_FOR_V6`]).
            *host = self.hosts.enter(address).unwrap_or(Host::NOBODY);
        }
        swap(&mut self.cursors, &mut room.cursors);
        swap(&mut self.snat, &mut room.snat);
        swap(&mut self.tenants, &mut room.tenants);
        swap(&mut self.turns, &mut room.turns);
        room.sticky.iter_mut().for_each(|sticky| swap(&mut self.sticky, sticky));
        room.rates.iter_mut().for_each(|rates| swap(&mut self.rates, rates));
        room.quotas.iter_mut().for_each(|quotas| swap(&mut self.quotas, quotas));
    }
}
