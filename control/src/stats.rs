//! Sums of counters over workers. Counters are read while workers run, so a sum is exact only when nothing moves.

use crate::api::{Counts, Latency};
use engine::counters::{Drops, Packets, Refusals, Transfers};
use engine::types::drop_reason::DropReason;
use worker::latency::{self, Latencies};

/// A set of counters with names.
pub trait Counted {
    /// The names.
    const NAMES: &'static [&'static str];

    /// The values now, in the names' order.
    fn values(&self) -> Vec<u64>;
}

impl Counted for Packets {
    const NAMES: &'static [&'static str] = Packets::NAMES;

    fn values(&self) -> Vec<u64> {
        Packets::values(self)
    }
}

impl Counted for Transfers {
    const NAMES: &'static [&'static str] = Transfers::NAMES;

    fn values(&self) -> Vec<u64> {
        Transfers::values(self)
    }
}

impl Counted for Refusals {
    const NAMES: &'static [&'static str] = Refusals::NAMES;

    fn values(&self) -> Vec<u64> {
        Refusals::values(self)
    }
}

/// The sum of several sets of counters of one kind.
pub struct Sum {
    names: &'static [&'static str],
    values: Vec<u64>,
}

impl Sum {
    /// Adds up sets of counters.
    pub fn of<'a, C: Counted + 'a>(sets: impl IntoIterator<Item = &'a C>) -> Sum {
        let mut values = vec![0; C::NAMES.len()];
        for set in sets {
            for (sum, value) in values.iter_mut().zip(set.values()) {
                *sum += value;
            }
        }
        Sum { names: C::NAMES, values }
    }

    /// The values, by name.
    pub fn named(&self) -> Counts {
        let names = self.names.iter().map(|&name| name.to_owned());
        names.zip(self.values.iter().map(|&value| value.into())).collect()
    }

    /// Transfers now: those that have started, were adopted or came from the other gate, and have not ended. Workers run
    /// on, so an end may be read without its start.
    pub fn now(&self) -> u64 {
        let entered = ["started", "adopted", "synced"].map(|name| self.value(name));
        entered.iter().sum::<u64>().saturating_sub(self.value("ended"))
    }

    fn value(&self, name: &str) -> u64 {
        self.names.iter().position(|&known| known == name).map_or(0, |place| self.values[place])
    }
}

/// Dropped packets by reason, including reasons with none.
pub fn drops<'a>(sets: impl IntoIterator<Item = &'a Drops>) -> Counts {
    let mut sums = vec![0; DropReason::ALL.len()];
    for set in sets {
        for &reason in DropReason::ALL {
            sums[reason as usize] += set.of(reason).value();
        }
    }
    DropReason::ALL
        .iter()
        .zip(sums)
        .map(|(reason, sum)| (reason.name().to_owned(), sum.into()))
        .collect()
}

/// Latency of frames over several workers.
pub fn latency<'a>(recorded: impl IntoIterator<Item = &'a Latencies>) -> Latency {
    let mut all = latency::none();
    for one in recorded {
        all.add(one).expect("the bounds are the same");
    }
    Latency {
        turns: all.len(),
        p50: all.value_at_quantile(0.5),
        p99: all.value_at_quantile(0.99),
        p99_9: all.value_at_quantile(0.999),
        max: all.max(),
    }
}
