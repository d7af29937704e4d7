//! Eviction: rows whose clients have not shown that they hear their servers give way. Anybody can have such rows made in
//! another's name, so they keep nobody out. The oldest goes first; nobody is told.

use super::WorkerState;
use crate::context::Env;
use crate::flow::FlowId;
use crate::scheduler::transfer_limit::TransferLimit;
use crate::types::end_reason::EndReason;
use crate::types::id::BackendId;
use crate::types::tick::PER_SECOND;

/// Ticks that both ends have to hear each other: one at the least, as the first packet may have come at the end of
/// its tick.
pub const HEARING: u32 = 2;

/// Ticks of a row's age and of another worker's waiting, together, after which the row gives up its place for that: at
/// first the oldest ones do.
const OLD: u32 = PER_SECOND;

/// As many places are given up at a backend in a tick.
const FEW: usize = 64;

/// A row that is not assured.
#[derive(Debug, Clone, Copy)]
pub enum Row {
    /// Of the table of transfers.
    Transfer(FlowId),
    /// Of the table of connections.
    Connection(FlowId),
}

impl WorkerState {
    /// The oldest transfer of these backends whose client was not heard.
    pub fn oldest_transfer(&self, backends: impl Iterator<Item = BackendId>) -> Option<FlowId> {
        self.transfers.unassured().oldest(backends)
    }

    /// The oldest connection of these backends that is not assured.
    pub fn oldest_connection(&self, backends: impl Iterator<Item = BackendId>) -> Option<FlowId> {
        self.connections.unassured().oldest(backends)
    }

    /// Makes room for one more at one of these full backends, all of one service. Answers whether there is a place now.
    /// A transfer keeps its place for some time in any case: otherwise all clients of a farm that boot at once would have
    /// their requests sent on, however few its servers can bear. Its client asks again; that of a refused connection
    /// does not.
    pub fn make_room(
        &mut self,
        backends: impl Iterator<Item = BackendId> + Clone,
        env: &Env,
    ) -> bool {
        let oldest = self.oldest_unassured(backends.clone());
        let is_young = oldest.is_none_or(|row| self.age(row, env) < HEARING);
        if is_young && self.workers > 1 {
            if caps(backends.clone(), env).any(TransferLimit::hand_out) {
                return true;
            }
            // At which of them they have any is not known.
            caps(backends, env).for_each(|cap| cap.ask(env.now));
        }
        match oldest {
            Some(Row::Transfer(_)) if is_young => return false,
            Some(row) => self.evict(row, env),
            None => return false,
        }
        true
    }

    /// Gives up places that other workers have asked for, once a tick.
    pub fn give_up_wanted(&mut self, env: &Env) {
        if self.workers == 1 || self.heeded == env.now {
            return;
        }
        self.heeded = env.now;
        for (id, backend) in env.snapshot.numbered_backends() {
            let Some(cap) = &backend.cap else { continue };
            cap.forget_wishes(env.now);
            for _ in 0..FEW {
                let Some(waited) = cap.waited(env.now) else { break };
                let Some(row) = self.oldest_unassured([id].into_iter()) else { break };
                let age = self.age(row, env);
                if age < HEARING || age.saturating_add(waited) < OLD || !cap.keep() {
                    break;
                }
                self.evict(row, env);
            }
        }
    }

    fn oldest_unassured(&self, backends: impl Iterator<Item = BackendId> + Clone) -> Option<Row> {
        let transfer = self.oldest_transfer(backends.clone()).map(Row::Transfer);
        transfer.or_else(|| self.oldest_connection(backends).map(Row::Connection))
    }

    fn age(&self, row: Row, env: &Env) -> u32 {
        env.now.since(match row {
            Row::Transfer(id) => self.transfers.detail(id).begun,
            Row::Connection(id) => self.connections[id].begun,
        })
    }

    /// Forgets the row, for others.
    pub fn evict(&mut self, row: Row, env: &Env) {
        match row {
            Row::Transfer(id) => self.end(id, EndReason::Evicted, env),
            Row::Connection(id) => self.end_connection(id, EndReason::Evicted, env),
        }
    }
}

/// The limits of those that have one.
fn caps<'a>(
    backends: impl Iterator<Item = BackendId>,
    env: &'a Env,
) -> impl Iterator<Item = &'a TransferLimit> {
    backends.filter_map(|id| env.backend(id).cap.as_ref())
}
