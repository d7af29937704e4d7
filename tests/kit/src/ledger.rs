//! Every counter that moved is stated, and none other did.

use engine::count::{Counters, Packets, Refusals, Transfers};
use engine::reason::Reason;
use std::collections::BTreeMap;

/// What a worker's counters stood at.
///
/// Packets go by their counter's name, drops by their reason's; what became of transfers by the
/// counter's name, over all backends. Bytes are not in it.
#[derive(Debug, Clone, Default)]
pub struct Ledger(BTreeMap<&'static str, u64>);

impl Ledger {
    /// What they stand at now.
    pub fn of(counters: &Counters) -> Ledger {
        let packets = Packets::NAMES.iter().copied().zip(counters.packets.values());
        let drops = Reason::ALL.iter().map(|&r| (r.name(), counters.drops.of(r).value()));
        let backends = total(counters.backends.iter().map(|set| set.values()));
        let transfers = Transfers::NAMES.iter().copied().zip(backends);
        let services = counters.refusals.iter().map(|set| set.values());
        let refused = services.fold(vec![0; Refusals::NAMES.len()], |sum, set| {
            sum.iter().zip(set).map(|(a, b)| a + b).collect()
        });
        let refusals = Refusals::NAMES.iter().copied().zip(refused);
        let all = packets.chain(drops).chain(transfers).chain(refusals);
        Ledger(all.filter(|(name, _)| !name.starts_with("bytes")).collect())
    }

    /// What those of several workers stand at together.
    pub fn of_all<'a>(counters: impl IntoIterator<Item = &'a Counters>) -> Ledger {
        let mut sum = Ledger::default();
        for (name, value) in counters.into_iter().flat_map(|one| Ledger::of(one).0) {
            *sum.0.entry(name).or_default() += value;
        }
        sum
    }

    /// What one of them stands at.
    pub fn at(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// What moved since `before`.
    pub fn since(&self, before: &Ledger) -> BTreeMap<&'static str, u64> {
        let change = |(&name, now): (&&'static str, &u64)| {
            (name, now - before.0.get(name).copied().unwrap_or_default())
        };
        self.0.iter().map(change).filter(|&(_, change)| change != 0).collect()
    }
}

fn total(sets: impl Iterator<Item = Vec<u64>>) -> Vec<u64> {
    sets.fold(vec![0; Transfers::NAMES.len()], |sum, set| {
        sum.iter().zip(set).map(|(a, b)| a + b).collect()
    })
}

/// Every frame that came ended in exactly one verdict.
///
/// # Panics
///
/// It did not.
pub fn balances(counters: &Counters) {
    let p = &counters.packets;
    let came = [&p.received, &p.taken_over, &p.from_kernel, &p.released, &p.made];
    let went = [&p.transmitted, &p.answered, &p.to_kernel, &p.handed_over, &p.held, &p.absorbed];
    let came: u64 = came.iter().map(|counter| counter.value()).sum();
    let went: u64 = went.iter().map(|counter| counter.value()).sum();
    assert_eq!(came, went + counters.drops.total(), "{p:?}");
}
