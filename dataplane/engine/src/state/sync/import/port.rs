//! Ports of pools that rows of the peer's have.

use super::refusal::SyncRefusal;
use crate::context::Env;
use crate::flow::endpoint::Endpoint;
use crate::flow::key::Key;
use crate::flow::port_allocator::{Holder, PortAllocator, Turn};
use crate::net::rss::RssEntry;
use crate::state::WorkerState;
use crate::state::evict::Row;
use crate::types::direction::KeyKind;
use crate::types::end_reason::EndReason;

/// Ports behind a told one that may be those of flows too young to be told. Their servers may still send there what a
/// client would take for the answer to its own request.
const YOUNG: u16 = 128;

impl WorkerState {
    /// Claims the port that servers see, for a client of this entry; whoever has it by an earlier word of the peer's
    /// loses it. Later flows of this gate get ports further ahead.
    pub fn claim_told(
        &mut self,
        seen_as: Endpoint,
        (protocol, entry): (u8, RssEntry),
        holder: Holder,
        env: &Env,
    ) -> Result<(), SyncRefusal> {
        let id = self.snat.hosts.iter().position(|&host| host == seen_as.host);
        let id = id.ok_or(SyncRefusal::Malformed)?;
        let ports = env.snapshot.snat[id].of(protocol);
        if !ports.take_told(seen_as.port, entry, holder) {
            self.take_over_port(ports, seen_as, (entry, holder), env)?;
        }
        let ahead = seen_as.port.wrapping_add(YOUNG);
        *self.snat.turns[id].of(protocol, entry) = Turn::behind(ahead);
        Ok(())
    }

    /// Takes a port that another row has which the peer has told of.
    fn take_over_port(
        &mut self,
        ports: &PortAllocator,
        seen_as: Endpoint,
        (entry, holder): (RssEntry, Holder),
        env: &Env,
    ) -> Result<(), SyncRefusal> {
        let row = match ports.holder(seen_as.port, entry).ok_or(SyncRefusal::Port)? {
            Holder::Transfer(server) => {
                let key = Key::of_server(seen_as, server);
                self.transfers.find(KeyKind::Server, key).map(Row::Transfer)
            }
            Holder::Connection(id) => Some(Row::Connection(id)),
        };
        self.give_way(row.ok_or(SyncRefusal::Port)?, seen_as, env)?;
        let is_taken = ports.take_told(seen_as.port, entry, holder);
        if is_taken { Ok(()) } else { Err(SyncRefusal::Port) }
    }

    /// Ends a row that the peer has told of, as its port is another one's by now.
    fn give_way(&mut self, row: Row, seen_as: Endpoint, env: &Env) -> Result<(), SyncRefusal> {
        let (its, is_ours) = match row {
            Row::Transfer(id) => {
                (self.transfers[id].seen_as(), self.has_transfer(&self.transfers[id], env))
            }
            Row::Connection(id) => {
                let connection = self.connections.get(id).ok_or(SyncRefusal::Port)?;
                (connection.seen_as(), self.has_connection(connection, env))
            }
        };
        if its != seen_as || is_ours {
            return Err(SyncRefusal::Port);
        }
        match row {
            Row::Transfer(id) => self.end_both(id, EndReason::Replaced, env),
            Row::Connection(id) => self.end_connection(id, EndReason::Replaced, env),
        }
        Ok(())
    }
}
