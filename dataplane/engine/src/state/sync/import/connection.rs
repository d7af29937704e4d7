//! A connection of the peer's.

use super::claim::{Claim, Put};
use super::refusal::SyncRefusal;
use super::{Gains, has_gone_on, has_room};
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, Half, SyncedConnection, flag, mark};
use crate::flow::endpoint::Endpoint;
use crate::flow::ftp_session_table::SyncedSession;
use crate::flow::port_allocator::Holder;
use crate::flow::state::{ConnectionKind, ConnectionState};
use crate::flow::tuple::{Tuple, Tuples};
use crate::snapshot::service::Service;
use crate::snapshot::{Protocol, Snapshot};
use crate::state::WorkerState;
use crate::state::flow_log::History;
use crate::types::end_reason::EndReason;
use crate::types::id::ServiceId;
use crate::types::mode::Mode;
use crate::types::selection_reason::SelectionReason;
use crate::types::tick::Tick;
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};

impl WorkerState {
    pub(super) fn import_connection(
        &mut self,
        told: &SyncedConnection,
        gains: &Gains,
        env: &Env,
    ) -> Result<Put, SyncRefusal> {
        let row = Claim::of_connection(told, gains, env);
        let service = self.check(&row, |service| is_on_vip(told, service, env.snapshot), env)?;
        let is_read = matches!(service.protocol, Protocol::Ftp(_))
            && service.mode != Mode::Dsr
            && told.kind == ConnectionKind::Client
            && matches!(told.state, ConnectionState::HalfOpen | ConnectionState::Open);
        let is_sound = matches!(told.protocol, PROTOCOL_TCP | PROTOCOL_UDP)
            && told.state != ConnectionState::Expected
            && told.session.is_some() == is_read
            && has_right_ports(told, service, env.snapshot);
        if !is_sound {
            return Err(SyncRefusal::Malformed);
        }
        let gained = row.gained;
        self.with_ends(&row, &service.mode, env, |state, ends| {
            let row = told.row(tuples(told, ends, &service.mode, env), env.now);
            state.put_connection(row, told.session, gained, env)
        })
    }

    /// Enters the row, or has the one that is known follow it.
    fn put_connection(
        &mut self,
        row: Connection,
        session: Option<SyncedSession>,
        gained: Option<Tick>,
        env: &Env,
    ) -> Result<Put, SyncRefusal> {
        if let Some(known) = self.connections.find(&row.client()) {
            let was_over = self.connections[known].is_over();
            let goes_on = has_gone_on(self.connections[known].last_packet, gained);
            if !was_over && goes_on && self.has_connection(&self.connections[known], env) {
                return Ok(Put::Ours);
            }
            let is_read = |read: bool| row.is_over() || read == session.is_some();
            if is_same(&self.connections[known], &row)
                && is_read(self.connections[known].has(flag::READ))
                && (row.is_over() || !was_over)
            {
                self.follow_connection(known, &row, session, env);
                return Ok(Put::Known(known));
            }
            self.end_connection(known, EndReason::Replaced, env);
        }
        if row.is_over() {
            return Ok(Put::Over);
        }
        if self.connections.is_full()
            || !has_room(self.connections_in_use(), self.connections.capacity())
        {
            return Err(SyncRefusal::Full);
        }
        self.displace(&row, env)?;
        self.enter_told_connection(row, session, env).map(Put::New)
    }

    fn connections_in_use(&self) -> u32 {
        use ConnectionState::{Closed, Closing, Expected, HalfOpen, Open};
        [Expected, HalfOpen, Open, Closing, Closed]
            .map(|state| self.connections.in_use(state))
            .iter()
            .sum()
    }

    /// Ends the connection that has the server's tuple, unless it is ours.
    fn displace(&mut self, row: &Connection, env: &Env) -> Result<(), SyncRefusal> {
        let twin = row.answers_seen().then(|| self.connections.find(&row.server())).flatten();
        if let Some(twin) = twin {
            if self.has_connection(&self.connections[twin], env) {
                return Err(SyncRefusal::Port);
            }
            self.end_connection(twin, EndReason::Replaced, env);
        }
        Ok(())
    }

    fn enter_told_connection(
        &mut self,
        row: Connection,
        session: Option<SyncedSession>,
        env: &Env,
    ) -> Result<FlowId, SyncRefusal> {
        let Some(id) = self.insert_connection(&row, SelectionReason::Synced, env) else {
            return Err(SyncRefusal::Full);
        };
        let claimed = self.claim_port_of(id, &row, env);
        if let Err(why_not) = claimed.and_then(|()| self.enter_session(id, session, env)) {
            let row = self.connections.remove(id);
            if claimed.is_ok() {
                self.release_port(&row, env);
            }
            return Err(why_not);
        }
        *self.flow_log.connection(id) = History::synced();
        self.remember_told(row.client().near(), row.backend, None, env);
        self.counters.backend(row.backend).synced.add(1);
        self.restore_place(row.backend, false, env);
        self.bind_again(id, env);
        self.join_again(id, env);
        self.count_again(id, env);
        Ok(id)
    }

    /// Goes on with the session of a control connection that was read.
    fn enter_session(
        &mut self,
        id: FlowId,
        session: Option<SyncedSession>,
        env: &Env,
    ) -> Result<(), SyncRefusal> {
        let Some(session) = session else { return Ok(()) };
        let first = session.streams.map(|stream| stream.next);
        let number = self.sessions.enter(id, first).ok_or(SyncRefusal::Full)?;
        self.sessions.resume(number, &session, env.now);
        self.connections[id].session = number;
        self.connections[id].flags |= flag::READ;
        Ok(())
    }

    fn claim_port_of(
        &mut self,
        id: FlowId,
        row: &Connection,
        env: &Env,
    ) -> Result<(), SyncRefusal> {
        let is_ours = matches!(env.snapshot.service_of(row.backend).mode, Mode::Snat(_));
        if !is_ours || row.has_mark(mark::BORROWS_PORT) {
            return Ok(());
        }
        let entry = self.hosts.rss_entry(row.client().near().host);
        let protocol = row.client().protocol;
        self.claim_told(row.seen_as(), (protocol, entry), Holder::Connection(id), env)
    }

    /// Takes over what the peer tells of a connection that is known.
    fn follow_connection(
        &mut self,
        id: FlowId,
        told: &Connection,
        session: Option<SyncedSession>,
        env: &Env,
    ) {
        if self.connections[id].is_over() {
            return;
        }
        self.connections[id].follow(told);
        if let Some(session) = session {
            self.sessions.resume(self.connections[id].session, &session, env.now);
        }
        if self.connections[id].state != told.state {
            self.advance(id, told.state, env);
            self.connections[id].last_packet = told.last_packet;
        }
        let connection = &self.connections[id];
        if connection.is_unassured() && !told.is_unassured() {
            self.connections.assure(id);
            self.quotas.assure(id, Half::UNKNOWN);
        }
        if self.parent_of(&self.connections[id]).is_none() {
            self.join_again(id, env);
        }
    }
}

/// The tuples of a connection with these endpoints of its client and of what its server sees.
fn tuples(
    told: &SyncedConnection,
    [client, seen_as]: [Endpoint; 2],
    mode: &Mode,
    env: &Env,
) -> Tuples {
    let client = Tuples::of_client(Tuple::at_vip(client, told.vip, told.vip_port, told.protocol));
    if *mode == Mode::Dsr {
        return client;
    }
    let server = env.backend(told.backend).server;
    client.with_server(Tuple::at_server(seen_as, server, told.server_port, told.protocol))
}

/// Whether the VIP has the service at the connection's port, or, for data, an FTP service at any.
fn is_on_vip(told: &SyncedConnection, service: ServiceId, snapshot: &Snapshot) -> bool {
    match told.kind {
        ConnectionKind::Client => {
            snapshot.service(told.vip, told.protocol, told.vip_port) == Some(service)
        }
        ConnectionKind::Data => {
            matches!(snapshot[service].protocol, Protocol::Ftp(_))
                && snapshot[told.vip].tcp.iter().any(|&(_, known)| known == service)
        }
        ConnectionKind::Policy => false,
    }
}

/// Whether a packet could have made the connection: to the service's port, or, for data, between ports that are none's.
fn has_right_ports(told: &SyncedConnection, service: &Service, snapshot: &Snapshot) -> bool {
    let is_seen = service.mode != Mode::Dsr;
    match told.kind {
        ConnectionKind::Client => !is_seen || told.server_port == service.port,
        ConnectionKind::Data | ConnectionKind::Policy => {
            told.protocol == PROTOCOL_TCP
                && told.vip_port != 0
                && (!is_seen || told.server_port != 0)
                && snapshot.service(told.vip, PROTOCOL_TCP, told.vip_port).is_none()
        }
    }
}

/// Whether the peer's connection is this one.
fn is_same(known: &Connection, told: &Connection) -> bool {
    !known.has(flag::AFFINITY)
        && known.kind == told.kind
        && known.backend == told.backend
        && known.answers_seen() == told.answers_seen()
        && (!told.answers_seen() || known.server() == told.server())
}
