//! A connection as one gate tells it to another: addresses in place of host ids, ages in place of ticks. The ids of VIPs,
//! backends and interfaces are those of the gate that has the struct.

use super::{Connection, Half, flag, mark};
use crate::flow::ftp_session_table::SyncedSession;
use crate::flow::hash::Seed;
use crate::flow::hash_index::NO_FLOW;
use crate::flow::new_hop::NewHop;
use crate::flow::state::{ConnectionKind, ConnectionState};
use crate::flow::tuple::Tuples;
use crate::types::id::{BackendId, VipId};
use crate::types::next_hop::NextHop;
use crate::types::tick::{PER_SECOND, Tick};
use std::net::SocketAddr;
use zerocopy::IntoBytes;

/// A connection that a gate tells its peer.
#[derive(Debug, Clone)]
pub struct SyncedConnection {
    /// IP protocol.
    pub protocol: u8,
    /// The client's endpoint.
    pub client: SocketAddr,
    /// The VIP.
    pub vip: VipId,
    /// The VIP's port.
    pub vip_port: u16,
    /// The endpoint that the server sees as the client; the client's own where answers do not pass the gate.
    pub seen_as: SocketAddr,
    /// The server's port.
    pub server_port: u16,
    /// The backend.
    pub backend: BackendId,
    /// The next hop to the client.
    pub back: NextHop,
    /// The kind.
    pub kind: ConnectionKind,
    /// The state.
    pub state: ConnectionState,
    /// [`flag`]s, of which some count.
    pub flags: u8,
    /// [`mark`]s, of which some count.
    pub marks: u8,
    /// TCP progress of client and server.
    pub halves: [Half; 2],
    /// Bytes from client and server.
    pub bytes: [u64; 2],
    /// The session of a control connection of FTP that is read.
    pub session: Option<SyncedSession>,
    /// Ticks since the first packet.
    pub age: u32,
    /// Ticks since the last packet.
    pub idle: u32,
}

/// Ticks without a packet after which TCP's progress is taken as it is told.
const CALM: u32 = PER_SECOND;

/// Flags that another gate is believed.
const FLAGS: u8 = flag::CLIENT_DONE | flag::SERVER_DONE | flag::BY_SERVER | flag::ANSWERED;
/// Marks that another gate is believed.
const MARKS: u8 = mark::BORROWS_PORT;

impl SyncedConnection {
    /// The row of this connection, with these tuples.
    pub fn row(&self, tuples: Tuples, now: Tick) -> Connection {
        let found_by = if tuples.have_server() { flag::BY_SERVER_TUPLE } else { 0 };
        Connection {
            tuples,
            halves: self.halves(),
            low_bytes: self.bytes.map(|bytes| bytes as u32),
            high_bytes: self.bytes.map(|bytes| (bytes >> 32) as u32),
            last_packet: now.before(self.idle),
            begun: now.before(self.age),
            backend: self.backend,
            back: self.back,
            kind: self.kind,
            state: self.state,
            flags: self.flags & FLAGS | flag::BY_CLIENT_TUPLE | found_by,
            marks: self.marks & MARKS,
            ..Connection::FREE
        }
    }

    /// TCP progress. While packets come, it would be out of date: the next segments tell it.
    fn halves(&self) -> [Half; 2] {
        if self.idle > CALM { self.halves } else { Connection::FREE.halves }
    }
}

impl Connection {
    /// The connection as it is told to another gate.
    pub fn synced(
        &self,
        [client, seen_as]: [SocketAddr; 2],
        session: Option<SyncedSession>,
        now: Tick,
    ) -> SyncedConnection {
        let Connection { backend, back, kind, state, flags, marks, halves, .. } = *self;
        SyncedConnection {
            protocol: self.client().protocol,
            client,
            vip: self.vip(),
            vip_port: self.client().far_port(),
            seen_as,
            server_port: self.server().far_port(),
            backend,
            back,
            kind,
            state,
            flags,
            marks,
            halves,
            bytes: self.bytes(),
            session,
            age: now.since(self.begun),
            idle: now.since(self.last_packet),
        }
    }

    /// Takes over what another gate tells of this same connection. The caller sees to its state.
    pub fn follow(&mut self, told: &Connection) {
        *self = Connection {
            halves: told.halves,
            low_bytes: told.low_bytes,
            high_bytes: told.high_bytes,
            begun: told.begun,
            last_packet: told.last_packet,
            back: told.back,
            flags: self.flags | told.flags,
            ..self.clone()
        };
    }

    /// A digest of what another gate must know at once, other than progress; never 0.
    pub fn digest(&self, seed: Seed) -> u16 {
        let told = Connection {
            halves: Connection::FREE.halves,
            low_bytes: [0; 2],
            high_bytes: [0; 2],
            last_packet: Tick(0),
            new_hop: NewHop::NONE,
            parent: NO_FLOW,
            children: 0,
            announced: Connection::FREE.announced,
            again: 0,
            data: 0,
            session: 0,
            under_way: 0,
            ..self.clone()
        };
        seed.digest(told.as_bytes())
    }
}
