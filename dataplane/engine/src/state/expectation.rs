//! Connections that a control connection announces: they are waited for.

use super::free_port::ports_to_try;
use crate::alg::ftp::FIRST_DATA_PORT;
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag, mark};
use crate::flow::endpoint::{Endpoint, HostId};
use crate::flow::state::{ConnectionKind, ConnectionState};
use crate::flow::tuple::{Tuple, Tuples};
use crate::state::WorkerState;
use crate::state::flow_log::History;
use crate::state::snat::Facing;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::id::BackendId;
use crate::types::mode::Mode;
use crate::types::verdict::Step;
use wire::ip::PROTOCOL_TCP;

impl WorkerState {
    /// Expects a connection of the server to this port of a control connection's client. Returns what must be announced to
    /// it: a port of ours, if it does not see its client itself.
    ///
    /// # Errors
    ///
    /// There is no room, or no port, or it may not announce any.
    pub fn expect_from_server(
        &mut self,
        control: FlowId,
        client_port: u16,
        server_port: Option<u16>,
        env: &Env,
    ) -> Step<Endpoint> {
        let known = self.announcing(control)?;
        let service = env.snapshot.service_of(known.backend);
        let client = Endpoint { port: client_port, ..known.client().near() };
        let seen_as = match service.mode {
            Mode::Snat(_) => {
                let ours = Some(known.seen_as().host);
                let (backend, protocol) = (known.backend, PROTOCOL_TCP);
                self.seen_as(&Facing { client, backend, protocol, ours }, env)?.endpoint
            }
            Mode::Dsr | Mode::Nat => client,
        };
        // The port below the service's own, by default (RFC 959 §3.2).
        let from = known.client().far_port().wrapping_sub(1);
        let server_port = server_port.unwrap_or_default();
        let server = Tuple::at_server(seen_as, known.server().server(), server_port, PROTOCOL_TCP);
        let client = Tuple::at_vip(client, known.vip(), from, PROTOCOL_TCP);
        let expected = Connection {
            tuples: Tuples::of_client(client).with_server(server),
            flags: flag::BY_SERVER_TUPLE,
            ..self.announced(&known, control, env)
        };
        self.enter_expected(&expected, env)?;
        Ok(seen_as)
    }

    /// Expects a connection of the client that its server waits for at this port. Returns the VIP's port that the client must
    /// come to.
    ///
    /// # Errors
    ///
    /// There is no room, or no port, or it may not announce any.
    pub fn expect_from_client(
        &mut self,
        control: FlowId,
        server_port: u16,
        env: &Env,
    ) -> Step<u16> {
        let known = self.announcing(control)?;
        let port = self.free_port(&known, server_port, env).ok_or(DropReason::FlowTableFull)?;
        let client = Endpoint { port: 0, ..known.client().near() };
        let seen_as = Endpoint { port: 0, ..known.seen_as() };
        let server = Tuple::at_server(seen_as, known.server().server(), server_port, PROTOCOL_TCP);
        let client = Tuple::at_vip(client, known.vip(), port, PROTOCOL_TCP);
        // Behind a pool the server takes the first one to come for its client: the port is found by its end, too.
        let is_shared = matches!(env.snapshot.service_of(known.backend).mode, Mode::Snat(_));
        let by_server = if is_shared { flag::BY_SERVER_TUPLE } else { 0 };
        let expected = Connection {
            tuples: Tuples::of_client(client).with_server(server),
            flags: flag::BY_CLIENT_TUPLE | by_server,
            ..self.announced(&known, control, env)
        };
        if let Some(before) = self.connections.find(&server).filter(|_| is_shared) {
            self.end_connection(before, EndReason::Replaced, env);
        }
        self.enter_expected(&expected, env)?;
        Ok(port)
    }

    /// A control connection that announces others. One that is yet to be answered, or over, would be the first to make
    /// room for them.
    fn announcing(&self, control: FlowId) -> Step<Connection> {
        let known = &self.connections[control];
        match known.state {
            ConnectionState::Open | ConnectionState::Closing => Ok(known.clone()),
            ConnectionState::Expected | ConnectionState::HalfOpen | ConnectionState::Closed => {
                Err(DropReason::NoConnection.into())
            }
        }
    }

    /// The fields that a data connection has in common with its control connection.
    fn announced(&self, control: &Connection, id: FlowId, env: &Env) -> Connection {
        Connection {
            last_packet: env.now,
            begun: env.now,
            parent: id,
            backend: control.backend,
            back: control.back,
            kind: ConnectionKind::Data,
            state: ConnectionState::Expected,
            ..Connection::FREE
        }
    }

    fn enter_expected(&mut self, expected: &Connection, env: &Env) -> Step<()> {
        let address = self.hosts.socket_address(expected.client().near()).ip();
        if self.hosts.intern(address).is_err() {
            self.release_port(expected, env);
            return Err(DropReason::FlowTableFull.into());
        }
        self.connections[expected.parent].children += 1;
        let by_client = expected.has(flag::BY_CLIENT_TUPLE);
        let tuple = if by_client { expected.client() } else { expected.server() };
        match self.connections.find(&tuple) {
            Some(before) if before == expected.parent => {
                self.release_connection(expected, History::default(), EndReason::Evicted, env);
                return Err(DropReason::NoConnection.into());
            }
            // Its client, or server, has one there.
            Some(before) if self.connections[before].state == ConnectionState::Open => {
                self.release_connection(expected, History::default(), EndReason::Evicted, env);
                return Err(DropReason::NoConnection.into());
            }
            Some(before) => self.end_connection(before, EndReason::Replaced, env),
            None => {}
        }
        let id = self.enter_connection(expected, env)?;
        self.note_announced(id, env);
        Ok(())
    }

    /// Whether this backend waits at this port for data that another client's control connection has announced, and that
    /// it expects from this address of ours.
    pub fn is_announced(&self, seen_as: HostId, to: BackendId, port: u16, env: &Env) -> bool {
        let any_port = Endpoint { host: seen_as, port: 0 };
        let server = Tuple::at_server(any_port, env.backend(to).server, port, PROTOCOL_TCP);
        let expected = self.connections.find(&server).map(|id| &self.connections[id]);
        expected.is_some_and(|one| !one.has_mark(mark::REACHED))
    }

    /// A port of the control connection's VIP that its client has not been told of: the server's own, if it can be.
    fn free_port(&self, control: &Connection, server_port: u16, env: &Env) -> Option<u16> {
        let vip = control.vip();
        let is_its_own = |port| {
            let owner = env.snapshot[vip].passive_owner(port);
            owner.is_none_or(|owner| owner == control.backend)
        };
        // What the server announces once more replaces itself.
        let is_same = |id: FlowId| {
            let known = &self.connections[id];
            known.state == ConnectionState::Expected
                && known.backend == control.backend
                && known.server().far_port() == server_port
        };
        let is_free = |&port: &u16| {
            let client = Endpoint { port: 0, ..control.client().near() };
            let tuple = Tuple::at_vip(client, vip, port, PROTOCOL_TCP);
            port >= FIRST_DATA_PORT
                && is_its_own(port)
                && env.snapshot.service(vip, PROTOCOL_TCP, port).is_none()
                && self.connections.find(&tuple).is_none_or(is_same)
        };
        ports_to_try(server_port).find(is_free)
    }
}
