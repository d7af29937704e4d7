//! Rows that a worker takes in from the peer gate, into its own tables: they wait there until the VIP comes.
//!
//! The peer is not trusted more than a packet is. A row names a service, a backend and a VIP that there are, a client that
//! may use them, and a port of a pool; the address that [tells whose it is](crate::state::ours) is not held here. It takes no
//! row from flows of this gate, and leaves them some room.

mod claim;
mod connection;
mod port;
mod refusal;
mod transfer;

pub use refusal::SyncRefusal;

use super::{Gains, WorkerState};
use crate::choose::{Selection, SelectionRequest};
use crate::context::Env;
use crate::flow::connection::SyncedConnection;
use crate::flow::endpoint::Endpoint;
use crate::flow::epochs::Table;
use crate::flow::transfer::SyncedTransfer;
use crate::types::id::BackendId;
use crate::types::tick::Tick;
use claim::Put;
use wire::tftp::Request;

/// Rows that a worker must take in: all are of clients that it owns.
#[derive(Debug, Default)]
pub struct SyncImport {
    /// Transfers.
    pub transfers: Vec<SyncedTransfer>,
    /// Connections.
    pub connections: Vec<SyncedConnection>,
    /// The link's epoch, by which a [purge](super::purge) knows rows that it has told; never 0.
    pub epoch: u8,
    /// The addresses that this gate got just now, and the peer may have had until then: of their flows it may tell those that
    /// are unknown here, or of which nothing was heard here yet.
    pub gains: Gains,
    /// Rows refused so far, by [`SyncRefusal`].
    pub refused: [u32; SyncRefusal::ALL.len()],
    cursor: usize,
}

impl SyncImport {
    /// An import of these rows.
    pub fn new(
        transfers: Vec<SyncedTransfer>,
        connections: Vec<SyncedConnection>,
        epoch: u8,
    ) -> SyncImport {
        SyncImport { transfers, connections, epoch, ..SyncImport::default() }
    }

    /// The import of a gate that has got addresses of the peer's ([`SyncImport::gains`]).
    #[must_use]
    pub fn with(self, gains: Gains) -> SyncImport {
        SyncImport { gains, ..self }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.transfers.is_empty() && self.connections.is_empty()
    }
}

/// Rows taken in at a time, so that packets do not wait.
const SLICE: usize = 32;

/// One of so many rows is left for flows of this gate.
const RESERVE: u32 = 8;

impl WorkerState {
    /// Takes in some more rows; answers true when all have been looked at.
    pub fn import(&mut self, rows: &mut SyncImport, env: &Env) -> bool {
        let all = rows.transfers.len() + rows.connections.len();
        let upto = (rows.cursor + SLICE).min(all);
        for place in rows.cursor..upto {
            let (table, outcome) = match place.checked_sub(rows.transfers.len()) {
                None => (
                    Table::Transfers,
                    self.import_transfer(&rows.transfers[place], &rows.gains, env),
                ),
                Some(place) => (
                    Table::Connections,
                    self.import_connection(&rows.connections[place], &rows.gains, env),
                ),
            };
            match outcome {
                Ok(Put::New(id) | Put::Known(id)) => self.epochs.note(table, id, rows.epoch),
                Ok(Put::Over | Put::Ours) => {}
                Err(why_not) => rows.refused[why_not as usize] += 1,
            }
        }
        rows.cursor = upto;
        upto == all
    }

    /// Remembers the backend of a client whose flow was told, if the service has persistence.
    fn remember_told(
        &mut self,
        client: Endpoint,
        backend: BackendId,
        tftp: Option<&Request>,
        env: &Env,
    ) {
        let client = self.hosts.socket_address(client).ip();
        let (service, family) = (env.backend(backend).service, usize::from(client.is_ipv6()));
        let request = SelectionRequest { client, family, service, tftp };
        Selection::new(&request, env).remember(backend, &mut self.choose, env.now);
    }
}

/// Whether a flow of this gate's stays as it is: one that was heard of since the gate got its address is not the peer's any
/// more.
fn has_gone_on(last_packet: Tick, gained: Option<Tick>) -> bool {
    gained.is_none_or(|gained| gained.is_due(last_packet))
}

/// Whether a table of so many rows has one for the peer.
fn has_room(in_use: u32, rows: usize) -> bool {
    in_use < rows as u32 - rows as u32 / RESERVE
}
