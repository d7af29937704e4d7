//! Counters and latencies.

use super::Daemon;
use crate::api::{Stats, WorkerStats};
use crate::stats::{self, Sum};
use engine::counters::{Counter, Packets};
use engine::types::drop_reason::DropReason;

impl Daemon {
    /// Warns once that a device merges frames, which makes TCP slow without any other sign.
    pub fn look_for_merged(&self, is_said: &mut bool) {
        let merged: u64 =
            self.counters().map(|counters| counters.drops.of(DropReason::Merged).value()).sum();
        if merged > 0 && !*is_said {
            log::warn!(
                "a device merges frames into some that are larger than its interface's MTU: they are dropped as `merged`, \
                 {merged} so far; see `ethtool -k` for GRO and LRO"
            );
            *is_said = true;
        }
    }

    pub(super) async fn stats(&self) -> Stats {
        let latencies = self.channels.latencies().await;
        let workers: Vec<WorkerStats> = self
            .workers()
            .into_iter()
            .zip(&latencies)
            .map(|((core, counters), latencies)| WorkerStats {
                core,
                packets: Sum::of([&*counters.packets]).named(),
                drops: stats::drops([&*counters.drops]),
                latency: stats::latency([latencies]),
            })
            .collect();
        let count = |of: fn(&Packets) -> &Counter| -> u64 {
            self.counters().map(|counters| of(&counters.packets).value()).sum()
        };
        let handed_over = count(|packets| &packets.handed_over);
        let received = count(|packets| &packets.received);
        Stats {
            packets: Sum::of(self.counters().map(|counters| &*counters.packets)).named(),
            drops: stats::drops(self.counters().map(|counters| &*counters.drops)),
            workers,
            transfers: self.all_services().named(),
            refused: Sum::of(self.counters().flat_map(|counters| &counters.refusals)).named(),
            latency: stats::latency(&latencies),
            handed_over_share: handed_over as f64 / received.max(1) as f64,
        }
    }
}
