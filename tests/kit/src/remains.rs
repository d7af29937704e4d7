//! Saved memory of a process, byte by byte, and the process that continues from it.

use crate::engine_harness::EngineHarness;
use engine::flow::store::Store;
use engine::snapshot::Snapshot;
use engine::state::WorkerState;
use engine::types::tick::Tick;
use zerocopy::IntoBytes;

/// Saved memory of a worker with `transfers` rows, from time `now`.
#[derive(Debug, Clone)]
pub struct Remains {
    /// All bytes, in the order of [`Store::mapped`].
    pub memory: Vec<u8>,
    transfers: u32,
    now: Tick,
}

impl Remains {
    /// The memory that the gate leaves when its process is killed.
    pub fn of(gate: EngineHarness, transfers: u32) -> Remains {
        let now = gate.now;
        let Store { transfers: hot, details, connections, named } = gate.engine.state.leave();
        let parts = [hot.as_bytes(), connections.as_bytes(), details.as_bytes(), named.as_bytes()];
        Remains { memory: parts.concat(), transfers, now }
    }

    /// The memory with these bytes changed.
    #[must_use]
    pub fn damaged(&self, damage: &[(usize, u8)]) -> Remains {
        let mut damaged = self.clone();
        damage.iter().for_each(|&(at, byte)| damaged.memory[at] = byte);
        damaged
    }

    /// The next process, with this snapshot. Its memory is never freed, as in a real one.
    pub fn inherited(&self, snapshot: Snapshot) -> EngineHarness {
        // Page-aligned, as mapped memory is.
        let words = vec![0u64; self.memory.len().div_ceil(8)].into_boxed_slice();
        let memory = &mut Box::leak(words).as_mut_bytes()[..self.memory.len()];
        memory.copy_from_slice(&self.memory);
        EngineHarness::inheriting(
            WorkerState::mapped_store(memory, self.transfers),
            snapshot,
            self.now,
        )
    }
}
