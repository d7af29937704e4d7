//! Connections that a control connection announces: they are waited for.

use super::data::FIRST_PORT;
use crate::alg::End;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag, mark};
use crate::flow::hosts::{Endpoint, Host};
use crate::flow::tuple::{Tuple, Tuples};
use crate::flow::view::{ConnectionKind, Stage};
use crate::here::Here;
use crate::own::Own;
use crate::own::pool::Facing;
use crate::reason::Reason;
use crate::tables::{BackendId, Mode};
use crate::verdict::Step;
use wire::ip::PROTOCOL_TCP;

/// Ports of a VIP that are tried for data, before there is none.
const TRIES: u32 = 64;

impl Own {
    /// The server is to open a connection to this port of a control connection's client. Answers what is to be
    /// announced to it: a port of ours, if it does not see its client itself.
    ///
    /// # Errors
    ///
    /// There is no room, or no port, or it may not announce any.
    pub(super) fn expect_from_server(
        &mut self,
        control: FlowId,
        client_port: u16,
        server_port: Option<u16>,
        here: &Here,
    ) -> Step<Endpoint> {
        let known = self.announcing(control)?;
        let service = here.tables.service_of(known.backend);
        let client = Endpoint { port: client_port, ..known.client().near() };
        let seen_as = match service.mode {
            Mode::Snat(_) => {
                let ours = Some(known.seen_as().host);
                let (backend, protocol) = (known.backend, PROTOCOL_TCP);
                self.seen_as(&Facing { client, backend, protocol, ours }, here)?.endpoint
            }
            Mode::Dsr | Mode::Nat => client,
        };
        // The port below the service's own, by default (RFC 959 §3.2).
        let from = known.client().far_port().wrapping_sub(1);
        let server_port = server_port.unwrap_or_default();
        let server = Tuple::at_server(seen_as, known.server().far(), server_port, PROTOCOL_TCP);
        let client = Tuple::at_vip(client, known.vip(), from, PROTOCOL_TCP);
        let expected = Connection {
            tuples: Tuples::of_client(client).with_server(server),
            flags: flag::BY_SERVER_TUPLE,
            ..self.announced(&known, control, here)
        };
        self.enter_expected(&expected, here)?;
        Ok(seen_as)
    }

    /// The client is to open a connection that its server waits for at this port. Answers the VIP's port that it is
    /// to come to.
    ///
    /// # Errors
    ///
    /// There is no room, or no port, or it may not announce any.
    pub(super) fn expect_from_client(
        &mut self,
        control: FlowId,
        server_port: u16,
        here: &Here,
    ) -> Step<u16> {
        let known = self.announcing(control)?;
        let port = self.free_port(&known, server_port, here).ok_or(Reason::FlowTableFull)?;
        let client = Endpoint { port: 0, ..known.client().near() };
        let seen_as = Endpoint { port: 0, ..known.seen_as() };
        let server = Tuple::at_server(seen_as, known.server().far(), server_port, PROTOCOL_TCP);
        let client = Tuple::at_vip(client, known.vip(), port, PROTOCOL_TCP);
        // Behind a pool the server takes whoever comes first for its client: the port is found by its end, too.
        let is_shared = matches!(here.tables.service_of(known.backend).mode, Mode::Snat(_));
        let by_server = if is_shared { flag::BY_SERVER_TUPLE } else { 0 };
        let expected = Connection {
            tuples: Tuples::of_client(client).with_server(server),
            flags: flag::BY_CLIENT_TUPLE | by_server,
            ..self.announced(&known, control, here)
        };
        if let Some(before) = self.connections.find(&server).filter(|_| is_shared) {
            self.end_connection(before, End::Replaced, here);
        }
        self.enter_expected(&expected, here)?;
        Ok(port)
    }

    /// A control connection that announces others. One that is yet to be answered, or over, would be the first to make
    /// room for them.
    fn announcing(&self, control: FlowId) -> Step<Connection> {
        let known = &self.connections[control];
        match known.stage {
            Stage::Open | Stage::Closing => Ok(known.clone()),
            Stage::Expected | Stage::HalfOpen | Stage::Closed => Err(Reason::NoConnection.into()),
        }
    }

    /// What a connection has in common with its control connection.
    fn announced(&self, control: &Connection, id: FlowId, here: &Here) -> Connection {
        Connection {
            last_packet: here.now,
            begun: here.now,
            parent: id,
            backend: control.backend,
            back: control.back,
            kind: ConnectionKind::Data,
            stage: Stage::Expected,
            ..Connection::FREE
        }
    }

    fn enter_expected(&mut self, expected: &Connection, here: &Here) -> Step<()> {
        let address = self.hosts.socket_address(expected.client().near()).ip();
        if self.hosts.enter(address).is_err() {
            self.release_port(expected, here);
            return Err(Reason::FlowTableFull.into());
        }
        self.connections[expected.parent].children += 1;
        let by_client = expected.has(flag::BY_CLIENT_TUPLE);
        let tuple = if by_client { expected.client() } else { expected.server() };
        match self.connections.find(&tuple) {
            Some(before) if before == expected.parent => {
                self.bury(expected, End::Evicted, here);
                return Err(Reason::NoConnection.into());
            }
            // Its client, or server, has one there.
            Some(before) if self.connections[before].stage == Stage::Open => {
                self.bury(expected, End::Evicted, here);
                return Err(Reason::NoConnection.into());
            }
            Some(before) => self.end_connection(before, End::Replaced, here),
            None => {}
        }
        let id = self.enter_connection(expected, here)?;
        self.note_announced(id, here);
        Ok(())
    }

    /// Whether this backend waits at this port for data that another client's control connection has announced, and that
    /// it expects from this address of ours.
    pub(super) fn is_announced(
        &self,
        seen_as: Host,
        to: BackendId,
        port: u16,
        here: &Here,
    ) -> bool {
        let any_port = Endpoint { host: seen_as, port: 0 };
        let server = Tuple::at_server(any_port, here.backend(to).server, port, PROTOCOL_TCP);
        let expected = self.connections.find(&server).map(|id| &self.connections[id]);
        expected.is_some_and(|one| !one.has_mark(mark::REACHED))
    }

    /// A port of the control connection's VIP that its client has not been told of: the server's own, if it can be.
    fn free_port(&self, control: &Connection, server_port: u16, here: &Here) -> Option<u16> {
        let vip = control.vip();
        let ranges = &here.tables.vips[usize::from(vip)].passive;
        let is_its_own = |port| {
            let owner = ranges.iter().find(|(range, _)| range.contains(&port));
            owner.is_none_or(|&(_, owner)| owner == control.backend)
        };
        // What the server announces once more replaces itself.
        let is_same = |id: FlowId| {
            let known = &self.connections[id];
            known.stage == Stage::Expected
                && known.backend == control.backend
                && known.server().far_port() == server_port
        };
        let is_free = |&port: &u16| {
            let client = Endpoint { port: 0, ..control.client().near() };
            let tuple = Tuple::at_vip(client, vip, port, PROTOCOL_TCP);
            port >= FIRST_PORT
                && is_its_own(port)
                && here.tables.service(vip, PROTOCOL_TCP, port).is_none()
                && self.connections.find(&tuple).is_none_or(is_same)
        };
        let others = (1..TRIES).map(|n| server_port.wrapping_add((n * 977) as u16));
        [server_port].into_iter().chain(others).find(is_free)
    }
}
