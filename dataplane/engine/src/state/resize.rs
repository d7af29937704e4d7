//! Room for more than a worker was made with. Control makes it before it says what is new, and the worker
//! moves what it has into it: nothing is allocated or freed on the way.

use super::WorkerState;
use crate::choose::cursors;
use crate::flow::endpoint::HostId;
use crate::flow::hash::Seed;
use crate::flow::port_allocator::Turns;
use crate::flow::quotas::Quotas;
use crate::scheduler::persistence::PersistenceTable;
use crate::scheduler::rate_limit::RateLimits;
use crate::scheduler::round_robin::Cursor;
use crate::snapshot::Snapshot;
use std::mem::swap;
use std::net::IpAddr;

/// The memory that one worker needs for a snapshot. After [`WorkerState::resize`]: the memory that it no longer needs.
#[derive(Debug)]
pub struct Resize {
    cursors: Vec<[Cursor; 2]>,
    turns: Vec<Turns>,
    snat: Vec<HostId>,
    tenants: Vec<u32>,
    /// The SNAT addresses that are new.
    new_snat: Vec<IpAddr>,
    sticky: Option<PersistenceTable>,
    rates: Option<RateLimits>,
    quotas: Option<Quotas>,
}

impl Resize {
    /// The memory that worker `worker`, with at most `max_flows` transfers, needs for the snapshot `new` beyond what it needed for
    /// `old`; `None`: none.
    pub fn between(
        old: &Snapshot,
        new: &Snapshot,
        worker: u16,
        max_flows: u32,
        seed: Seed,
    ) -> Option<Resize> {
        let sticky = new.is_sticky() && !old.is_sticky();
        let rated = new.is_rated() && !old.is_rated();
        let limited = new.has_quotas() && !old.has_quotas();
        let known = old.snat.len();
        let grows = new.groups.len() > old.groups.len() || new.snat.len() > known;
        (grows || sticky || rated || limited).then(|| Resize {
            cursors: cursors(worker, new),
            turns: vec![Turns::default(); new.snat.len()],
            snat: vec![HostId::NOBODY; new.snat.len()],
            tenants: vec![0; new.snat.len()],
            new_snat: new.snat[known..].iter().map(|one| one.address).collect(),
            sticky: sticky.then(|| PersistenceTable::new(max_flows as usize, seed)),
            rates: rated.then(|| RateLimits::new(max_flows as usize, seed)),
            quotas: limited.then(|| Quotas::new(max_flows as usize, seed)),
        })
    }
}

impl WorkerState {
    /// Moves what is here into this room, which then holds what is left over.
    pub fn resize(&mut self, room: &mut Resize) {
        let known = self.snat.hosts.len();
        room.cursors[..self.choose.cursors.len()].copy_from_slice(&self.choose.cursors);
        room.snat[..known].copy_from_slice(&self.snat.hosts);
        room.tenants[..known].copy_from_slice(&self.snat.tenants);
        room.turns[..known].swap_with_slice(&mut self.snat.turns);
        for (host, &address) in room.snat[known..].iter_mut().zip(&room.new_snat) {
            // There is room for the names of all ([`super::ROOM_FOR_V6`]).
            *host = self.hosts.intern(address).unwrap_or(HostId::NOBODY);
        }
        swap(&mut self.choose.cursors, &mut room.cursors);
        swap(&mut self.snat.hosts, &mut room.snat);
        swap(&mut self.snat.tenants, &mut room.tenants);
        swap(&mut self.snat.turns, &mut room.turns);
        room.sticky.iter_mut().for_each(|sticky| swap(&mut self.choose.sticky, sticky));
        room.rates.iter_mut().for_each(|rates| swap(&mut self.choose.rates, rates));
        room.quotas.iter_mut().for_each(|quotas| swap(&mut self.quotas, quotas));
    }
}
