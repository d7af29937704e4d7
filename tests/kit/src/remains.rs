//! What a process leaves in memory that outlives it, byte by byte, and the next process.

use crate::gate::Gate;
use engine::flow::store::Store;
use engine::own::Own;
use engine::tables::Tables;
use engine::tick::Tick;
use zerocopy::IntoBytes;

/// The memory of a worker with room for `flows` transfers, when its process had come to `now`.
#[derive(Debug, Clone)]
pub struct Remains {
    /// All of it, in the order of [`Store::lasting`].
    pub memory: Vec<u8>,
    flows: u32,
    now: Tick,
}

impl Remains {
    /// What the gate leaves when its process is killed.
    pub fn of(gate: Gate, flows: u32) -> Remains {
        let now = gate.now;
        let Store { flows: hot, details, connections, named } = gate.core.own.leave();
        let parts = [hot.as_bytes(), connections.as_bytes(), details.as_bytes(), named.as_bytes()];
        Remains { memory: parts.concat(), flows, now }
    }

    /// The same with other bytes at these places.
    #[must_use]
    pub fn damaged(&self, damage: &[(usize, u8)]) -> Remains {
        let mut damaged = self.clone();
        damage.iter().for_each(|&(at, byte)| damaged.memory[at] = byte);
        damaged
    }

    /// The next process, in this world. Its memory is never freed, as in a real one.
    pub fn inherited(&self, tables: Tables) -> Gate {
        // Aligned as a page is, for what is read of it.
        let words = vec![0u64; self.memory.len().div_ceil(8)].into_boxed_slice();
        let memory = &mut Box::leak(words).as_mut_bytes()[..self.memory.len()];
        memory.copy_from_slice(&self.memory);
        Gate::inheriting(Own::lasting_store(memory, self.flows), tables, self.now)
    }
}
