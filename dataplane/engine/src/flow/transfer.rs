//! Transfers. Plain data with indexes instead of pointers, readable from saved bytes. Forwarding reads one cache line,
//! [`Transfer`]; the rest is in [`Detail`].

use super::endpoint::{Endpoint, HostId};
use super::hash::Seed;
use super::hash_index::{FlowId, NO_FLOW};
use super::key::Key;
use super::new_hop::NewHop;
use super::port_allocator::Rest;
use super::saved_request::SavedRequest;
use super::state::{Operation, TransferState};
use crate::alg::tftp::Progress;
use crate::alg::tftp::earlier::{Earlier, Reach};
use crate::alg::tftp::takeover::{Takeover, Terms};
use crate::types::direction::KeyKind;
use crate::types::id::{BackendId, InterfaceId, ServerId, VipId};
use crate::types::next_hop::NextHop;
use crate::types::tick::Tick;
pub use synced::SyncedTransfer;
use wire::ethernet::Mac;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

mod synced;

/// The hot part of a transfer.
#[derive(Debug, Clone, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Transfer {
    /// Bytes of DATA.
    pub bytes: u64,
    client: Key,
    server: Key,
    /// Time of the last packet.
    pub last_packet: Tick,
    /// The last block that the client has acknowledged or sent, counted on beyond 65535.
    pub blocks: u32,
    /// Fingerprint of the request, to recognise its repetition.
    pub fingerprint: u32,
    /// The backend.
    pub backend: BackendId,
    tid: u16,
    client_tid: u16,
    /// Granted retransmission timeout in seconds; 0: the server's default.
    pub timeout: u8,
    /// Blocks that the client's last ACK asked for (`msftwindow`); 0: none.
    pub window: u8,
    /// Whether the transfer was adopted although its backend was full: it counts in no limit.
    pub is_over_limit: bool,
    /// Padding to a full cache line.
    spare: u8,
    /// TFTP's state.
    pub progress: Progress,
    /// The next hop to the client: its last hop.
    pub back: NextHop,
    /// State of the transfer.
    pub state: TransferState,
    /// Read or write.
    pub operation: Operation,
    /// Alias that the server answers from, counted from 1; 0: the backend's own address.
    pub alias: u8,
    /// Repetitions by the client since the server was last heard.
    pub repeats: u8,
    /// State of failover.
    pub failover: Failover,
}

// A cache line.
row_layout!(Transfer, 64:
    bytes 0, client 8, server 16, last_packet 24, blocks 28, fingerprint 32, backend 36, tid 38, client_tid 40,
    timeout 42, window 43, is_over_limit 44, spare 45, progress 46, back 52, state 59, operation 60, alias 61,
    repeats 62, failover 63,
);

/// State of failover after a server has died. Every state but [`Failover::None`] keeps packets off the fast path.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(u8)]
pub enum Failover {
    /// No failover: the server seems alive.
    #[default]
    None,
    /// The server's host reports a closed port; the client has not repeated its request yet.
    Due,
    /// Another server was asked for the file.
    Asking,
    /// The new server sends blocks that the client already has.
    CatchingUp,
    /// The new server has reached the client's block and will go on.
    Arrived,
    /// No server can go on; the client gets an ERROR.
    Lost,
    /// The client has left or has the whole file, before the new server reached its block.
    Over,
}

/// Marks a server whose packets do not pass the gate. No server has this id.
const UNSEEN: ServerId = ServerId::MAX;

impl Failover {
    /// Whether a new server was asked and has not reached the client's block.
    pub fn is_under_way(self) -> bool {
        matches!(self, Failover::Asking | Failover::CatchingUp | Failover::Arrived)
    }
}

/// The cold part of a transfer.
#[derive(Debug, Clone, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Detail {
    /// Time of the request.
    pub begun: Tick,
    /// Time of the server's latest packet that the client may have missed.
    pub answered: Tick,
    /// Time when the client began to repeat itself.
    pub stalled: Tick,
    /// Another hop that the client's packets came from lately.
    pub new_hop: NewHop,
    /// The backend that left the request unanswered before; [`NOBODY`]: none.
    pub silent: BackendId,
    /// Earlier transfers of the endpoint.
    pub earlier: Earlier,
    /// Options that the server granted.
    pub terms: Terms,
    /// Progress of the server that takes over.
    pub takeover: Takeover,
    /// Number of backends asked before.
    pub moves: u16,
    padding: u16,
    /// The transfer that waits beside this one ([`super::transfer_table::TransferTable::insert_beside`]), or
    /// [`NO_FLOW`].
    pub newcomer: FlowId,
    /// The transfer that this one waits beside, or [`NO_FLOW`].
    pub elder: FlowId,
    /// The request.
    pub request: SavedRequest,
}

row_layout!(Detail, 224:
    begun 0, answered 4, stalled 8, new_hop 12, silent 22, earlier 24, terms 32, takeover 40, moves 48, padding 50,
    newcomer 52, elder 56, request 60,
);

/// Stands for no backend.
pub const NOBODY: BackendId = BackendId::MAX;

/// The parties of a transfer, as selection has decided.
#[derive(Debug, Clone, Copy)]
pub struct Parties {
    /// The client's endpoint.
    pub client: Endpoint,
    /// The endpoint that the server sees as the client.
    pub seen_as: Endpoint,
    /// The VIP.
    pub vip: VipId,
    /// The backend.
    pub backend: BackendId,
    /// The next hop to the client: where the request came from.
    pub back: NextHop,
    /// The server ([`crate::snapshot::Backend::server`]), if its answers pass the gate.
    pub answers_from: Option<ServerId>,
}

impl Transfer {
    /// A new transfer for a request with this fingerprint.
    pub fn requested(
        parties: Parties,
        operation: Operation,
        fingerprint: u32,
        now: Tick,
    ) -> Transfer {
        Transfer {
            client: Key::of_client(parties.client, parties.vip),
            server: Key::of_server(parties.seen_as, parties.answers_from.unwrap_or(UNSEEN)),
            last_packet: now,
            backend: parties.backend,
            back: parties.back,
            operation,
            fingerprint,
            ..Transfer::FREE
        }
    }

    /// An unused row: no client has port 0.
    pub const FREE: Transfer = Transfer {
        bytes: 0,
        client: Key::NONE,
        server: Key::NONE,
        last_packet: Tick(0),
        blocks: 0,
        fingerprint: 0,
        backend: BackendId(0),
        tid: 0,
        client_tid: 0,
        timeout: 0,
        window: 0,
        is_over_limit: false,
        spare: 0,
        progress: Progress::NEW,
        back: NextHop { mac: Mac([0; 6]), interface: InterfaceId(0) },
        state: TransferState::Requested,
        operation: Operation::Read,
        alias: 0,
        repeats: 0,
        failover: Failover::None,
    };

    /// Whether the row is in use.
    pub fn is_in_use(&self) -> bool {
        self.client != Key::NONE
    }

    /// The client's endpoint.
    #[inline]
    pub fn client(&self) -> Endpoint {
        self.client.endpoint()
    }

    /// The VIP.
    #[inline]
    pub fn vip(&self) -> VipId {
        self.client.vip()
    }

    /// The endpoint that the server sees as the client.
    #[inline]
    pub fn seen_as(&self) -> Endpoint {
        self.server.endpoint()
    }

    /// Whether the server's packets pass the gate.
    #[inline]
    pub fn answers_seen(&self) -> bool {
        self.server.server() != UNSEEN
    }

    /// The server's TID, once learned.
    #[inline]
    pub fn tid(&self) -> Option<u16> {
        Some(self.tid).filter(|&tid| tid != 0)
    }

    /// The TID that the client knows, once learned: that of the first server that answered.
    #[inline]
    pub fn client_tid(&self) -> Option<u16> {
        Some(self.client_tid).filter(|&tid| tid != 0)
    }

    /// Whether the server's TID is known to be this port.
    #[inline]
    pub fn is_tid(&self, port: u16) -> bool {
        self.tid == port && port != 0
    }

    /// Whether the TID that the client knows is this port.
    #[inline]
    pub fn is_client_tid(&self, port: u16) -> bool {
        self.client_tid == port && port != 0
    }

    /// Packets that may still come from this server when the row is forgotten.
    pub fn rest(&self, detail: &Detail, server: ServerId) -> Rest {
        let mut earlier = detail.earlier;
        match self.tid() {
            // A server that was replaced may still send.
            _ if self.was_moved() => Rest::of_several(self.last_packet),
            None => Rest::unanswered(server, &earlier, self.last_packet),
            Some(tid) => {
                earlier.push(tid, self.reach(detail));
                Rest::answered(server, &earlier, self.last_packet)
            }
        }
    }

    /// The transfer's progress at its server.
    pub fn reach(&self, detail: &Detail) -> Reach {
        let (block, window) = (self.blocks as u16, detail.terms.windowsize());
        let is_first = match self.operation {
            _ if self.progress.is_over_at_server() => return Reach::Over,
            Operation::Read if self.bytes == 0 => return Reach::Beginning,
            Operation::Write if block <= window => return Reach::Beginning,
            // The next blocks, or the one that the client has acknowledged. After 65535 comes 0 or 1.
            Operation::Read => 1u16.wrapping_sub(block) <= window.saturating_add(1),
            Operation::Write => false,
        };
        if is_first { Reach::FirstBlock } else { Reach::Past }
    }

    /// The time since which there was no progress: when the client began to repeat itself, where the answers to that are
    /// seen, else of the last packet.
    pub fn stalled_since(&self, detail: &Detail) -> Tick {
        if self.answers_seen() && self.repeats > 0 { detail.stalled } else { self.last_packet }
    }

    /// Whether the transfer has moved from its first server.
    pub fn was_moved(&self) -> bool {
        self.client_tid != self.tid
    }

    /// The backend whose limit the transfer counts in; [`NOBODY`]: none.
    pub fn counts_at(&self) -> BackendId {
        if self.is_over_limit { NOBODY } else { self.backend }
    }

    /// Whether failover is in progress or due.
    #[inline]
    pub fn needs_failover(&self) -> bool {
        self.failover != Failover::None
    }

    /// Whether the client makes progress by acknowledging or sending this block, rather than repeating itself.
    #[inline]
    pub fn goes_on(&self, block: u16) -> bool {
        matches!(block.wrapping_sub(self.blocks as u16), 1..0x8000)
    }

    /// Advances the client's position to `block`.
    #[inline]
    pub fn go_on(&mut self, block: u16) {
        let blocks = block.wrapping_sub(self.blocks as u16);
        self.blocks = self.blocks.wrapping_add(blocks.into());
    }

    /// Learns the server's TID. The client goes on with the TID that it knows.
    pub fn learn(&mut self, tid: u16) {
        self.tid = tid;
        if self.client_tid == 0 {
            self.client_tid = tid;
        }
        if !self.state.is_over() {
            self.state = TransferState::Established;
        }
    }

    /// Moves the transfer to another server, which has not answered yet. The caller updates the index of keys.
    pub fn move_to(&mut self, backend: BackendId, server: ServerId) {
        self.backend = backend;
        self.server = Key::of_server(self.seen_as(), server);
        self.tid = 0;
        self.alias = 0;
        self.repeats = 0;
        self.failover = Failover::Asking;
    }

    /// Forgets the server's TID, to be learned again.
    pub fn forget_tid(&mut self) {
        self.tid = 0;
        self.client_tid = 0;
    }

    /// Whether the transfer is found by this key.
    #[inline]
    pub fn is(&self, kind: KeyKind, key: Key) -> bool {
        match kind {
            KeyKind::Client => self.client == key,
            KeyKind::Server => self.server == key,
        }
    }

    /// The key of the client's packets.
    #[inline]
    pub fn client_key(&self) -> Key {
        self.client
    }

    /// The transfer with other ids of its hosts.
    #[must_use]
    pub fn with_hosts(&self, client: HostId, seen_as: HostId) -> Transfer {
        let (client, server) = (self.client.with(client), self.server.with(seen_as));
        Transfer { client, server, ..self.clone() }
    }

    /// The seal: a hash of fields that stay the same while the transfer is with one server.
    pub fn seal(&self, seed: Seed) -> u32 {
        let server = self.server_key().unwrap_or(Key::NONE);
        let rest = u64::from(self.fingerprint) << 16 | u64::from(self.backend.0);
        seed.seal(self.client, server, rest)
    }

    /// The key of the server's packets; `None` if they do not pass the gate.
    #[inline]
    pub fn server_key(&self) -> Option<Key> {
        self.answers_seen().then_some(self.server)
    }
}

impl Detail {
    /// Starts with this request at time `now`.
    pub fn begin(&mut self, request: &[u8], earlier: Earlier, now: Tick) {
        self.begun = now;
        self.earlier = earlier;
        self.stalled = now;
        self.new_hop = NewHop::NONE;
        self.terms = Terms::PLAIN;
        self.takeover = Takeover::START;
        (self.silent, self.moves) = (NOBODY, 0);
        (self.newcomer, self.elder) = (NO_FLOW, NO_FLOW);
        self.request.keep(request);
    }

    /// The cold part of an unused row.
    pub const NONE: Detail = Detail {
        begun: Tick(0),
        answered: Tick(0),
        stalled: Tick(0),
        new_hop: NewHop::NONE,
        silent: NOBODY,
        earlier: Earlier::NONE,
        terms: Terms::PLAIN,
        takeover: Takeover::START,
        moves: 0,
        padding: 0,
        newcomer: NO_FLOW,
        elder: NO_FLOW,
        request: SavedRequest::NONE,
    };
}
