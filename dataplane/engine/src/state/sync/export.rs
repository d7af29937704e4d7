//! Rows that a worker copies out for the peer gate: those of VIPs that are held here, once they have lasted for a while. Their
//! clients were heard: the others ask again, and anybody can ask in another's name.
//!
//! A gate that has just lost addresses tells the rest, too: flows that were too young to be told, or that have changed since,
//! and transfers whose clients were not heard yet.
//!
//! A digest of each row as it was told last says what has changed since. All rows are told anew where the digests are
//! zeroes: the first round to a peer differs in nothing from the later ones. Progress is no part of the digest, and is told
//! from time to time.

use super::{AddressSet, REFRESH, ROUND};
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, NO_BACKEND, SyncedConnection, flag};
use crate::flow::endpoint::Endpoint;
use crate::flow::epochs::Table;
use crate::flow::ftp_session_table::SyncedSession;
use crate::flow::state::ConnectionKind;
use crate::flow::transfer::{SyncedTransfer, Transfer};
use crate::snapshot::Protocol;
use crate::state::WorkerState;
use crate::state::ours::{pool_end, pool_end_of};
use crate::types::id::VipId;
use crate::types::tick::Tick;

/// Rows of each table looked at in a turn, so that packets do not wait.
const LOOKS: usize = 64;

/// Rows after which the worker answers in any case.
const STOP: usize = 1 << 16;

/// A round over all rows of a worker, which fills what there is room for and then goes on with the next query. Control
/// keeps it between rounds.
#[derive(Debug)]
pub struct SyncExport {
    /// Transfers to tell, up to the initial capacity: the worker does not allocate.
    pub transfers: Vec<SyncedTransfer>,
    /// Connections to tell, likewise.
    pub connections: Vec<SyncedConnection>,
    /// Ticks that a flow must have lasted.
    min_age: u32,
    /// Addresses that are not held any more, whose flows are told all the same.
    lost: Option<AddressSet>,
    digests: [Box<[u16]>; 2],
    round: u32,
    /// Beginnings of the last rounds, by number.
    begun: [Tick; REFRESH as usize],
    cursor: usize,
    /// The cursor at which the worker answers, so that control goes on in between.
    stop: usize,
}

impl SyncExport {
    /// The first round to a peer that knows nothing, over `rows` rows of each table. At least `room` rows are filled at a
    /// time.
    pub fn new(rows: usize, room: usize) -> SyncExport {
        let room = room.max(LOOKS);
        SyncExport {
            min_age: 0,
            lost: None,
            transfers: Vec::with_capacity(room),
            connections: Vec::with_capacity(room),
            digests: [0; 2].map(|zero| vec![zero; rows].into()),
            round: 0,
            begun: [Tick(0); REFRESH as usize],
            cursor: 0,
            stop: 0,
        }
    }

    /// Begins the next round, over flows that have lasted for `min_age` ticks.
    pub fn begin(&mut self, min_age: u32, now: Tick) {
        (self.min_age, self.lost) = (min_age, None);
        if self.round == 0 {
            self.begun = [now; REFRESH as usize];
        }
        self.round = self.round.wrapping_add(1);
        self.begun.rotate_right(1);
        self.begun[0] = now;
        (self.cursor, self.stop) = (0, STOP);
    }

    /// Begins the next round, over flows of any age, also of these addresses, which are not held any more.
    pub fn begin_last(&mut self, lost: AddressSet, now: Tick) {
        self.begin(0, now);
        self.lost = Some(lost);
    }

    /// Has the next round tell all rows again.
    pub fn forget(&mut self) {
        self.digests.iter_mut().for_each(|digests| digests.fill(0));
    }

    /// Whether the round has come to the last row.
    pub fn is_whole(&self) -> bool {
        self.cursor >= self.digests[0].len()
    }

    fn has_room(&self) -> bool {
        let has_room = |len: usize, capacity: usize| capacity - len >= LOOKS;
        has_room(self.transfers.len(), self.transfers.capacity())
            && has_room(self.connections.len(), self.connections.capacity())
    }

    /// Whether the peer must be told of a row; notes that it is. `None`: it is not to know the row.
    fn is_told(&mut self, table: Table, id: FlowId, row: Option<Row>) -> bool {
        let last = &mut self.digests[table as usize][id as usize];
        let is_new = *last == 0;
        let row = row.filter(|row| !is_new || (row.age >= self.min_age && row.is_assured));
        let digest = row.as_ref().map_or(0, |row| row.digest);
        let has_changed = *last != digest;
        *last = digest;
        let is_its_turn = id.wrapping_add(self.round).is_multiple_of(REFRESH);
        // Since the round before its last turn, as that took its time.
        let since = self.begun[0].since(self.begun[REFRESH as usize - 1]) + 2 * ROUND;
        row.is_some_and(|row| has_changed || (is_its_turn && row.idle <= since))
    }
}

/// The facts that decide whether a row is told.
struct Row {
    digest: u16,
    age: u32,
    idle: u32,
    /// Whether its client was heard, and it is not over.
    is_assured: bool,
}

impl WorkerState {
    /// Copies some more rows; answers true when the round has come to the last row, or there is no more room.
    pub fn export(&self, query: &mut SyncExport, env: &Env) -> bool {
        let from = query.cursor;
        let upto = (from + LOOKS).min(query.digests[0].len()).min(self.transfers.capacity());
        for id in (from..upto).map(|place| place as FlowId) {
            let row = self.row_of_transfer(id, query.lost.as_ref(), env);
            if query.is_told(Table::Transfers, id, row) {
                query.transfers.push(self.synced_transfer(id, env.now));
            }
            let row = self.row_of_connection(id, query.lost.as_ref(), env);
            if query.is_told(Table::Connections, id, row) {
                query.connections.push(self.synced_connection(id, env.now));
            }
        }
        query.cursor = if upto == self.transfers.capacity() { usize::MAX } else { upto };
        let is_enough = query.cursor >= query.stop || !query.has_room();
        if is_enough {
            query.stop = query.cursor.saturating_add(STOP);
        }
        is_enough
    }

    fn row_of_transfer(&self, id: FlowId, lost: Option<&AddressSet>, env: &Env) -> Option<Row> {
        // One that waits beside another is not known for the client's own.
        let flow = self.transfers.get(id).filter(|_| self.transfers.elder(id).is_none())?;
        let is_held = self.is_held(flow, env);
        let is_lost = |lost| self.is_lost(flow.vip(), pool_end(flow), lost);
        let is_lost = !is_held && lost.is_some_and(is_lost);
        if !is_held && !is_lost {
            return None;
        }
        Some(Row {
            digest: self.transfers.digest(id),
            age: env.now.since(self.transfers.detail(id).begun),
            idle: env.now.since(flow.last_packet),
            // One that was not heard yet makes way for others there, too.
            is_assured: (is_lost || flow.progress.is_assured()) && !flow.state.is_over(),
        })
    }

    fn is_held(&self, flow: &Transfer, env: &Env) -> bool {
        let mode = &env.snapshot.service_of(flow.backend).mode;
        self.tells(flow.vip(), mode, flow.seen_as(), env)
    }

    /// Whether the address that tells whose a flow is is among the lost ones.
    #[cold]
    fn is_lost(&self, vip: VipId, seen_as: Option<Endpoint>, lost: &AddressSet) -> bool {
        match seen_as.and_then(|end| self.snat_of(end)) {
            Some(id) => lost.has_snat(id),
            None => lost.has_vip(vip),
        }
    }

    fn row_of_connection(&self, id: FlowId, lost: Option<&AddressSet>, env: &Env) -> Option<Row> {
        let is_told = |one: &&Connection| self.goes_on_elsewhere(one, lost, env);
        let connection = self.connections.get(id).filter(is_told)?;
        Some(Row {
            digest: self.digest_of_connection(id),
            age: env.now.since(connection.begun),
            idle: env.now.since(connection.last_packet),
            is_assured: !connection.is_unassured() && !connection.is_over(),
        })
    }

    /// Whether the connection is held here, or was just lost, and one that another gate can go on with.
    fn goes_on_elsewhere(
        &self,
        connection: &Connection,
        lost: Option<&AddressSet>,
        env: &Env,
    ) -> bool {
        if connection.is_made_anew() || connection.backend == NO_BACKEND {
            return false;
        }
        let service = env.snapshot.service_of(connection.backend);
        let is_held = || self.tells(connection.vip(), &service.mode, connection.seen_as(), env);
        // A session that is read goes on between two lines; its end is its end in any case.
        let is_read = matches!(service.protocol, Protocol::Ftp(_))
            && connection.kind == ConnectionKind::Client
            && connection.answers_seen();
        let can_go_on =
            !is_read || !connection.is_under_way() || self.told_session(connection).is_some();
        let is_lost = |lost| self.is_lost(connection.vip(), pool_end_of(connection), lost);
        can_go_on && (is_held() || lost.is_some_and(is_lost))
    }

    /// The session of a control connection that is read, if neither side has ended it.
    fn told_session(&self, connection: &Connection) -> Option<SyncedSession> {
        let is_read = connection.has(flag::READ) && connection.is_under_way();
        self.sessions.told(connection.session).filter(|_| is_read)
    }

    /// A digest of the connection, and of how far it was read.
    fn digest_of_connection(&self, id: FlowId) -> u16 {
        let digest = self.connections.digest(id);
        let session = self.told_session(&self.connections[id]);
        session.map_or(digest, |session| digest ^ session.digest()).max(1)
    }

    fn synced_transfer(&self, id: FlowId, now: Tick) -> SyncedTransfer {
        let flow = &self.transfers[id];
        let ends = [flow.client(), flow.seen_as()].map(|end| self.hosts.socket_address(end));
        flow.synced(self.transfers.detail(id), ends, now)
    }

    fn synced_connection(&self, id: FlowId, now: Tick) -> SyncedConnection {
        let connection = &self.connections[id];
        let client = connection.client().near();
        let seen_as = if connection.answers_seen() { connection.seen_as() } else { client };
        let ends = [client, seen_as].map(|end| self.hosts.socket_address(end));
        connection.synced(ends, self.told_session(connection), now)
    }
}
