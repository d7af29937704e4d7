//! Connections: TCP, UDP other than TFTP, or everything that a client sends to a VIP. Plain data, like TFTP's
//! [`super::transfer`].

use super::endpoint::Endpoint;
use super::hash_index::{FlowId, NO_FLOW};
use super::new_hop::NewHop;
use super::port_allocator::Rest;
use super::state::{ConnectionKind, ConnectionState};
use super::tuple::{Far, Tuple, Tuples};
use crate::alg::tftp::earlier::Earlier;
use crate::types::id::{BackendId, InterfaceId, VipId};
use crate::types::next_hop::NextHop;
use crate::types::tick::Tick;
pub use synced::SyncedConnection;
use wire::ethernet::Mac;
use wire::ip::PROTOCOL_TCP;
use wire::tcp::SeqNumber;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

mod synced;

/// A connection. The first cache line holds what forwarding needs.
#[derive(Debug, Clone, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Connection {
    /// Tuples as clients and as servers see them.
    pub tuples: Tuples,
    /// TCP progress of client and server, in the client's numbers.
    pub halves: [Half; 2],
    /// Low halves of the [byte counts](Connection::bytes).
    pub low_bytes: [u32; 2],
    /// Time of the last packet.
    pub last_packet: Tick,
    /// The backend, or [`NO_BACKEND`].
    pub backend: BackendId,
    /// The next hop to the client: its last hop.
    pub back: NextHop,
    /// The kind.
    pub kind: ConnectionKind,
    /// The state.
    pub state: ConnectionState,
    /// [`flag`]s.
    pub flags: u8,
    /// High halves of the byte counts.
    pub high_bytes: [u32; 2],
    /// Time of the first packet.
    pub begun: Tick,
    /// The connection that this one carries data for; of an affinity entry, the latest member.
    pub parent: FlowId,
    /// FTP session of an inspected control connection ([`crate::alg::ftp`]), if [`flag::READ`] is set.
    pub session: u32,
    /// Sequence number behind the SYN that [reopened](Turn::OpenedAgain) the connection. Affinity entries only: number
    /// of control connections with [unannounced data](Connection::is_unread).
    pub again: u32,
    /// Number of data connections; of an affinity entry, number of members.
    pub children: u32,
    /// The latest announced connections; they may have ended.
    pub announced: [FlowId; ANNOUNCED],
    /// Another hop that the client's packets came from lately; of an egress NAT connection, the server's hop.
    pub new_hop: NewHop,
    /// The latest exceptional event.
    pub turn: Turn,
    /// [`mark`]s.
    pub marks: u8,
    /// Affinity entries only: members that carry data.
    pub data: u32,
    /// Affinity entries only: member connections that are half-open or open ([`Connection::is_under_way`]).
    pub under_way: u32,
}

// Two cache lines; forwarding needs the fields before `high_bytes`.
row_layout!(Connection, 128:
    tuples 0, halves 24, low_bytes 40, last_packet 48, backend 52, back 54, kind 61, state 62, flags 63,
    high_bytes 64, begun 72, parent 76, session 80, again 84, children 88, announced 92, new_hop 108, turn 118,
    marks 119, data 120, under_way 124,
);

/// An exceptional event in a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u8)]
pub enum Turn {
    /// No event.
    None,
    /// The opener has sent another SYN.
    OpenedAgain,
    /// The connection ended because its backend died.
    CutOff,
}

/// Most announced connections that are still expected: some clients do not wait for replies.
pub const ANNOUNCED: usize = 4;

/// Marks a connection without backend.
pub const NO_BACKEND: BackendId = BackendId::MAX;

/// TCP progress of one side.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Half {
    /// Sequence number behind everything sent.
    pub next: SeqNumber,
    /// Highest acknowledgement of the other side's data.
    pub acked: SeqNumber,
}

row_layout!(Half, 8: next 0, acked 4);

impl Half {
    /// A number that the gate has not learned: that side's segments do not pass here, or none has come.
    pub const UNKNOWN: SeqNumber = SeqNumber(0);
}

/// Facts about a connection that forwarding needs.
pub mod flag {
    /// The client has sent a FIN.
    pub const CLIENT_DONE: u8 = 1;
    /// The server has sent a FIN.
    pub const SERVER_DONE: u8 = 2;
    /// The server opened the connection.
    pub const BY_SERVER: u8 = 4;
    /// The side that did not open the connection has answered.
    pub const ANSWERED: u8 = 8;
    /// The connection is found by the client's tuple.
    pub const BY_CLIENT_TUPLE: u8 = 16;
    /// The connection is found by the server's tuple.
    pub const BY_SERVER_TUPLE: u8 = 32;
    /// The row is an affinity entry, not a connection.
    pub const AFFINITY: u8 = 64;
    /// The control connection is inspected.
    pub const READ: u8 = 128;
}

/// Facts about a connection that forwarding does not need.
pub mod mark {
    /// The opener has not shown that it heard the answer, although the connection may be open.
    pub const UNASSURED: u8 = 1;
    /// An open control connection that is not inspected: its data connections come unannounced.
    pub const UNREAD: u8 = 2;
    /// An expected connection that was open once: another one to the same endpoint may follow.
    pub const REACHED: u8 = 4;
    /// The port that the server sees belongs to another connection.
    pub const BORROWS_PORT: u8 = 8;
    /// Affinity for all protocols: some member was TCP.
    pub const HAS_TCP: u8 = 16;
    /// An expected connection that some host has tried to open in the client's name.
    pub const CALLED: u8 = 32;
    /// The connection was adopted in its middle: another gate saw it open.
    pub const ADOPTED: u8 = 64;
    /// The connection was adopted although its backend was full, or its client had as many as it may have: it counts in
    /// no limit.
    pub const OVER_LIMIT: u8 = 128;
}

impl Connection {
    /// An unused row.
    pub const FREE: Connection = Connection {
        tuples: Tuples::NONE,
        halves: [Half { next: Half::UNKNOWN, acked: Half::UNKNOWN }; 2],
        low_bytes: [0; 2],
        last_packet: Tick(0),
        backend: NO_BACKEND,
        back: NextHop { mac: Mac([0; 6]), interface: InterfaceId(0) },
        kind: ConnectionKind::Client,
        state: ConnectionState::HalfOpen,
        flags: 0,
        high_bytes: [0; 2],
        begun: Tick(0),
        parent: NO_FLOW,
        session: 0,
        again: 0,
        children: 0,
        announced: [NO_FLOW; ANNOUNCED],
        new_hop: NewHop::NONE,
        turn: Turn::None,
        marks: 0,
        data: 0,
        under_way: 0,
    };

    /// A connection that a client opens, by the client's tuple.
    pub fn half_open(
        client: Tuple,
        backend: BackendId,
        back: NextHop,
        kind: ConnectionKind,
        now: Tick,
    ) -> Connection {
        Connection {
            tuples: Tuples::of_client(client),
            last_packet: now,
            begun: now,
            backend,
            back,
            kind,
            flags: flag::BY_CLIENT_TUPLE,
            ..Connection::FREE
        }
    }

    /// Clears relations to other rows, the FTP session, and candidate hops: their ids belong to an ended process. An
    /// egress NAT connection keeps [the server's hop](Connection::fore).
    pub fn forget_relations(&mut self) {
        let is_of_rule = self.backend == NO_BACKEND;
        *self = Connection {
            new_hop: if is_of_rule { self.new_hop } else { NewHop::NONE },
            parent: NO_FLOW,
            session: 0,
            children: 0,
            announced: [NO_FLOW; ANNOUNCED],
            data: 0,
            under_way: 0,
            marks: self.marks & !(mark::UNREAD | mark::BORROWS_PORT),
            ..self.clone()
        };
    }

    /// Whether the connection is found by both tuples.
    pub fn is_found_by_both(&self) -> bool {
        self.has(flag::BY_CLIENT_TUPLE) && self.has(flag::BY_SERVER_TUPLE)
    }

    /// Whether the row is in use.
    pub fn is_in_use(&self) -> bool {
        self.has(flag::BY_CLIENT_TUPLE | flag::BY_SERVER_TUPLE)
    }

    /// Whether any of these flags is set.
    #[inline]
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }

    /// Whether this is an open control connection that is not inspected.
    pub fn is_unread(&self) -> bool {
        self.has_mark(mark::UNREAD)
    }

    /// Whether this mark is set.
    pub fn has_mark(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    /// Sets or clears a mark.
    pub fn mark(&mut self, mark: u8, is_so: bool) {
        self.marks = if is_so { self.marks | mark } else { self.marks & !mark };
    }

    /// Whether a new process makes the row anew: it is only announced, or binds a client to a backend.
    pub fn is_made_anew(&self) -> bool {
        self.state == ConnectionState::Expected || self.has(flag::AFFINITY)
    }

    /// Whether the connection ends with its process: what was read of it is gone.
    pub fn ends_with_process(&self) -> bool {
        self.has(flag::READ)
    }

    /// Whether segments need only be forwarded: neither inspected nor an affinity entry.
    #[inline]
    pub fn is_plain(&self) -> bool {
        !self.has(flag::READ | flag::AFFINITY)
    }

    /// Whether the connection is found by this tuple.
    #[inline]
    pub fn is(&self, tuple: &Tuple) -> bool {
        match tuple.kind() {
            Far::Vip => self.has(flag::BY_CLIENT_TUPLE) && self.client() == *tuple,
            Far::Server | Far::Host => self.has(flag::BY_SERVER_TUPLE) && self.server() == *tuple,
        }
    }

    /// The tuple of the client's packets.
    #[inline]
    pub fn client(&self) -> Tuple {
        self.tuples.client()
    }

    /// The tuple of the server's packets, if these pass the gate.
    #[inline]
    pub fn server(&self) -> Tuple {
        self.tuples.server()
    }

    /// The VIP.
    #[inline]
    pub fn vip(&self) -> VipId {
        self.client().vip()
    }

    /// The endpoint that the server sees as the client.
    #[inline]
    pub fn seen_as(&self) -> Endpoint {
        self.server().near()
    }

    /// Whether the server's packets pass the gate.
    #[inline]
    pub fn answers_seen(&self) -> bool {
        self.tuples.have_server()
    }

    /// The next hop to the server; egress NAT connections only.
    pub fn fore(&self) -> NextHop {
        self.new_hop.hop
    }

    /// Sets the next hop to the server.
    pub fn set_fore(&mut self, hop: NextHop) {
        self.new_hop.hop = hop;
    }

    /// Counts bytes from the client (0) or the server (1).
    #[inline]
    pub fn count(&mut self, from: usize, bytes: u32) {
        let (sum, is_over) = self.low_bytes[from].overflowing_add(bytes);
        self.low_bytes[from] = sum;
        if is_over {
            self.high_bytes[from] += 1;
        }
    }

    /// Bytes from the client and from the server, by IP length.
    pub fn bytes(&self) -> [u64; 2] {
        [0, 1].map(|from| u64::from(self.high_bytes[from]) << 32 | u64::from(self.low_bytes[from]))
    }

    /// Whether the connection may move to another backend without breaking: it has only datagrams.
    pub fn may_be_left(&self) -> bool {
        !self.client().is_tcp() && !self.has_mark(mark::HAS_TCP)
    }

    /// Whether the opener of a TCP connection has got a SYN, here or through another gate.
    pub fn is_answered(&self) -> bool {
        self.has(flag::ANSWERED) || self.is_adopted()
    }

    /// Whether the connection was adopted in its middle.
    pub fn is_adopted(&self) -> bool {
        self.has_mark(mark::ADOPTED)
    }

    /// Whether the connection was adopted beyond a limit, and counts in none.
    pub fn is_over_limit(&self) -> bool {
        self.has_mark(mark::OVER_LIMIT)
    }

    /// The backend whose limit the connection counts in; [`NO_BACKEND`]: none.
    pub fn counts_at(&self) -> BackendId {
        if self.is_over_limit() { NO_BACKEND } else { self.backend }
    }

    /// Whether the connection has not been answered.
    pub fn is_half_open(&self) -> bool {
        matches!(self.state, ConnectionState::Expected | ConnectionState::HalfOpen)
    }

    /// Whether the opener's address may be spoofed. Expected connections are not: an assured client announced them. One
    /// beyond a limit is never assured, as no limit says how many there are.
    pub fn is_unassured(&self) -> bool {
        match self.state {
            ConnectionState::HalfOpen => true,
            ConnectionState::Open | ConnectionState::Closing => {
                self.has_mark(mark::UNASSURED | mark::OVER_LIMIT)
            }
            ConnectionState::Expected | ConnectionState::Closed => false,
        }
    }

    /// Packets that may still come when the row is forgotten. TCP's ends sort late segments out themselves (RFC 9293
    /// §3.5.1); a late datagram cannot be matched to its request.
    pub fn rest(&self) -> Rest {
        let server = self.server();
        match server.protocol {
            PROTOCOL_TCP => Rest::NONE,
            _ => Rest::unanswered(server.server(), &Earlier::NONE, self.last_packet),
        }
    }

    /// Whether neither side has sent a FIN.
    pub fn is_under_way(&self) -> bool {
        matches!(self.state, ConnectionState::HalfOpen | ConnectionState::Open)
    }

    /// Whether the client still expects data: the connection is open, or only the client has sent a FIN.
    pub fn has_more_to_hear(&self) -> bool {
        let is_half_closed = self.has(flag::CLIENT_DONE) && !self.has(flag::SERVER_DONE);
        self.state == ConnectionState::Open
            || (self.state == ConnectionState::Closing && is_half_closed)
    }

    /// Whether the connection has ended.
    pub fn is_over(&self) -> bool {
        self.state == ConnectionState::Closed
    }

    /// Whether the connection counts among its backend's transfers.
    pub fn is_counted(&self) -> bool {
        self.backend != NO_BACKEND
            && !matches!(self.state, ConnectionState::Expected | ConnectionState::Closed)
            && (!self.has(flag::AFFINITY) || self.client().protocol == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_beyond_four_gibibytes() {
        let mut connection = Connection::FREE;
        (0..5).for_each(|_| connection.count(1, u32::MAX));
        assert_eq!(connection.bytes(), [0, 5 * u64::from(u32::MAX)]);
    }
}
