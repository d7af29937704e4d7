//! What is known of one connection: of TCP, of UDP other than TFTP, or of all that a client sends to a VIP.
//! Plain data, as [`super::record`] has it for TFTP's transfers.

use super::hosts::Endpoint;
use super::index::{FlowId, NO_FLOW};
use super::new_hop::NewHop;
use super::ports::Rest;
use super::tuple::{Far, Tuple, Tuples};
use super::view::{ConnectionKind, Stage};
use crate::alg::tftp::earlier::Earlier;
use crate::tables::{BackendId, Hop, VipId};
use crate::tick::Tick;
use wire::ethernet::Mac;
use wire::ip::PROTOCOL_TCP;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// One connection. What forwarding needs is in the first cache line.
#[derive(Debug, Clone, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Connection {
    /// As clients see it, and as servers see it.
    pub tuples: Tuples,
    /// How far the client and the server have got over TCP, as the client sees it.
    pub halves: [Half; 2],
    /// The lower half of the number of [bytes](Connection::bytes).
    pub low_bytes: [u32; 2],
    /// When its last packet passed.
    pub last_packet: Tick,
    /// Its backend, or [`NO_BACKEND`].
    pub backend: BackendId,
    /// The station that the client's packets come from.
    pub back: Hop,
    /// What it is.
    pub kind: ConnectionKind,
    /// Where it stands.
    pub stage: Stage,
    /// [`flag`]s.
    pub flags: u8,
    /// The upper half.
    pub high_bytes: [u32; 2],
    /// When its first packet passed.
    pub begun: Tick,
    /// The one that it carries data for, or that a bond was made by last.
    pub parent: FlowId,
    /// What is read of it ([`crate::alg::ftp`]), if it [is read](flag::READ).
    pub session: u32,
    /// The sequence number behind the SYN by which it was [opened again](Turn::OpenedAgain); of a bond, the
    /// number of its control connections whose [data is not announced](Connection::is_unread).
    pub again: u32,
    /// Connections that carry data for it, or that a bond is of.
    pub children: u32,
    /// The last ones that it has announced: they may be over.
    pub announced: [FlowId; ANNOUNCED],
    /// Another station that the client's packets have come from lately; of a rule's connections, the one that the
    /// server's come from.
    pub new_hop: NewHop,
    /// What else has become of it.
    pub turn: Turn,
    /// [`mark`]s.
    pub marks: u8,
    /// Of those that a bond is of, the ones that carry data.
    pub data: u32,
    /// Of those that a bond is of, the ones that are [under way](Connection::is_under_way).
    pub under_way: u32,
}

/// What has become of a connection beyond its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(u8)]
pub enum Turn {
    /// Nothing.
    None,
    /// Its opener has opened it once more.
    OpenedAgain,
    /// It ended because its backend died.
    CutOff,
}

/// Connections that one may have announced and not yet got: some clients don't wait for answers.
pub const ANNOUNCED: usize = 4;

/// In place of a backend: it has none.
pub const NO_BACKEND: BackendId = BackendId::MAX;

/// How far one side of a TCP connection has got.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Half {
    /// The sequence number behind all that it has sent.
    pub next: u32,
    /// The sequence number behind all of the other side's that it has acknowledged.
    pub acked: u32,
}

/// What is so of a connection.
pub mod flag {
    /// The client has said that it is done.
    pub const CLIENT_DONE: u8 = 1;
    /// The server has.
    pub const SERVER_DONE: u8 = 2;
    /// The server opened it.
    pub const BY_SERVER: u8 = 4;
    /// Whoever did not open it has answered.
    pub const ANSWERED: u8 = 8;
    /// It is found by the client's tuple.
    pub const BY_CLIENT_TUPLE: u8 = 16;
    /// It is found by the server's.
    pub const BY_SERVER_TUPLE: u8 = 32;
    /// No connection, but what binds its client to a backend.
    pub const BOND: u8 = 64;
    /// It is read.
    pub const READ: u8 = 128;
}

/// What is so of a connection, and need not be known where it is forwarded.
pub mod mark {
    /// Its opener has not yet shown that it has heard the answer, though it may be no longer half open.
    pub const UNASSURED: u8 = 1;
    /// An open control connection that nobody reads: its client's data comes unannounced.
    pub const UNREAD: u8 = 2;
    /// An expected connection of which one was open: another one to the same endpoint may follow.
    pub const REACHED: u8 = 4;
    /// The port that its server sees is another connection's.
    pub const BORROWS_PORT: u8 = 8;
    /// Of a client that is bound with all that it sends: some of that was TCP.
    pub const HAS_TCP: u8 = 16;
    /// An expected connection to which somebody has come in its client's name.
    pub const CALLED: u8 = 32;
}

impl Connection {
    /// What stands where no connection is.
    pub const FREE: Connection = Connection {
        tuples: Tuples::NONE,
        halves: [Half { next: 0, acked: 0 }; 2],
        low_bytes: [0; 2],
        last_packet: Tick(0),
        backend: NO_BACKEND,
        back: Hop { mac: Mac([0; 6]), interface: 0 },
        kind: ConnectionKind::Client,
        stage: Stage::HalfOpen,
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

    /// Forgets its relations to other rows and to what is read of it, numbers of a process that has ended, and stations
    /// that its client may be at. A rule's connection keeps the one that its [server](Connection::fore) is at.
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

    /// Whether it is found by the client's tuple and by the server's.
    pub fn is_found_by_both(&self) -> bool {
        self.has(flag::BY_CLIENT_TUPLE) && self.has(flag::BY_SERVER_TUPLE)
    }

    /// Whether this is a connection.
    pub fn is_in_use(&self) -> bool {
        self.has(flag::BY_CLIENT_TUPLE | flag::BY_SERVER_TUPLE)
    }

    /// Whether one of these is so.
    #[inline]
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }

    /// Whether it is an open control connection that nobody reads.
    pub fn is_unread(&self) -> bool {
        self.has_mark(mark::UNREAD)
    }

    /// Whether this is so of it.
    pub fn has_mark(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    /// This is so of it from now on, or no longer.
    pub fn mark(&mut self, mark: u8, is_so: bool) {
        self.marks = if is_so { self.marks | mark } else { self.marks & !mark };
    }

    /// Whether its segments need only be passed on: it is not read, and no bond.
    #[inline]
    pub fn is_plain(&self) -> bool {
        !self.has(flag::READ | flag::BOND)
    }

    /// Whether it is found by this tuple.
    #[inline]
    pub fn is(&self, tuple: &Tuple) -> bool {
        match tuple.kind() {
            Far::Vip => self.has(flag::BY_CLIENT_TUPLE) && self.client() == *tuple,
            Far::Server | Far::Host => self.has(flag::BY_SERVER_TUPLE) && self.server() == *tuple,
        }
    }

    /// What the client's packets are found by.
    #[inline]
    pub fn client(&self) -> Tuple {
        self.tuples.client()
    }

    /// What the server's packets are found by, if they come through us.
    #[inline]
    pub fn server(&self) -> Tuple {
        self.tuples.server()
    }

    /// The VIP that the client talks to.
    #[inline]
    pub fn vip(&self) -> VipId {
        self.client().far()
    }

    /// The endpoint that the server sees as the client.
    #[inline]
    pub fn seen_as(&self) -> Endpoint {
        self.server().near()
    }

    /// Whether the server's packets come through us.
    #[inline]
    pub fn answers_seen(&self) -> bool {
        self.tuples.have_server()
    }

    /// The station that the server's packets come from; of a rule's connections alone.
    pub fn fore(&self) -> Hop {
        self.new_hop.hop
    }

    /// They come from there.
    pub fn set_fore(&mut self, hop: Hop) {
        self.new_hop.hop = hop;
    }

    /// So many bytes more from the client (0) or from the server (1).
    #[inline]
    pub fn count(&mut self, from: usize, bytes: u32) {
        let (sum, is_over) = self.low_bytes[from].overflowing_add(bytes);
        self.low_bytes[from] = sum;
        if is_over {
            self.high_bytes[from] += 1;
        }
    }

    /// Bytes from the client and from the server, as IP counts them.
    pub fn bytes(&self) -> [u64; 2] {
        [0, 1].map(|from| u64::from(self.high_bytes[from]) << 32 | u64::from(self.low_bytes[from]))
    }

    /// Whether nothing breaks off if it goes on elsewhere: it has datagrams alone.
    pub fn may_be_left(&self) -> bool {
        !self.client().is_tcp() && !self.has_mark(mark::HAS_TCP)
    }

    /// Whether it is yet to be answered.
    pub fn is_half_open(&self) -> bool {
        matches!(self.stage, Stage::Expected | Stage::HalfOpen)
    }

    /// Whether anybody can have opened it in another's name. One that is expected was announced by somebody known.
    pub fn is_unassured(&self) -> bool {
        match self.stage {
            Stage::HalfOpen => true,
            Stage::Open | Stage::Closing => self.marks & mark::UNASSURED != 0,
            Stage::Expected | Stage::Closed => false,
        }
    }

    /// What may still come of it once it is forgotten. TCP's ends find out by themselves (RFC 9293 §3.5.1); of a
    /// datagram can't be told what it is an answer to.
    pub fn rest(&self) -> Rest {
        let server = self.server();
        match server.protocol {
            PROTOCOL_TCP => Rest::NONE,
            _ => Rest::unanswered(server.far(), &Earlier::NONE, self.last_packet),
        }
    }

    /// Whether neither side has said that it is done.
    pub fn is_under_way(&self) -> bool {
        matches!(self.stage, Stage::HalfOpen | Stage::Open)
    }

    /// Whether its client waits for what its server says: it is open, or the client alone is done.
    pub fn has_more_to_hear(&self) -> bool {
        let is_half_closed = self.has(flag::CLIENT_DONE) && !self.has(flag::SERVER_DONE);
        self.stage == Stage::Open || (self.stage == Stage::Closing && is_half_closed)
    }

    /// Whether nothing more of it matters.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Closed
    }

    /// Whether it counts among its backend's transfers.
    pub fn is_counted(&self) -> bool {
        self.backend != NO_BACKEND
            && !matches!(self.stage, Stage::Expected | Stage::Closed)
            && (!self.has(flag::BOND) || self.client().protocol == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn what_forwarding_needs_is_a_cache_line() {
        assert_eq!(offset_of!(Connection, high_bytes), 64);
        assert_eq!(size_of::<Connection>(), 128);
    }

    #[test]
    fn bytes_are_counted_beyond_four_gibibytes() {
        let mut connection = Connection::FREE;
        (0..5).for_each(|_| connection.count(1, u32::MAX));
        assert_eq!(connection.bytes(), [0, 5 * u64::from(u32::MAX)]);
    }
}
