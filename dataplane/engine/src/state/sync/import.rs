//! Rows that a worker takes in from the peer gate, into its own tables: they wait there until the VIP comes.
//!
//! The peer is not trusted more than a packet is. A row names a service, a backend and a VIP that there are, a client that
//! may use them, and a port of a pool; its VIP is not held here. It takes no row from flows of this gate, and
//! leaves them some room.

mod connection;
mod transfer;

use super::WorkerState;
use crate::choose::{Selection, SelectionRequest};
use crate::context::Env;
use crate::flow::connection::SyncedConnection;
use crate::flow::endpoint::{Endpoint, HostId};
use crate::flow::key::Key;
use crate::flow::port_allocator::Holder;
use crate::flow::transfer::SyncedTransfer;
use crate::ip_family::IpFamily;
use crate::net::address_map::Owner;
use crate::net::rss::RssEntry;
use crate::snapshot::service::Service;
use crate::state::evict::Row;
use crate::types::direction::KeyKind;
use crate::types::end_reason::EndReason;
use crate::types::id::{BackendId, SnatId, VipId};
use crate::types::mode::Mode;
use crate::types::next_hop::NextHop;
use std::net::{IpAddr, SocketAddr};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tftp::Request;

/// Rows that a worker must take in: all are of clients that it owns.
#[derive(Debug, Default)]
pub struct SyncImport {
    /// Transfers.
    pub transfers: Vec<SyncedTransfer>,
    /// Connections.
    pub connections: Vec<SyncedConnection>,
    /// Rows refused so far, by [`SyncRefusal`].
    pub refused: [u32; SyncRefusal::ALL.len()],
    cursor: usize,
}

impl SyncImport {
    /// An import of these rows.
    pub fn new(transfers: Vec<SyncedTransfer>, connections: Vec<SyncedConnection>) -> SyncImport {
        SyncImport { transfers, connections, ..SyncImport::default() }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.transfers.is_empty() && self.connections.is_empty()
    }
}

/// Why a row of the peer's is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncRefusal {
    /// This gate holds the VIP, or the address that the server sees.
    Held,
    /// No such service, VIP or backend.
    Unknown,
    /// The row contradicts itself or the configuration.
    Malformed,
    /// The service does not admit the client.
    Client,
    /// The port that the server sees is another flow's.
    Port,
    /// The table is full.
    Full,
}

impl SyncRefusal {
    /// All reasons, in the order of their numbers.
    pub const ALL: [SyncRefusal; 6] = [
        SyncRefusal::Held,
        SyncRefusal::Unknown,
        SyncRefusal::Malformed,
        SyncRefusal::Client,
        SyncRefusal::Port,
        SyncRefusal::Full,
    ];

    /// The name that operators see.
    pub fn name(self) -> &'static str {
        match self {
            SyncRefusal::Held => "held",
            SyncRefusal::Unknown => "unknown",
            SyncRefusal::Malformed => "malformed",
            SyncRefusal::Client => "client",
            SyncRefusal::Port => "port",
            SyncRefusal::Full => "full",
        }
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
            let outcome = match place.checked_sub(rows.transfers.len()) {
                None => self.import_transfer(&rows.transfers[place], env),
                Some(place) => self.import_connection(&rows.connections[place], env),
            };
            if let Err(why_not) = outcome {
                rows.refused[why_not as usize] += 1;
            }
        }
        rows.cursor = upto;
        upto == all
    }

    /// Whether a row of this client may be taken in.
    fn check(
        &self,
        (client, service): (SocketAddr, &Service),
        (back, vip): (NextHop, VipId),
        env: &Env,
    ) -> Result<(), SyncRefusal> {
        let snapshot = env.snapshot;
        if snapshot.is_live(vip) {
            return Err(SyncRefusal::Held);
        }
        if !service.access.admits(client.ip()) {
            return Err(SyncRefusal::Client);
        }
        let is_ours = snapshot.addresses.get(client.ip()).is_some_and(Owner::is_ours);
        let is_host = match client.ip() {
            IpAddr::V4(address) => Ipv4::is_host(address),
            IpAddr::V6(address) => Ipv6::is_host(address),
        };
        let is_sound = client.port() != 0
            && is_host
            && !is_ours
            && client.is_ipv4() == snapshot[vip].address.is_ipv4()
            && RssEntry::of(client.ip()).worker(self.workers) == self.worker
            && usize::from(back.interface) < snapshot.interfaces.len();
        if is_sound { Ok(()) } else { Err(SyncRefusal::Malformed) }
    }

    /// The host id of the address that servers see as the client.
    fn told_host(
        &self,
        seen_as: SocketAddr,
        client: (SocketAddr, HostId),
        mode: &Mode,
        env: &Env,
    ) -> Result<HostId, SyncRefusal> {
        let Mode::Snat(_) = mode else {
            return if seen_as == client.0 { Ok(client.1) } else { Err(SyncRefusal::Malformed) };
        };
        // The service's pool has only what is held here.
        let place = env.snapshot.snat.iter().position(|one| one.address == seen_as.ip());
        let id = SnatId(place.ok_or(SyncRefusal::Malformed)? as u16);
        if env.snapshot.is_snat_live(id) {
            return Err(SyncRefusal::Held);
        }
        Ok(self.snat.hosts[id.index()])
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

    /// Claims the port that servers see, for a client of this entry; whoever has it by an earlier word of the peer's
    /// loses it.
    fn claim_told(
        &mut self,
        seen_as: Endpoint,
        (protocol, entry): (u8, RssEntry),
        holder: Holder,
        env: &Env,
    ) -> Result<(), SyncRefusal> {
        let id = self.snat.hosts.iter().position(|&host| host == seen_as.host);
        let ports = env.snapshot.snat[id.ok_or(SyncRefusal::Malformed)?].of(protocol);
        if ports.take_told(seen_as.port, entry, holder) {
            return Ok(());
        }
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
        let is_told = |vip, its| !env.snapshot.is_live(vip) && its == seen_as;
        match row {
            Row::Transfer(id) => {
                let flow = &self.transfers[id];
                if !is_told(flow.vip(), flow.seen_as()) {
                    return Err(SyncRefusal::Port);
                }
                self.end_both(id, EndReason::Replaced, env);
            }
            Row::Connection(id) => {
                let connection = self.connections.get(id).ok_or(SyncRefusal::Port)?;
                if !is_told(connection.vip(), connection.seen_as()) {
                    return Err(SyncRefusal::Port);
                }
                self.end_connection(id, EndReason::Replaced, env);
            }
        }
        Ok(())
    }
}

/// Whether a table of so many rows has one for the peer.
fn has_room(in_use: u32, rows: usize) -> bool {
    in_use < rows as u32 - rows as u32 / RESERVE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_stand_at_their_numbers() {
        for (number, reason) in SyncRefusal::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number, "{}", reason.name());
        }
    }
}
