//! Backend groups: members and their scheduler.

use super::maglev::{Maglev, Maglevs};
use super::round_robin::order;
use crate::scheduler::member::Member;
use crate::types::id::BackendId;
use std::sync::Arc;

/// A scheduler, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheduler {
    /// Weighted round robin.
    #[default]
    RoundRobin,
    /// The backend with the fewest transfers for its weight.
    LeastTransfers,
    /// Consistent hash of the client's address.
    SourceHash,
    /// Consistent hash of the file name.
    FileHash,
}

/// A backend group: members and scheduler. The default is empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BackendGroup {
    /// Members with a weight above zero. For hashes they are sorted by address, so that the configuration's order does
    /// not matter.
    members: Vec<Member>,
    algorithm: Algorithm,
}

/// A scheduler with its precomputed tables.
#[derive(Debug, Clone, PartialEq)]
pub enum Algorithm {
    /// Round robin in this order.
    RoundRobin(Vec<BackendId>),
    /// The backend with the fewest transfers for its weight.
    LeastTransfers,
    /// Hash of the client's address into this table of members.
    SourceHash(Arc<Maglev>),
    /// Hash of the file name into this table of members.
    FileHash(Arc<Maglev>),
}

impl Default for Algorithm {
    fn default() -> Algorithm {
        Algorithm::RoundRobin(vec![])
    }
}

impl BackendGroup {
    /// A group of these backends. Maglev tables are reused from the cache.
    pub fn new(
        scheduler: Scheduler,
        mut members: Vec<Member>,
        maglevs: &mut Maglevs,
    ) -> BackendGroup {
        members.retain(|member| member.weight > 0);
        let algorithm = match scheduler {
            Scheduler::RoundRobin => Algorithm::RoundRobin(order(&members)),
            Scheduler::LeastTransfers => Algorithm::LeastTransfers,
            Scheduler::SourceHash => Algorithm::SourceHash(hashed(&mut members, maglevs)),
            Scheduler::FileHash => Algorithm::FileHash(hashed(&mut members, maglevs)),
        };
        BackendGroup { members, algorithm }
    }

    /// Whether the backend is a member.
    pub fn has(&self, backend: BackendId) -> bool {
        self.members.iter().any(|member| member.id == backend)
    }

    /// All members.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The scheduler.
    pub fn algorithm(&self) -> &Algorithm {
        &self.algorithm
    }
}

fn hashed(members: &mut [Member], maglevs: &mut Maglevs) -> Arc<Maglev> {
    members.sort_by_key(|member| member.address);
    maglevs.of(members)
}
