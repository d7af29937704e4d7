//! Connections that an earlier process has left. What is only announced, and what binds a client to a backend, is made
//! anew; a connection that was read can't go on, as what was read of it is gone: its ends are told at their next word.

use super::Adopted;
use super::fit::{Ends, is_of, is_reachable};
use crate::flow::FlowId;
use crate::flow::connection::{Connection, NO_BACKEND, flag};
use crate::flow::hosts::Host;
use crate::flow::tuple::Tuple;
use crate::flow::view::{ConnectionKind, Stage};
use crate::here::Here;
use crate::own::Own;
use crate::own::connections::deadline;
use crate::tables::{Mode, Protocol};
use std::cmp::Reverse;

impl Own {
    /// Takes over what lies in the rows of connections.
    pub(super) fn adopt_connections(&mut self, here: &Here) -> Adopted {
        let mut adopted = Adopted::default();
        let mut rows: Vec<FlowId> = self.connections.scan(0..self.connections.capacity()).collect();
        rows.sort_by_key(|&id| Reverse(here.now.since(self.connections[id].begun)));
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
            self.join_again(id, here);
            self.count_again(id, here);
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
    fn join_again(&mut self, id: FlowId, here: &Here) {
        let data = self.connections.get(id).filter(|one| one.kind == ConnectionKind::Data);
        let Some(data) = data.cloned() else { return };
        if let Some(bond) = self.bond_of_data(&data, here) {
            self.connections[id].parent = bond;
            self.join(bond, &data);
        }
    }

    fn adopt_connection(&mut self, id: FlowId, here: &Here) -> bool {
        self.connections[id].forget_relations();
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
        let is_known = match connection.backend {
            NO_BACKEND => is_of_rule(connection, here),
            backend => {
                let client = connection.client();
                let ends = Ends {
                    client: client.near(),
                    vip: connection.vip(),
                    seen_as: connection.seen_as(),
                    backend,
                };
                is_at_backend(connection, here) && ends.fit(client.protocol, here, &self.hosts)
            }
        };
        let is_alone = |tuple: &Tuple| self.connections.find(tuple).is_none();
        is_known
            && is_reachable(&connection.back, here)
            && is_reachable(&connection.fore(), here)
            && connection.last_packet.is_due(here.now)
            && connection.begun.is_due(here.now)
            && is_alone(&connection.client())
            && is_alone(&connection.server())
    }
}

/// Whether a row is of a connection to its backend: found by the tuples that its service's mode has, and not one that
/// was read.
fn is_at_backend(connection: &Connection, here: &Here) -> bool {
    let Some(backend) = here.tables.backends.get(usize::from(connection.backend)) else {
        return false;
    };
    let service = here.tables.service_of(connection.backend);
    let (client, server) = (connection.client(), connection.server());
    let is_seen = service.mode != Mode::Dsr;
    let is_read = matches!(service.protocol, Protocol::Ftp(_)) && is_seen;
    let is_control = connection.kind == ConnectionKind::Client;
    let at_server =
        Tuple::at_server(server.near(), backend.server, server.far_port(), client.protocol);
    connection.answers_seen() == is_seen
        && connection.is_found_by_both() == is_seen
        && (!is_seen || server == at_server)
        && !(is_read && is_control)
        && !connection.has(flag::READ)
        && connection.kind != ConnectionKind::Policy
}

/// Whether a row is of a connection that a server opened by itself, by a rule: between hosts of one version of IP.
fn is_of_rule(connection: &Connection, here: &Here) -> bool {
    let vip = here.tables.vips.get(usize::from(connection.vip()));
    let server = connection.server().far_host();
    let (Some(vip), Some(server)) = (vip, server) else { return false };
    let peer = connection.client().near().host;
    connection.kind == ConnectionKind::Policy
        && connection.is_found_by_both()
        && !connection.has(flag::READ)
        && is_of(peer, &vip.address)
        && is_of(server.host, &vip.address)
        && connection.seen_as().host == peer
}

/// The other host that a connection names: a server that is nobody's backend; or an address of ours, which has its name
/// as long as we have it.
fn other_host(connection: &Connection) -> Option<Host> {
    let client = connection.client().near().host;
    let is_ours = connection.answers_seen() && connection.seen_as().host != client;
    let ours = is_ours.then_some(connection.seen_as().host);
    connection.server().far_host().map(|server| server.host).or(ours)
}
