//! What an earlier process has left: its transfers go on. Rows that are torn, or don't fit what is configured
//! now, are freed.

mod connections;
mod fit;

use super::Own;
use super::transfers::deadline;
use crate::flow::FlowId;
use crate::flow::connection::NO_BACKEND;
use crate::flow::key::{Key, KeyKind};
use crate::flow::ports::Ports;
use crate::flow::record::NOBODY;
use crate::flow::store::Store;
use crate::here::Here;
use crate::mode::rules;
use crate::tables::{Mode, Tables};
use crate::tick::Tick;
use fit::{Ends, is_reachable};
use std::cmp::Reverse;

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
        if flow.is_in_need() {
            self.flows.both(id).1.catch_up.queued = 0;
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
            && ends.fit(here, &self.hosts)
            && is_reachable(&flow.back, here)
            && flow.progress.can_be()
            && (silent == NOBODY || usize::from(silent) < tables.backends.len())
            && flow.server_key() == server
            && flow.last_packet.is_due(here.now)
            && is_alone(KeyKind::Client, flow.client_key())
            && server.is_none_or(|key| is_alone(KeyKind::Server, key))
    }

    /// The SNAT ports that transfers don't have, by address.
    pub(super) fn free_ports(&self, tables: &Tables) -> Vec<Ports> {
        let flows = self.flows.scan(0..self.flows.capacity()).map(|id| {
            let flow = &self.flows[id];
            (flow.backend, flow.seen_as(), self.flows.detail(id).begun)
        });
        let connections = self.connections.scan(0..self.connections.capacity()).map(|id| {
            let connection = &self.connections[id];
            (connection.backend, connection.seen_as(), connection.begun)
        });
        let mut taken: Vec<(Tick, usize, u16)> = vec![];
        for (backend, seen_as, begun) in flows.chain(connections) {
            let is_ours =
                backend != NO_BACKEND && matches!(tables.service_of(backend).mode, Mode::Snat(_));
            if is_ours && let Some(place) = self.snat.iter().position(|&host| host == seen_as.host)
            {
                taken.push((begun, place, seen_as.port));
            }
        }
        taken.sort_by_key(|&(begun, ..)| begun.0);
        let of = |place| taken.iter().filter(move |one| one.1 == place).map(|one| one.2);
        (0..self.snat.len())
            .map(|place| Ports::without(self.worker, self.workers, &of(place).collect::<Vec<_>>()))
            .collect()
    }
}
