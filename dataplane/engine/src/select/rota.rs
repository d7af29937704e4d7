//! Among whom new transfers are dealt out, and by which rule.

use super::candidates::Candidates;
use super::choice::Wish;
use super::least_transfers;
use super::maglev::{self, Maglev, Maglevs};
use super::round_robin::{Cursor, order};
use crate::count::Counters;
use crate::tables::BackendId;
use std::net::IpAddr;
use std::sync::Arc;

/// How a service chooses among its backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheduler {
    /// In turn.
    #[default]
    RoundRobin,
    /// Whoever has the fewest transfers.
    LeastTransfers,
    /// By the client's address.
    SourceHash,
    /// By the file's name.
    FileHash,
}

/// One who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The backend.
    pub id: BackendId,
    /// Its address.
    pub address: IpAddr,
    /// Its share; with 0 it has none.
    pub weight: u16,
}

/// Those who take part, and what decides. The default: nobody.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rota {
    /// Those with a weight. For a hash in their addresses' order, whatever that of the configuration.
    members: Vec<Member>,
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    RoundRobin(Vec<BackendId>),
    LeastTransfers,
    SourceHash(Arc<Maglev>),
    FileHash(Arc<Maglev>),
}

impl Default for Rule {
    fn default() -> Rule {
        Rule::RoundRobin(vec![])
    }
}

impl Rota {
    /// These backends by this scheduler. Tables that were made before are used again.
    pub fn new(scheduler: Scheduler, mut members: Vec<Member>, maglevs: &mut Maglevs) -> Rota {
        members.retain(|member| member.weight > 0);
        let rule = match scheduler {
            Scheduler::RoundRobin => Rule::RoundRobin(order(&members)),
            Scheduler::LeastTransfers => Rule::LeastTransfers,
            Scheduler::SourceHash => Rule::SourceHash(hashed(&mut members, maglevs)),
            Scheduler::FileHash => Rule::FileHash(hashed(&mut members, maglevs)),
        };
        Rota { members, rule }
    }

    /// Whether the backend takes part.
    pub fn has(&self, backend: BackendId) -> bool {
        self.members.iter().any(|member| member.id == backend)
    }

    /// All who take part.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Whose turn it is for this wish, of `who`: the client, or what stands for it. A place there is taken.
    pub fn next(
        &self,
        wish: &Wish,
        who: IpAddr,
        candidates: &Candidates,
        cursor: &mut Cursor,
        counters: &Counters,
    ) -> Option<BackendId> {
        let next = match &self.rule {
            Rule::RoundRobin(order) => {
                cursor.next(order, |backend, number| candidates.take_turn(backend, number))
            }
            Rule::LeastTransfers => {
                least_transfers::next(&self.members, candidates, cursor, counters)
            }
            Rule::SourceHash(maglev) => self.find(maglev, maglev::of_address(who), candidates),
            Rule::FileHash(maglev) => {
                let file = wish.request.map_or(&[][..], |request| request.file);
                self.find(maglev, maglev::of_file(file), candidates)
            }
        };
        next.or_else(|| candidates.take_passed_over())
    }

    fn find(&self, maglev: &Maglev, key: u64, candidates: &Candidates) -> Option<BackendId> {
        let found =
            maglev.find(key, |place, number| candidates.take_turn(self.members[place].id, number));
        found.map(|place| self.members[place].id)
    }
}

fn hashed(members: &mut [Member], maglevs: &mut Maglevs) -> Arc<Maglev> {
    members.sort_by_key(|member| member.address);
    maglevs.of(members)
}
