//! Connections that an earlier process has left. What is only announced, and what binds a client to a backend, is made
//! anew; a connection that was read can't go on, as what was read of it is gone: its ends are told at their next word.

use super::Adopted;
use crate::flow::connection::{Connection, NO_BACKEND, flag};
use crate::flow::hosts::Host;
use crate::flow::tuple::Tuple;
use crate::flow::view::{ConnectionKind, Stage};
use crate::flow::{FlowId, NO_FLOW};
use crate::here::Here;
use crate::own::Own;
use crate::own::connections::deadline;
use crate::tables::{Mode, Protocol};
use wire::ip::PROTOCOL_TCP;

impl Own {
    /// Takes over what lies in the rows of connections.
    pub(super) fn adopt_connections(&mut self, here: &Here) -> Adopted {
        let mut adopted = Adopted::default();
        let rows: Vec<FlowId> = self.connections.scan(0..self.connections.capacity()).collect();
        for &id in &rows {
            let passing = self.connections[id].stage == Stage::Expected
                || self.connections[id].has(flag::BOND);
            if !passing && self.adopt_connection(id, here) {
                adopted.whole += 1;
            } else {
                self.connections.discard(id);
                adopted.broken += usize::from(!passing);
            }
        }
        for &id in &rows {
            self.bind_again(id, here);
        }
        for &id in &rows {
            self.join_again(id);
        }
        adopted
    }

    /// What binds a client to the backend of its control connection is made anew.
    fn bind_again(&mut self, id: FlowId, here: &Here) {
        let is_control = self.connections.get(id).is_some_and(|connection| {
            connection.kind == ConnectionKind::Client
                && connection.backend != NO_BACKEND
                && !connection.is_over()
                && !connection.has(flag::BOND)
                && matches!(here.tables.service_of(connection.backend).protocol, Protocol::Ftp(_))
        });
        if is_control {
            self.bind_control(id, here);
        }
    }

    /// Data is its client's again.
    fn join_again(&mut self, id: FlowId) {
        let data = self.connections.get(id).filter(|one| one.kind == ConnectionKind::Data);
        let Some(data) = data.cloned() else { return };
        if let Some(bond) = self.bond(data.client().near().host, data.vip(), PROTOCOL_TCP) {
            self.connections[id].parent = bond;
            self.join(bond, &data);
        }
    }

    fn adopt_connection(&mut self, id: FlowId, here: &Here) -> bool {
        self.connections[id].parent = NO_FLOW;
        self.connections[id].children = 0;
        self.connections[id].data = 0;
        self.connections[id].under_way = 0;
        let connection = self.connections[id].clone();
        if !self.is_sound_connection(&connection, here) {
            return false;
        }
        let own_hosts = [Some(connection.client().near().host), other_host(&connection)];
        let hosts = own_hosts.into_iter().flatten();
        let known = hosts.clone().take_while(|&host| self.hosts.adopt(host)).count();
        let is_whole = known == hosts.clone().count()
            && self.connections.adopt(id, deadline(&connection, here.tables)).is_ok();
        if !is_whole {
            hosts.take(known).for_each(|host| self.hosts.disown(host));
            return false;
        }
        if connection.is_counted() {
            let transfers = self.counters.backend(connection.backend);
            transfers.started.add(1);
            transfers.inherited.add(1);
            here.backend(connection.backend).cap.iter().for_each(|cap| cap.take_over(1));
        }
        true
    }

    fn is_sound_connection(&self, connection: &Connection, here: &Here) -> bool {
        let tables = here.tables;
        let is_known = match tables.backends.get(usize::from(connection.backend)) {
            Some(backend) => {
                let service = tables.service_of(connection.backend);
                let is_seen = service.mode != Mode::Dsr;
                let is_read = matches!(service.protocol, Protocol::Ftp(_)) && is_seen;
                let is_control = connection.kind == ConnectionKind::Client;
                is_seen == connection.answers_seen()
                    && (!is_seen || connection.server().far() == backend.server)
                    && !(is_read && is_control)
            }
            None => connection.backend == NO_BACKEND && connection.server().far_host().is_some(),
        };
        let is_alone = |tuple: &Tuple| self.connections.find(tuple).is_none();
        is_known
            && usize::from(connection.vip()) < tables.vips.len()
            && connection.last_packet.is_due(here.now)
            && is_alone(&connection.client())
            && is_alone(&connection.server())
    }
}

/// The other host that a connection names: a server that is nobody's backend; or an address of ours, which has its name
/// as long as we have it.
fn other_host(connection: &Connection) -> Option<Host> {
    let client = connection.client().near().host;
    let is_ours = connection.answers_seen() && connection.seen_as().host != client;
    let ours = is_ours.then_some(connection.seen_as().host);
    connection.server().far_host().map(|server| server.host).or(ours)
}
