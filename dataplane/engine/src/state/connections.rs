//! How connections begin and end in what a worker owns.

use super::{GLANCE, WorkerState};
use crate::context::Env;
use crate::flow::connection::{Connection, NO_BACKEND, Turn, flag, mark};
use crate::flow::endpoint::HostId;
use crate::flow::port_allocator::Holder;
use crate::flow::state::{ConnectionKind, ConnectionState};
use crate::flow::tuple::Tuple;
use crate::flow::{FlowId, NO_FLOW};
use crate::mode::rules;
use crate::snapshot::{BackendState, Snapshot};
use crate::state::flow_log::History;
use crate::state::ours::end_here;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::id::VipId;
use crate::types::selection_reason::SelectionReason;
use crate::types::tick::{PER_SECOND, Tick};
use crate::types::verdict::Step;
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};

/// Ticks that a connection is waited for that was announced, as Linux does; the latest one of its control connection is
/// waited for as long as that lives.
const EXPECTED: u32 = 300 * PER_SECOND;
/// Ticks that another one may follow to the same endpoint.
const REACHED: u32 = 30 * PER_SECOND;
/// Ticks that a closed connection is kept for late packets, unless its place or port is needed: as long as its server's
/// kernel keeps it.
const LINGER: u32 = 60 * PER_SECOND;
/// Ticks of silence after which a connection of a rule is given up: TCP's (RFC 5382, REQ-5), while it is half open or
/// closing, and UDP's (RFC 4787, REQ-5).
const TCP_IDLE: u32 = 124 * 60 * PER_SECOND;
const TRANSITORY: u32 = 4 * 60 * PER_SECOND;
const UDP_IDLE: u32 = 5 * 60 * PER_SECOND;
/// Ticks after which one is looked at again that others keep alive.
const KEPT_ALIVE: u32 = 10 * PER_SECOND;

impl WorkerState {
    /// Enters a connection, which has a place at its backend, a name for each of its hosts, and a port of ours if it
    /// needs one: if it can't be entered, it gives these back. One for data has no place yet, and gets one in any
    /// case.
    pub fn enter_connection(&mut self, connection: &Connection, env: &Env) -> Step<FlowId> {
        if let Some(expendable) = self.expendable_for(connection) {
            self.end_connection(expendable, EndReason::Evicted, env);
        }
        if connection.is_counted() {
            let cap = &env.backend(connection.backend).cap;
            let needs_place = connection.kind == ConnectionKind::Data;
            cap.iter().filter(|_| needs_place).for_each(|cap| cap.take_over(1));
            self.counters.backend(connection.backend).started.add(1);
        }
        let reason = match connection.kind {
            ConnectionKind::Data => SelectionReason::Affinity,
            ConnectionKind::Client | ConnectionKind::Policy => self.choose.reason,
        };
        let Some(id) = self.insert_connection(connection, reason, env) else {
            self.release_connection(connection, History::default(), EndReason::Evicted, env);
            return Err(DropReason::FlowTableFull.into());
        };
        let server = connection.server();
        if connection.has(flag::BY_SERVER_TUPLE)
            && connection.backend != NO_BACKEND
            && !connection.has_mark(mark::BORROWS_PORT)
        {
            let holder = Holder::Connection(id);
            self.pools(env).note(server.near(), server.protocol, holder);
        }
        Ok(id)
    }

    /// Fills a free row, if there is one, whose history begins.
    pub(super) fn insert_connection(
        &mut self,
        connection: &Connection,
        reason: SelectionReason,
        env: &Env,
    ) -> Option<FlowId> {
        let id = self.connections.insert(connection, deadline(connection, env.snapshot)).ok()?;
        *self.flow_log.connection(id) = History::begun(self.clock, reason);
        Some(id)
    }

    /// The row that gives way to this connection. An affinity is open at once, and made for a connection that may be half-open:
    /// only rows that are over give way to it.
    fn expendable_for(&self, connection: &Connection) -> Option<FlowId> {
        match connection.state {
            ConnectionState::HalfOpen => self.connections.expendable_for_stranger(),
            ConnectionState::Expected => self.connections.expendable(),
            ConnectionState::Open | ConnectionState::Closing | ConnectionState::Closed => {
                self.connections.over().next().filter(|_| self.connections.is_full())
            }
        }
    }

    /// One connection of this backend less, if it was one.
    fn count_connection_end(
        &mut self,
        connection: &Connection,
        history: History,
        end: EndReason,
        env: &Env,
    ) {
        if connection.is_counted() {
            let end = end_here(self.has_connection(connection, env), end);
            let transfers = self.counters.backend(connection.backend);
            transfers.ended.add(1);
            transfers.of(end).add(1);
            self.release_place(connection.backend, connection.is_over_limit(), env);
            self.record_connection_end(connection, history, end, env);
        }
    }

    /// The connection stands there now.
    pub fn advance(&mut self, id: FlowId, state: ConnectionState, env: &Env) {
        self.connections[id].last_packet = env.now;
        let before = self.connections[id].clone();
        let next = Connection { state, ..before.clone() };
        self.connections.set_state(id, state, deadline(&next, env.snapshot));
        if next.is_over() {
            self.end_announced(id, env);
            let history = *self.flow_log.connection(id);
            self.count_connection_end(&before, history, how_it_ended(&before), env);
            self.connections[id].parent = NO_FLOW;
            self.leave_parent(&before, env);
            self.connections[id].mark(mark::UNREAD, false);
            self.quotas.leave(id);
            return;
        }
        if before.is_half_open() && !next.is_unassured() {
            self.quotas.assure(id, before.halves[0].next);
            if before.is_adopted() {
                self.quotas.speaks(id);
            }
            self.note_reached(id, env);
        }
        // In `dsr` a server's end is not seen: the row stays for minutes, and its client has done with it.
        if state == ConnectionState::Closing && !next.answers_seen() {
            self.quotas.leave(id);
        }
        if before.is_under_way() && !next.is_under_way() {
            self.loosen_affinity(&before);
        }
        self.note_unread(id, before.is_unread());
    }

    /// A control connection may be one whose data comes unannounced, from now on or no longer; of one that is read this
    /// is so if it can't be read any more.
    pub fn note_unread(&mut self, id: FlowId, is_opaque: bool) {
        let connection = &self.connections[id];
        let is_unread = connection.kind == ConnectionKind::Client
            && connection.state == ConnectionState::Open
            && !connection.has(flag::AFFINITY)
            && (is_opaque || !connection.has(flag::READ));
        let Some(affinity) =
            self.parent_of(connection).filter(|_| is_unread != connection.is_unread())
        else {
            return;
        };
        self.connections[id].mark(mark::UNREAD, is_unread);
        let unread = &mut self.connections[affinity].again;
        *unread = if is_unread { *unread + 1 } else { unread.saturating_sub(1) };
    }

    /// Takes a connection that is no longer under way from its affinity's count, if it has one.
    fn loosen_affinity(&mut self, connection: &Connection) {
        if let Some(parent) = self.parent_of(connection) {
            let under_way = &mut self.connections[parent].under_way;
            *under_way = under_way.saturating_sub(1);
        }
    }

    /// Takes a connection from its parent: the one that it carries data for, or its client's affinity.
    fn leave_parent(&mut self, connection: &Connection, env: &Env) {
        if connection.is_under_way() {
            self.loosen_affinity(connection);
        }
        let Some(parent) = self.parent_of(connection) else { return };
        let is_data = connection.kind == ConnectionKind::Data;
        let known = &mut self.connections[parent];
        known.children -= 1;
        if connection.is_unread() {
            known.again = known.again.saturating_sub(1);
        }
        known.data = known.data.saturating_sub(u32::from(is_data));
        if is_data {
            known.last_packet = env.now;
        }
        if known.has(flag::AFFINITY) && known.children == 0 {
            self.end_connection(parent, EndReason::Completed, env);
        }
    }

    /// The connection is forgotten.
    pub fn end_connection(&mut self, id: FlowId, end: EndReason, env: &Env) {
        self.end_announced(id, env);
        self.quotas.leave(id);
        let connection = self.connections.remove(id);
        self.depart_from_server(&connection, env);
        let history = *self.flow_log.connection(id);
        self.release_connection(&connection, history, end, env);
    }

    /// The client of some datagrams leaves its server, which may still be about to answer.
    fn depart_from_server(&mut self, connection: &Connection, env: &Env) {
        let (client, server) = (connection.client(), connection.server());
        let is_a_backend_s = connection.backend != NO_BACKEND && connection.answers_seen();
        if is_a_backend_s && client.protocol == PROTOCOL_UDP && server.near() == client.near() {
            let client = self.hosts.socket_address(client.near());
            self.departed.note(client, (server.server(), server.far_port()), 0, env.now);
        }
    }

    /// Releases all that a connection holds which is in no row any more.
    pub fn release_connection(
        &mut self,
        connection: &Connection,
        history: History,
        end: EndReason,
        env: &Env,
    ) {
        if connection.has(flag::AFFINITY) {
            self.tenants(connection)
                .into_iter()
                .for_each(|tenants| *tenants = tenants.saturating_sub(1));
        }
        self.count_connection_end(connection, history, end, env);
        self.release_resources(connection, env);
        self.leave_parent(connection, env);
    }

    /// The connection that this one carries data for, or the affinity that is of it; the number may be another one's by
    /// now.
    pub fn parent_of(&self, connection: &Connection) -> Option<FlowId> {
        let parent = self.connections.get(connection.parent)?;
        let is_it = parent.children > 0
            && parent.vip() == connection.vip()
            && parent.client().near().host == connection.client().near().host
            && parent.begun.is_due(connection.begun);
        is_it.then_some(connection.parent)
    }

    /// Releases session, port and host ids of a connection.
    fn release_resources(&mut self, connection: &Connection, env: &Env) {
        self.sessions.leave(connection.session);
        self.release_port(connection, env);
        self.hosts.release(connection.client().near().host);
        if let Some(server) = connection.server().far_host() {
            self.hosts.release(server.host);
        }
    }

    /// A connection's port of ours is another one's, if it has one.
    pub fn release_port(&mut self, connection: &Connection, env: &Env) {
        let server = connection.server();
        let is_its_own = server.near().port != 0 && !connection.has_mark(mark::BORROWS_PORT);
        if connection.backend != NO_BACKEND && is_its_own {
            let rules = rules(&env.snapshot.service_of(connection.backend).mode);
            let rest = connection.rest();
            rules.release(server.near(), server.protocol, rest, &mut self.pools(env));
        }
    }

    /// The affinity of this client to a backend of the VIP.
    pub fn affinity(&self, client: HostId, vip: VipId, protocol: u8) -> Option<FlowId> {
        self.connections.find(&Tuple::of_affinity(client, vip, protocol))
    }

    /// When a silent connection is looked at again, if others keep it alive: those that carry data for it; for one
    /// whose data is not known from that of its client's others, any of that. What is announced lives by its control
    /// connection, and not that by it.
    fn kept_alive(&self, id: FlowId, env: &Env) -> Option<Tick> {
        let connection = &self.connections[id];
        let later = env.now.after(KEPT_ALIVE);
        if connection.state == ConnectionState::Expected {
            return self.is_latest_announced(id).then_some(later);
        }
        if connection.children > self.announced_by(id).count() as u32 {
            return Some(later);
        }
        let may_have_data =
            connection.kind == ConnectionKind::Client && connection.state == ConnectionState::Open;
        let affinity = self.parent_of(connection).filter(|_| may_have_data)?;
        let affinity = &self.connections[affinity];
        let until = if affinity.data > 0 { later } else { deadline(affinity, env.snapshot) };
        Some(until).filter(|until| !until.is_due(env.now))
    }

    /// Looks at some of the connections whose deadline has come.
    pub fn expire_connections(&mut self, env: &Env) {
        for _ in 0..GLANCE {
            let Some(id) = self.connections.due(env.now) else { return };
            let connection = &self.connections[id];
            let deadline = deadline(connection, env.snapshot);
            if !deadline.is_due(env.now) {
                self.connections.rearm(id, deadline);
            } else if let Some(later) = self.kept_alive(id, env) {
                self.connections.rearm(id, later);
            } else {
                let unanswered = connection.is_half_open() && !connection.is_adopted();
                let end = if unanswered { EndReason::Unanswered } else { EndReason::TimedOut };
                self.end_connection(id, end, env);
            }
        }
    }

    /// Ends some of the connections that can't stay at their backend. Over TCP it is known to be dead, and their clients
    /// are told, unless another gate has their VIP now; of datagrams it is to be left by now, and the next one begins anew.
    pub fn scan_for_cut_off(&mut self, env: &Env) {
        let counters = &self.counters;
        let mut backends = env.snapshot.numbered_backends().zip(&counters.backends);
        let is_needed = || {
            backends.any(|((id, backend), transfers)| {
                let is_lost =
                    backend.state == BackendState::Down || env.snapshot.is_left(id, env.now);
                transfers.now() > 0 && is_lost
            })
        };
        for id in self.connection_sweep.places(GLANCE, env.now, is_needed) {
            let connection = self.connections.get(id).filter(|connection| connection.is_counted());
            let Some(connection) = connection else { continue };
            let is_dead = env.backend(connection.backend).state == BackendState::Down;
            let is_ours = self.has_connection(connection, env);
            if connection.may_be_left()
                && is_ours
                && env.snapshot.is_left(connection.backend, env.now)
            {
                self.end_connection(id, EndReason::Drained, env);
            } else if connection.client().is_tcp() && is_dead && is_ours && self.resets.add(id) {
                self.connections[id].turn = Turn::CutOff;
                self.advance(id, ConnectionState::Closed, env);
            }
        }
    }
}

/// How one ended that is closed.
fn how_it_ended(connection: &Connection) -> EndReason {
    if connection.turn == Turn::CutOff {
        EndReason::Lost
    } else if connection.has(flag::CLIENT_DONE | flag::SERVER_DONE) {
        EndReason::Completed
    } else {
        EndReason::Failed
    }
}

/// When a connection is given up unless another packet comes.
pub(super) fn deadline(connection: &Connection, snapshot: &Snapshot) -> Tick {
    let service =
        (connection.backend != NO_BACKEND).then(|| snapshot.service_of(connection.backend));
    let is_tcp = connection.client().protocol == PROTOCOL_TCP;
    let idle = || match (service, is_tcp) {
        (Some(service), _) => service.idle_timeout,
        (None, true) => TCP_IDLE,
        (None, false) => UDP_IDLE,
    };
    let transitory = || service.map_or(TRANSITORY, |service| service.transitory_timeout);
    connection.last_packet.after(match connection.state {
        ConnectionState::Expected if connection.has_mark(mark::REACHED) => REACHED,
        ConnectionState::Expected => EXPECTED,
        ConnectionState::HalfOpen if is_tcp => transitory(),
        ConnectionState::HalfOpen | ConnectionState::Open => idle(),
        ConnectionState::Closing => transitory(),
        ConnectionState::Closed => LINGER,
    })
}
