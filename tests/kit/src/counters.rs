//! Counter values: a test states every counter that changed, and no other may have.

use engine::counters::{Counters, Packets, Refusals, Transfers};
use engine::types::drop_reason::DropReason;
use std::collections::BTreeMap;

/// Values of a worker's counters.
///
/// Packets have their counter's name, drops their reason's, transfers their counter's, summed over all backends. Byte
/// counters are left out.
#[derive(Debug, Clone, Default)]
pub struct CounterValues(BTreeMap<&'static str, u64>);

impl CounterValues {
    /// Current values.
    pub fn of(counters: &Counters) -> CounterValues {
        let packets = Packets::NAMES.iter().copied().zip(counters.packets.values());
        let drops = DropReason::ALL.iter().map(|&r| (r.name(), counters.drops.of(r).value()));
        let backends = total(counters.backends.iter().map(|set| set.values()));
        let transfers = Transfers::NAMES.iter().copied().zip(backends);
        let services = counters.refusals.iter().map(|set| set.values());
        let refused = services.fold(vec![0; Refusals::NAMES.len()], |sum, set| {
            sum.iter().zip(set).map(|(a, b)| a + b).collect()
        });
        let refusals = Refusals::NAMES.iter().copied().zip(refused);
        let all = packets.chain(drops).chain(transfers).chain(refusals);
        CounterValues(all.filter(|(name, _)| !name.starts_with("bytes")).collect())
    }

    /// Sums over several workers.
    pub fn of_all<'a>(counters: impl IntoIterator<Item = &'a Counters>) -> CounterValues {
        let mut sum = CounterValues::default();
        for (name, value) in counters.into_iter().flat_map(|one| CounterValues::of(one).0) {
            *sum.0.entry(name).or_default() += value;
        }
        sum
    }

    /// The value of a counter.
    pub fn at(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Changes since `before`.
    pub fn since(&self, before: &CounterValues) -> BTreeMap<&'static str, u64> {
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

/// Asserts that every received frame had exactly one verdict.
///
/// # Panics
///
/// The sums differ.
pub fn balances(counters: &Counters) {
    let packets = &counters.packets;
    assert_eq!(packets.came(), packets.went() + counters.drops.total(), "{packets:?}");
}
