//! What is known of one transfer. Plain data, indices and no pointers: readable from its bytes.
//! What forwarding reads is one cache line, [`Flow`]; the rest lies apart in [`Detail`].

use super::hosts::Endpoint;
use super::index::{FlowId, NO_FLOW};
use super::kept::Kept;
use super::key::{Key, KeyKind};
use super::new_hop::NewHop;
use super::ports::Rest;
use super::view::{Kind, State};
use crate::alg::tftp::Progress;
use crate::alg::tftp::catch_up::{CatchUp, Terms};
use crate::alg::tftp::earlier::{Earlier, Reach};
use crate::tables::{BackendId, Hop, ServerId, VipId};
use crate::tick::Tick;
use wire::ethernet::Mac;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// The hot part.
#[derive(Debug, Clone, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Flow {
    /// Bytes of DATA seen.
    pub bytes: u64,
    client: Key,
    server: Key,
    /// When its last packet passed.
    pub last_packet: Tick,
    /// The number of the last block that the client has acknowledged or sent, counted on where that wraps.
    pub blocks: u32,
    /// Of the request, to know it again.
    pub fingerprint: u32,
    /// The server that serves it.
    pub backend: BackendId,
    tid: u16,
    client_tid: u16,
    /// Seconds, as granted, until a side says again what was not answered; 0: as it likes.
    pub timeout: u8,
    /// Blocks that the client's last ACK asked for, where it said so; 0: it did not.
    pub window: u8,
    /// Fills the line.
    spare: [u8; 2],
    /// What TFTP has to remember.
    pub progress: Progress,
    /// The station that the client's packets come from.
    pub back: Hop,
    /// Where it stands.
    pub state: State,
    /// Which way the file goes.
    pub kind: Kind,
    /// The alias that its server answers from, counted from 1; 0: the backend's own address.
    pub alias: u8,
    /// How often the client has repeated itself since the server was heard last.
    pub repeats: u8,
    /// What is done about a server that has died.
    pub rescue: Rescue,
}

/// What is done about a transfer's server that has died. All but [`Rescue::None`] keep its packets from the
/// short way.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(u8)]
pub enum Rescue {
    /// Nothing: it lives, for all we know.
    #[default]
    None,
    /// Its host says that nobody listens there; the client has not asked again yet.
    Due,
    /// Another server is asked for the same file.
    Asking,
    /// It sends what the client has had already.
    CatchingUp,
    /// It has come as far as the client, and is to go on.
    Arrived,
    /// Nobody can go on; the client is told.
    Lost,
    /// The client has gone, or has all of it, before another server was as far as it was.
    Over,
}

/// In place of a server: its packets don't come through us. No server has this number.
const UNSEEN: ServerId = ServerId::MAX;

impl Rescue {
    /// Whether another server has been asked to go on, and has not come far enough.
    pub fn is_under_way(self) -> bool {
        matches!(self, Rescue::Asking | Rescue::CatchingUp | Rescue::Arrived)
    }
}

/// The cold part.
#[derive(Debug, Clone, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Detail {
    /// When its request came.
    pub begun: Tick,
    /// When the server's last packet passed that the client may not have heard.
    pub answered: Tick,
    /// When the client began to repeat itself.
    pub stalled: Tick,
    /// Another station that the client's packets have come from lately.
    pub new_hop: NewHop,
    /// The backend that had left the request unanswered before; [`NOBODY`]: none.
    pub silent: BackendId,
    /// The transfers that this endpoint had before.
    pub earlier: Earlier,
    /// What the server granted.
    pub terms: Terms,
    /// How far the server has got that takes over from one that has died.
    pub catch_up: CatchUp,
    /// How many others had been asked before, one after the other.
    pub moves: u16,
    padding: u16,
    /// The transfer that waits beside this one ([`super::table::Table::insert_beside`]), or [`NO_FLOW`].
    pub newcomer: FlowId,
    /// The transfer that this one waits beside, or [`NO_FLOW`].
    pub elder: FlowId,
    /// What was asked for.
    pub request: Kept,
}

/// In place of a backend: no backend has this number.
pub const NOBODY: BackendId = BackendId::MAX;

/// What a request settles.
#[derive(Debug, Clone, Copy)]
pub struct Parties {
    /// The client's endpoint.
    pub client: Endpoint,
    /// The endpoint that the server sees as the client.
    pub seen_as: Endpoint,
    /// The VIP that the client talks to.
    pub vip: VipId,
    /// The backend chosen.
    pub backend: BackendId,
    /// The station that its request came from.
    pub back: Hop,
    /// Its server, if the answers come through us ([`crate::tables::Backend::server`]).
    pub answers_from: Option<ServerId>,
}

impl Flow {
    /// A transfer that has just been asked for, by a request with this fingerprint.
    pub fn requested(parties: Parties, kind: Kind, fingerprint: u32, now: Tick) -> Flow {
        Flow {
            client: Key::new(parties.client, parties.vip),
            server: Key::new(parties.seen_as, parties.answers_from.unwrap_or(UNSEEN)),
            last_packet: now,
            backend: parties.backend,
            back: parties.back,
            kind,
            fingerprint,
            ..Flow::FREE
        }
    }

    /// What stands where no transfer is: no client has port 0.
    pub const FREE: Flow = Flow {
        bytes: 0,
        client: Key::NONE,
        server: Key::NONE,
        last_packet: Tick(0),
        blocks: 0,
        fingerprint: 0,
        backend: 0,
        tid: 0,
        client_tid: 0,
        timeout: 0,
        window: 0,
        spare: [0; 2],
        progress: Progress::NEW,
        back: Hop { mac: Mac([0; 6]), interface: 0 },
        state: State::Requested,
        kind: Kind::Read,
        alias: 0,
        repeats: 0,
        rescue: Rescue::None,
    };

    /// Whether this is a transfer.
    pub fn is_in_use(&self) -> bool {
        self.client != Key::NONE
    }

    /// The client's endpoint.
    #[inline]
    pub fn client(&self) -> Endpoint {
        self.client.endpoint()
    }

    /// The VIP that the client talks to.
    #[inline]
    pub fn vip(&self) -> VipId {
        self.client.other()
    }

    /// The endpoint that the server sees as the client.
    #[inline]
    pub fn seen_as(&self) -> Endpoint {
        self.server.endpoint()
    }

    /// Whether the server's packets come through us.
    #[inline]
    pub fn answers_seen(&self) -> bool {
        self.server.other() != UNSEEN
    }

    /// The server's port, once learned.
    #[inline]
    pub fn tid(&self) -> Option<u16> {
        Some(self.tid).filter(|&tid| tid != 0)
    }

    /// The port that the client takes for the server's, once there was one: that of the first server that
    /// answered.
    #[inline]
    pub fn client_tid(&self) -> Option<u16> {
        Some(self.client_tid).filter(|&tid| tid != 0)
    }

    /// Whether the server's port is known and this one.
    #[inline]
    pub fn is_tid(&self, port: u16) -> bool {
        self.tid == port && port != 0
    }

    /// Whether the port that the client takes for the server's is known and this one.
    #[inline]
    pub fn is_client_tid(&self, port: u16) -> bool {
        self.client_tid == port && port != 0
    }

    /// What may still come of it once it is forgotten, from this server of its.
    pub fn rest(&self, detail: &Detail, server: ServerId) -> Rest {
        let mut earlier = detail.earlier;
        match self.tid() {
            // A server that was left behind may still be talking.
            _ if self.was_moved() => Rest::of_several(self.last_packet),
            None => Rest::unanswered(server, &earlier, self.last_packet),
            Some(tid) => {
                earlier.push(tid, self.reach(detail));
                Rest::answered(server, &earlier, self.last_packet)
            }
        }
    }

    /// How far it has come with its server.
    pub fn reach(&self, detail: &Detail) -> Reach {
        let (block, window) = (self.blocks as u16, detail.terms.windowsize());
        let is_first = match self.kind {
            _ if self.progress.is_over_at_server() => return Reach::Over,
            Kind::Read if self.bytes == 0 => return Reach::Beginning,
            Kind::Write if block <= window => return Reach::Beginning,
            // The next ones, or the one that the client has acknowledged. After 65535 comes 0, or 1.
            Kind::Read => 1u16.wrapping_sub(block) <= window.saturating_add(1),
            Kind::Write => false,
        };
        if is_first { Reach::FirstBlock } else { Reach::Past }
    }

    /// Whether its server is not the one that it began with.
    pub fn was_moved(&self) -> bool {
        self.client_tid != self.tid
    }

    /// Whether something is done, or has to be done, about its server.
    #[inline]
    pub fn is_in_need(&self) -> bool {
        self.rescue != Rescue::None
    }

    /// Whether the client goes on by acknowledging or sending this block, rather than say again what it has
    /// said before.
    #[inline]
    pub fn goes_on(&self, block: u16) -> bool {
        matches!(block.wrapping_sub(self.blocks as u16), 1..0x8000)
    }

    /// It does.
    #[inline]
    pub fn go_on(&mut self, block: u16) {
        let blocks = block.wrapping_sub(self.blocks as u16);
        self.blocks = self.blocks.wrapping_add(blocks.into());
    }

    /// The server has answered from this port. The client goes on with the one that it knows.
    pub fn learn(&mut self, tid: u16) {
        self.tid = tid;
        if self.client_tid == 0 {
            self.client_tid = tid;
        }
        if !self.state.is_over() {
            self.state = State::Established;
        }
    }

    /// The transfer goes on at another server, which is yet to answer; what is found by its key is not
    /// changed by this.
    pub fn move_to(&mut self, backend: BackendId, server: ServerId) {
        self.backend = backend;
        self.server = Key::new(self.seen_as(), server);
        self.tid = 0;
        self.alias = 0;
        self.repeats = 0;
        self.rescue = Rescue::Asking;
    }

    /// The server's port is to be learned again.
    pub fn forget_tid(&mut self) {
        self.tid = 0;
        self.client_tid = 0;
    }

    /// Whether it is found by this key.
    #[inline]
    pub fn is(&self, kind: KeyKind, key: Key) -> bool {
        match kind {
            KeyKind::Client => self.client == key,
            KeyKind::Server => self.server == key,
        }
    }

    /// What the client's packets are found by.
    #[inline]
    pub fn client_key(&self) -> Key {
        self.client
    }

    /// What the server's packets are found by; `None` when they don't come through us.
    #[inline]
    pub fn server_key(&self) -> Option<Key> {
        self.answers_seen().then_some(self.server)
    }
}

impl Detail {
    /// From now on of this request, which comes `now`.
    pub fn begin(&mut self, request: &[u8], earlier: Earlier, now: Tick) {
        self.begun = now;
        self.earlier = earlier;
        self.stalled = now;
        self.new_hop = NewHop::NONE;
        self.terms = Terms::PLAIN;
        self.catch_up = CatchUp::START;
        (self.silent, self.moves) = (NOBODY, 0);
        (self.newcomer, self.elder) = (NO_FLOW, NO_FLOW);
        self.request.keep(request);
    }

    /// What stands where no transfer is.
    pub const NONE: Detail = Detail {
        begun: Tick(0),
        answered: Tick(0),
        stalled: Tick(0),
        new_hop: NewHop::NONE,
        silent: NOBODY,
        earlier: Earlier::NONE,
        terms: Terms::PLAIN,
        catch_up: CatchUp::START,
        moves: 0,
        padding: 0,
        newcomer: NO_FLOW,
        elder: NO_FLOW,
        request: Kept::NONE,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hot_part_is_a_cache_line() {
        assert_eq!(size_of::<Flow>(), 64);
    }
}
