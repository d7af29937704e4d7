//! Connections that an earlier process has left. What is only announced, and what binds a client to a backend, is made
//! anew; a connection that was read can't go on, as what was read of it is gone: its ends are told at their next word.

use super::Adopted;
use super::fit::{Ends, is_of, is_reachable};
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, NO_BACKEND, flag};
use crate::flow::endpoint::HostId;
use crate::flow::state::ConnectionKind;
use crate::flow::tuple::Tuple;
use crate::snapshot::Protocol;
use crate::state::WorkerState;
use crate::state::connections::deadline;
use crate::types::mode::Mode;
use std::cmp::Reverse;

impl WorkerState {
    /// Takes over what lies in the rows of connections.
    pub(super) fn adopt_connections(&mut self, elsewhere: &mut [u64], env: &Env) -> Adopted {
        let mut adopted = Adopted::default();
        let mut rows: Vec<FlowId> = self.connections.scan(0..self.connections.capacity()).collect();
        rows.sort_by_key(|&id| Reverse(env.now.since(self.connections[id].begun)));
        for &id in &rows {
            let passing = self.connections[id].is_made_anew();
            if !passing && self.adopt_connection(id, env) {
                adopted.whole += 1;
            } else {
                if let Some(count) =
                    self.place_elsewhere(id, env).and_then(|at| elsewhere.get_mut(at))
                {
                    *count += 1;
                }
                self.connections.discard(id);
                adopted.broken += usize::from(!passing);
            }
        }
        for &id in &rows {
            self.bind_again(id, env);
        }
        for &id in &rows {
            self.join_again(id, env);
            self.count_again(id, env);
        }
        adopted
    }

    /// The place of the backend of a connection whose VIP another gate has: that one goes on with it.
    fn place_elsewhere(&self, id: FlowId, env: &Env) -> Option<usize> {
        let connection = &self.connections[id];
        let is_known =
            connection.is_counted() && connection.vip().index() < env.snapshot.vips.len();
        let is_elsewhere = is_known && !self.has_connection(connection, env);
        is_elsewhere.then(|| connection.backend.index())
    }

    /// Makes the affinity of a control connection's client anew.
    pub(in crate::state) fn bind_again(&mut self, id: FlowId, env: &Env) {
        let is_control = self.connections.get(id).is_some_and(|connection| {
            connection.kind == ConnectionKind::Client
                && connection.backend != NO_BACKEND
                && !connection.is_over()
                && !connection.has(flag::AFFINITY)
                && matches!(env.snapshot.service_of(connection.backend).protocol, Protocol::Ftp(_))
        });
        if is_control {
            self.bind_control(id, env);
        }
    }

    /// Data is its client's again.
    pub(in crate::state) fn join_again(&mut self, id: FlowId, env: &Env) {
        let data = self.connections.get(id).filter(|one| one.kind == ConnectionKind::Data);
        let Some(data) = data.cloned() else { return };
        if let Some(affinity) = self.affinity_of_data(&data, env) {
            self.connections[id].parent = affinity;
            self.join(affinity, &data);
        }
    }

    fn adopt_connection(&mut self, id: FlowId, env: &Env) -> bool {
        self.connections[id].forget_relations();
        let connection = self.connections[id].clone();
        if !self.is_sound_connection(&connection, env) {
            return false;
        }
        let own_hosts = [Some(connection.client().near().host), other_host(&connection)];
        let hosts = own_hosts.into_iter().flatten();
        let known = hosts.clone().take_while(|&host| self.hosts.adopt(host)).count();
        let is_whole = known == hosts.clone().count()
            && self.connections.adopt(id, deadline(&connection, env.snapshot)).is_ok();
        if !is_whole {
            hosts.take(known).for_each(|host| self.hosts.forget(host));
            return false;
        }
        if connection.is_counted() {
            self.counters.backend(connection.backend).inherited.add(1);
            self.restore_place(connection.backend, connection.is_over_limit(), env);
        }
        true
    }

    fn is_sound_connection(&self, connection: &Connection, env: &Env) -> bool {
        let is_known = match connection.backend {
            NO_BACKEND => is_of_rule(connection, env),
            backend => {
                let client = connection.client();
                let ends = Ends {
                    client: client.near(),
                    vip: connection.vip(),
                    seen_as: connection.seen_as(),
                    backend,
                };
                is_at_backend(connection, env) && ends.fit(client.protocol, env, &self.hosts)
            }
        };
        let is_alone = |tuple: &Tuple| self.connections.find(tuple).is_none();
        is_known
            && is_reachable(&connection.back, env)
            && is_reachable(&connection.fore(), env)
            && connection.last_packet.is_due(env.now)
            && connection.begun.is_due(env.now)
            && is_alone(&connection.client())
            && is_alone(&connection.server())
    }
}

/// Whether a row is of a connection to its backend: found by the tuples that its service's mode has, and not one that
/// was read.
fn is_at_backend(connection: &Connection, env: &Env) -> bool {
    let Some(backend) = env.snapshot.find_backend(connection.backend) else {
        return false;
    };
    let service = env.snapshot.service_of(connection.backend);
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
        && !connection.ends_with_process()
        && connection.kind != ConnectionKind::Policy
}

/// Whether a row is of a connection that a server opened by itself, by a rule: between hosts of one address family.
fn is_of_rule(connection: &Connection, env: &Env) -> bool {
    let vip = env.snapshot.vips.get(connection.vip().index());
    let server = connection.server().far_host();
    let (Some(vip), Some(server)) = (vip, server) else { return false };
    let peer = connection.client().near().host;
    connection.kind == ConnectionKind::Policy
        && connection.is_found_by_both()
        && !connection.ends_with_process()
        && is_of(peer, &vip.address)
        && is_of(server.host, &vip.address)
        && connection.seen_as().host == peer
}

/// The other host that a connection names: a server that is nobody's backend; or an address of ours, which has its name
/// as long as we have it.
fn other_host(connection: &Connection) -> Option<HostId> {
    let client = connection.client().near().host;
    let is_ours = connection.answers_seen() && connection.seen_as().host != client;
    let ours = is_ours.then_some(connection.seen_as().host);
    connection.server().far_host().map(|server| server.host).or(ours)
}
