//! What an earlier process has left: its transfers go on. Rows that are torn, or don't fit what is configured
//! now, are freed.

mod connections;
mod fit;

use super::Own;
use super::transfers::deadline;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, NO_BACKEND};
use crate::flow::hosts::Endpoint;
use crate::flow::key::{Key, KeyKind};
use crate::flow::new_hop::NewHop;
use crate::flow::ports::{Holder, Turn, kind};
use crate::flow::record::NOBODY;
use crate::flow::store::Store;
use crate::here::Here;
use crate::mode::rules;
use crate::tables::{BackendId, Mode, Tables};
use fit::{Ends, is_reachable};
use std::cmp::Reverse;
use wire::ip::PROTOCOL_UDP;

/// What became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Transfers and connections that go on.
    pub whole: usize,
    /// Rows that were freed.
    pub broken: usize,
}

impl Own {
    /// Takes over what lies in the table's rows. Before anything else is entered.
    pub fn adopt(&mut self, here: &Here) -> Adopted {
        let mut adopted = Adopted::default();
        let mut rows: Vec<FlowId> = self.flows.scan(0..self.flows.capacity()).collect();
        // The oldest ones are to make room first, as before.
        rows.sort_by_key(|&id| Reverse(here.now.since(self.flows.detail(id).begun)));
        for &id in &rows {
            if self.adopt_one(id, here) {
                adopted.whole += 1;
            } else {
                self.flows.discard(id);
                adopted.broken += 1;
            }
        }
        let connections = self.adopt_connections(here);
        adopted.whole += connections.whole;
        adopted.broken += connections.broken;
        adopted
    }

    /// Gives the memory back, with all that lies in it: what a process leaves.
    pub fn leave(self) -> Store {
        let (flows, details) = self.flows.leave();
        let connections = self.connections.leave();
        Store { flows, details, connections, named: self.hosts.leave_names() }
    }

    fn adopt_one(&mut self, id: FlowId, here: &Here) -> bool {
        if !self.is_sound(id, here) {
            return false;
        }
        let flow = self.flows[id].clone();
        let [client, seen_as] = [flow.client().host, flow.seen_as().host];
        if !self.hosts.adopt(client) {
            return false;
        }
        // Of an address of ours, which has its name as long as we have it.
        let is_ours = flow.answers_seen() && seen_as != client;
        if is_ours && !self.hosts.adopt(seen_as) {
            self.hosts.disown(client);
            return false;
        }
        if self.flows.adopt(id, deadline(&flow, here.tables)).is_err() {
            self.hosts.disown(client);
            if is_ours {
                self.hosts.disown(seen_as);
            }
            return false;
        }
        if !flow.state.is_over() {
            let transfers = self.counters.of(&flow);
            transfers.started.add(1);
            transfers.inherited.add(1);
            here.backend(flow.backend).cap.iter().for_each(|cap| cap.take_over(1));
        }
        let detail = self.flows.both(id).1;
        // No seal covers that station, and its interface may be none of ours.
        detail.new_hop = NewHop::NONE;
        if flow.is_in_need() {
            detail.catch_up.queued = 0;
            self.say(id);
            self.outbox.watch(id);
        }
        true
    }

    /// Whether the row is whole, of this time, and of a transfer that nobody else has.
    fn is_sound(&self, id: FlowId, here: &Here) -> bool {
        let (flow, tables) = (&self.flows[id], here.tables);
        let Some(backend) = tables.backends.get(usize::from(flow.backend)) else { return false };
        let sees_answers = rules(&tables.service_of(flow.backend).mode).answers_seen();
        let server = sees_answers.then(|| Key::new(flow.seen_as(), backend.server));
        let is_alone = |kind, key| self.flows.find(kind, key).is_none();
        let (client, seen_as) = (flow.client(), flow.seen_as());
        let silent = self.flows.detail(id).silent;
        let waits_beside = self.flows.elder(id).is_some();
        let ends = Ends { client, vip: flow.vip(), seen_as, backend: flow.backend };
        self.flows.is_sealed(id)
            && !waits_beside
            && ends.fit(PROTOCOL_UDP, here, &self.hosts)
            && is_reachable(&flow.back, here)
            && flow.progress.can_be()
            && (silent == NOBODY || usize::from(silent) < tables.backends.len())
            && flow.server_key() == server
            && flow.last_packet.is_due(here.now)
            && is_alone(KeyKind::Client, flow.client_key())
            && server.is_none_or(|key| is_alone(KeyKind::Server, key))
    }

    /// Claims the SNAT ports that transfers have. Answers where to go on with each address: the ports before may rest.
    pub(super) fn turns_left(&self, tables: &Tables) -> Vec<[Turn; 2]> {
        let flows = self.flows.scan(0..self.flows.capacity()).map(|id| {
            let flow = &self.flows[id];
            let begun = self.flows.detail(id).begun;
            let holder = Holder::Transfer(tables.backends[usize::from(flow.backend)].server);
            (begun, flow.backend, PROTOCOL_UDP, flow.seen_as(), holder)
        });
        let connections = self.connections.scan(0..self.connections.capacity()).map(|id| {
            let connection = &self.connections[id];
            let Connection { begun, backend, .. } = *connection;
            let server = connection.server();
            (begun, backend, server.protocol, server.near(), Holder::Connection(id))
        });
        let is_ours = |backend: BackendId| {
            backend != NO_BACKEND && matches!(tables.service_of(backend).mode, Mode::Snat(_))
        };
        let mut all: Vec<_> =
            flows.chain(connections).filter(|&(_, backend, ..)| is_ours(backend)).collect();
        all.sort_by_key(|(begun, ..)| begun.0);
        let mut turns = vec![[Turn::default(); 2]; self.snat.len()];
        for (_, _, protocol, Endpoint { host, port }, holder) in all {
            if let Some(id) = self.snat.iter().position(|&known| known == host) {
                let ports = tables.snat[id].of(protocol);
                ports.claim(port, self.worker);
                ports.note(port, holder);
                turns[id][kind(protocol)] = Turn::behind(port);
            }
        }
        turns
    }
}
