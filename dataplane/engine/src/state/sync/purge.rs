//! Purge of rows that the peer gate does not have any more. Most ends are told; those that came while there was no link, or
//! when a row had to make way, are not. Once a new link has told all there is, what it has not told is over.

use super::AddressSet;
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::connection::NO_BACKEND;
use crate::flow::endpoint::Endpoint;
use crate::flow::epochs::Table;
use crate::state::WorkerState;
use crate::state::ours::{pool_end, pool_end_of};
use crate::types::end_reason::EndReason;
use crate::types::id::VipId;

/// Rows of each table looked at in a turn.
const LOOKS: usize = 64;

/// A purge of a worker's rows.
#[derive(Debug)]
pub struct SyncPurge {
    /// The epoch of the link that has told all rows.
    pub epoch: u8,
    /// The addresses that the peer holds.
    pub held: AddressSet,
    /// Rows that were ended.
    pub ended: u32,
    cursor: usize,
}

impl SyncPurge {
    /// A purge of what the link of this epoch has not told.
    pub fn new(epoch: u8, held: AddressSet) -> SyncPurge {
        SyncPurge { epoch, held, ended: 0, cursor: 0 }
    }
}

impl WorkerState {
    /// Looks at some more rows; answers true when all have been looked at.
    pub fn purge(&mut self, purge: &mut SyncPurge, env: &Env) -> bool {
        let upto = (purge.cursor + LOOKS).min(self.transfers.capacity());
        for id in (purge.cursor..upto).map(|place| place as FlowId) {
            if self.is_stale_transfer(id, purge, env) {
                self.end_both(id, EndReason::Elsewhere, env);
                purge.ended += 1;
            }
            if self.is_stale_connection(id, purge, env) {
                self.end_connection(id, EndReason::Elsewhere, env);
                purge.ended += 1;
            }
        }
        purge.cursor = upto;
        upto == self.transfers.capacity()
    }

    fn is_stale_transfer(&self, id: FlowId, purge: &SyncPurge, env: &Env) -> bool {
        self.transfers.get(id).is_some_and(|flow| {
            !self.epochs.is_of(Table::Transfers, id, purge.epoch)
                && self.is_the_peers(flow.vip(), pool_end(flow), purge)
                && !self.has_transfer(&self.transfers[id], env)
        })
    }

    /// Affinities and announced connections go with those that they belong to.
    fn is_stale_connection(&self, id: FlowId, purge: &SyncPurge, env: &Env) -> bool {
        self.connections.get(id).is_some_and(|connection| {
            connection.backend != NO_BACKEND
                && !connection.is_made_anew()
                && !self.epochs.is_of(Table::Connections, id, purge.epoch)
                && self.is_the_peers(connection.vip(), pool_end_of(connection), purge)
                && !self.has_connection(connection, env)
        })
    }

    /// Whether the peer holds the addresses by which a flow's ends know a gate.
    fn is_the_peers(&self, vip: VipId, seen_as: Option<Endpoint>, purge: &SyncPurge) -> bool {
        let pool = seen_as.and_then(|end| self.snat_of(end));
        purge.held.has_vip(vip) && pool.is_none_or(|id| purge.held.has_snat(id))
    }
}
