//! The pair: this gate's role, and what it and its peer hold.

use super::Daemon;
use crate::api::{Error, Pair, PairAddress, PairLink};
use crate::metrics;
use crate::pair::state::{Direction, PairState};
use crate::registry::present;
use engine::state::sync::AddressSet;
use engine::state::sync::import::SyncRefusal;
use engine::types::id::{SnatId, VipId};
use std::collections::BTreeSet;
use std::net::IpAddr;

impl Daemon {
    /// The state of the pair.
    pub fn pair_state(&self) -> &PairState {
        &self.pair
    }

    /// The VIPs and SNAT addresses, and whether the kernel holds each.
    fn all_addresses(&self) -> Vec<(IpAddr, bool)> {
        let (active, snapshot) = (self.active(), self.snapshot.borrow());
        let vips = present(VipId, active.registry.vips());
        let vips = vips.map(|(id, vip)| (vip.held.address, snapshot.is_live(id)));
        let snat = present(SnatId, active.registry.snat());
        vips.chain(snat.map(|(id, one)| (one.address, snapshot.is_snat_live(id)))).collect()
    }

    /// The VIPs and SNAT addresses that the kernel holds.
    pub fn held_addresses(&self) -> BTreeSet<IpAddr> {
        let all = self.all_addresses().into_iter();
        all.filter(|(_, is_held)| *is_held).map(|(address, _)| address).collect()
    }

    /// The held addresses that somebody else gives to one gate at a time: those that tell whose a flow is.
    pub fn held_alone(&self) -> BTreeSet<IpAddr> {
        let (active, snapshot) = (self.active(), self.snapshot.borrow());
        let vips = snapshot.numbered_vips().filter(|&(id, _)| snapshot.is_shareable(id));
        let shareable: BTreeSet<IpAddr> = vips.map(|(_, vip)| vip.address).collect();
        let mut held = self.held_addresses();
        held.retain(|address| {
            active.registry.is_elsewhere(*address) && !shareable.contains(address)
        });
        held
    }

    /// The VIPs and SNAT addresses that are among these.
    pub fn within(&self, held: &BTreeSet<IpAddr>) -> AddressSet {
        let snapshot = self.snapshot.borrow();
        let vips = snapshot.vips.iter().map(|vip| held.contains(&vip.address));
        let snat = snapshot.snat.iter().map(|one| held.contains(&one.address));
        AddressSet { vips: vips.collect(), snat: snat.collect() }
    }

    /// This gate's role, by the addresses that it holds.
    pub fn role(&self) -> &'static str {
        let all = self.all_addresses();
        match all.iter().filter(|(_, is_held)| *is_held).count() {
            0 => "standby",
            held if held == all.len() => "active",
            _ => "partly active",
        }
    }

    pub(super) fn pair(&self) -> Result<Pair, Error> {
        let active = self.active();
        let missing = || Error::Refused("the configuration has no [pair]".to_owned());
        let pair = active.config().pair.as_ref().ok_or_else(missing)?;
        let state = &self.pair;
        let addresses = self.all_addresses().into_iter().map(|(address, held)| PairAddress {
            address,
            held,
            held_by_peer: state.peer_holds(address),
        });
        let refused = SyncRefusal::ALL.map(SyncRefusal::name).into_iter().zip(&state.refused);
        Ok(Pair {
            listen: pair.listen.to_string(),
            peer: pair.peer.to_string(),
            role: self.role().to_owned(),
            in_step: state.is_known_there(self.now())
                && state.hearing.is_in_step()
                && state.conflicts() == 0,
            telling: link(&state.telling),
            hearing: link(&state.hearing),
            refused: refused.map(|(name, count)| (name.to_owned(), count.get().into())).collect(),
            refused_by_peer: state.telling.is_refused.get(),
            addresses: addresses.collect(),
            second_chance_by: self.second_chance_by(),
        })
    }

    /// The interfaces by which packets of the peer's flows go on to it.
    fn second_chance_by(&self) -> Vec<String> {
        let (active, snapshot) = (self.active(), self.snapshot.borrow());
        let both = active.config().interfaces.iter().zip(&snapshot.interfaces);
        let reached = both.filter(|(_, known)| known.other_gate.is_some());
        reached.map(|(interface, _)| interface.name.clone()).collect()
    }

    /// The sample of the pair for metrics, if there is one.
    pub(super) fn sample_pair(&self) -> Option<metrics::Pair> {
        self.active().config().pair.as_ref()?;
        let state = &self.pair;
        let sample = |direction: &Direction| metrics::PairLink {
            is_linked: direction.is_linked(),
            links: direction.links.get(),
            rows: direction.records.get(),
            lag: direction.lag(),
        };
        Some(metrics::Pair {
            telling: sample(&state.telling),
            hearing: sample(&state.hearing),
            refused: state.refused.each_ref().map(|count| count.get()),
            conflicts: state.conflicts() as u64,
        })
    }
}

fn link(direction: &Direction) -> PairLink {
    PairLink {
        version: direction.linked.borrow().clone(),
        links: direction.links.get(),
        rows: direction.records.get(),
        lag: direction.lag(),
    }
}
