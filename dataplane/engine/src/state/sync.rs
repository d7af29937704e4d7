//! Flows in step with another gate: a worker copies rows out for its peer ([`export`]), and takes in what the peer tells
//! ([`import`], [`purge`]). The gate whose kernel holds the address that [tells whose a flow is](super::ours) is right about
//! it: it tells that flow, and takes in none.

pub mod export;
pub mod import;
pub mod purge;

use super::WorkerState;
use crate::context::Env;
use crate::flow::endpoint::Endpoint;
use crate::snapshot::Snapshot;
use crate::types::id::{SnatId, VipId};
use crate::types::mode::Mode;
use crate::types::tick::{PER_SECOND, Tick};

/// Ticks between two rounds, each of which looks at all rows.
pub const ROUND: u32 = PER_SECOND / 2;

/// Rounds after which the progress of a flow is told again.
pub const REFRESH: u32 = 4;

/// Some of a gate's addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressSet {
    /// Whether each VIP is among them.
    pub vips: Vec<bool>,
    /// Whether each SNAT address is.
    pub snat: Vec<bool>,
}

impl AddressSet {
    /// The addresses that this snapshot's gate holds.
    pub fn held(snapshot: &Snapshot) -> AddressSet {
        let snat = (0..snapshot.snat.len() as u16).map(|id| snapshot.is_snat_live(SnatId(id)));
        AddressSet {
            vips: snapshot.numbered_vips().map(|(id, _)| snapshot.is_live(id)).collect(),
            snat: snat.collect(),
        }
    }

    /// The addresses of this set that are not in the other one.
    #[must_use]
    pub fn without(&self, other: &AddressSet) -> AddressSet {
        let minus = |one: &[bool], other: &[bool]| {
            let others = other.iter().chain(std::iter::repeat(&false));
            one.iter().zip(others).map(|(&one, &other)| one && !other).collect()
        };
        AddressSet { vips: minus(&self.vips, &other.vips), snat: minus(&self.snat, &other.snat) }
    }

    /// The addresses of both sets.
    #[must_use]
    pub fn with(&self, other: &AddressSet) -> AddressSet {
        let both = |one: &[bool], other: &[bool]| {
            let at = |list: &[bool], place| list.get(place) == Some(&true);
            let places = 0..one.len().max(other.len());
            places.map(|place| at(one, place) || at(other, place)).collect()
        };
        AddressSet { vips: both(&self.vips, &other.vips), snat: both(&self.snat, &other.snat) }
    }

    /// Whether there are no addresses.
    pub fn is_empty(&self) -> bool {
        !self.vips.iter().chain(&self.snat).any(|&is_in| is_in)
    }

    fn has_vip(&self, vip: VipId) -> bool {
        self.vips.get(vip.index()) == Some(&true)
    }

    fn has_snat(&self, id: SnatId) -> bool {
        self.snat.get(id.index()) == Some(&true)
    }
}

/// The times at which this gate got its addresses, of those that it got just now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gains {
    /// The time for each VIP.
    pub vips: Vec<Option<Tick>>,
    /// The time for each SNAT address.
    pub snat: Vec<Option<Tick>>,
}

impl Gains {
    fn of_vip(&self, vip: VipId) -> Option<Tick> {
        self.vips.get(vip.index()).copied().flatten()
    }

    fn of_snat(&self, id: SnatId) -> Option<Tick> {
        self.snat.get(id.index()).copied().flatten()
    }
}

impl WorkerState {
    /// The address of a pool that this endpoint is of.
    fn snat_of(&self, end: Endpoint) -> Option<SnatId> {
        let place = self.snat.hosts.iter().position(|&known| known == end.host)?;
        Some(SnatId(place as u16))
    }

    /// Whether this gate tells flows of a VIP that servers see coming from this endpoint. A flow of a VIP that both gates
    /// hold is told only if the endpoint is of a pool, and so tells whose the flow is.
    #[inline(always)]
    fn tells(&self, vip: VipId, mode: &Mode, seen_as: Endpoint, env: &Env) -> bool {
        env.snapshot.is_live(vip)
            && match mode {
                Mode::Snat(_) => self.live_snat(seen_as.host, env).is_some(),
                Mode::Dsr | Mode::Nat => !env.snapshot[vip].is_shared,
            }
    }
}
