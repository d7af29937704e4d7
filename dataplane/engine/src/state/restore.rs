//! Warm restart: the transfers and connections that an earlier process has left go on. Rows that are torn, or don't fit
//! the configuration, are freed.

mod connections;
mod fit;

use super::WorkerState;
use super::transfers::deadline;
use crate::context::Env;
use crate::counters::Counters;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, NO_BACKEND};
use crate::flow::endpoint::{Endpoint, HostId};
use crate::flow::hash::Seed;
use crate::flow::key::Key;
use crate::flow::new_hop::NewHop;
use crate::flow::port_allocator::{Holder, Turn, Turns};
use crate::flow::store::Store;
use crate::flow::transfer::NOBODY;
use crate::mode::rules;
use crate::snapshot::Snapshot;
use crate::types::direction::KeyKind;
use crate::types::id::BackendId;
use crate::types::mode::Mode;
use crate::types::tick::Tick;
use fit::{Ends, is_reachable};
use std::cmp::Reverse;
use std::sync::Arc;
use wire::ip::PROTOCOL_UDP;

/// The outcome of a restore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Transfers and connections that go on.
    pub whole: usize,
    /// Rows that were freed.
    pub broken: usize,
}

impl WorkerState {
    /// The state of worker `worker` of `workers`, with its transfers in this store. Those that an earlier process has
    /// left there at the time `now` go on.
    pub fn new(
        numbers: (u16, u16),
        store: Store,
        snapshot: &Snapshot,
        seed: Seed,
        counters: Arc<Counters>,
        now: Tick,
    ) -> (WorkerState, Adopted) {
        let mut state = WorkerState::empty(numbers, store, snapshot, seed, counters, now);
        let env = state.env(snapshot, now);
        let adopted = state.adopt(&env);
        state.hosts.tidy();
        let hosts = snapshot.snat.iter().map(|one| state.hosts.intern(one.address));
        state.snat.hosts = hosts.map(|entered| entered.unwrap_or(HostId::NOBODY)).collect();
        state.snat.tenants = vec![0; snapshot.snat.len()];
        state.snat.turns = state.turns_left(snapshot);
        (state, adopted)
    }

    /// Takes over what lies in the table's rows. Before anything else is entered.
    pub fn adopt(&mut self, env: &Env) -> Adopted {
        let inherited = |counters: &Counters| -> Vec<u64> {
            counters.backends.iter().map(|set| set.inherited.value()).collect()
        };
        let before = inherited(&self.counters);
        let mut elsewhere = vec![0; before.len()];
        let adopted = self.adopt_rows(&mut elsewhere, env);
        let flows =
            inherited(&self.counters).into_iter().zip(before).map(|(now, before)| now - before);
        let sets = self.counters.backends.iter().zip(flows.zip(elsewhere));
        sets.for_each(|(set, (flows, elsewhere))| set.restore(flows, elsewhere));
        adopted
    }

    /// Takes over rows; counts those in `elsewhere`, by backend, that only another gate goes on with.
    fn adopt_rows(&mut self, elsewhere: &mut [u64], env: &Env) -> Adopted {
        let mut adopted = Adopted::default();
        let mut rows: Vec<FlowId> = self.transfers.scan(0..self.transfers.capacity()).collect();
        // The oldest ones are to make room first, as before.
        rows.sort_by_key(|&id| Reverse(env.now.since(self.transfers.detail(id).begun)));
        for &id in &rows {
            if self.adopt_one(id, env) {
                adopted.whole += 1;
            } else {
                self.transfers.discard(id);
                adopted.broken += 1;
            }
        }
        let connections = self.adopt_connections(elsewhere, env);
        adopted.whole += connections.whole;
        adopted.broken += connections.broken;
        adopted
    }

    /// Gives the memory back, with all that lies in it: what a process leaves.
    pub fn leave(self) -> Store {
        let (transfers, details) = self.transfers.leave();
        let connections = self.connections.leave();
        Store { transfers, details, connections, named: self.hosts.into_rows() }
    }

    fn adopt_one(&mut self, id: FlowId, env: &Env) -> bool {
        if !self.is_sound(id, env) {
            return false;
        }
        let flow = self.transfers[id].clone();
        let [client, seen_as] = [flow.client().host, flow.seen_as().host];
        if !self.hosts.adopt(client) {
            return false;
        }
        // Of an address of ours, which has its name as long as we have it.
        let is_ours = flow.answers_seen() && seen_as != client;
        if is_ours && !self.hosts.adopt(seen_as) {
            self.hosts.forget(client);
            return false;
        }
        if self.transfers.adopt(id, deadline(&flow, env.snapshot)).is_err() {
            self.hosts.forget(client);
            if is_ours {
                self.hosts.forget(seen_as);
            }
            return false;
        }
        if !flow.state.is_over() {
            self.counters.of(&flow).inherited.add(1);
            self.restore_place(flow.backend, flow.is_over_limit, env);
        }
        let detail = self.transfers.both(id).1;
        // No seal covers that next hop, and its interface may be none of ours.
        detail.new_hop = NewHop::NONE;
        if flow.needs_failover() {
            detail.takeover.queued = 0;
            self.queue_originate(id);
            self.originate_queue.watch(id);
        }
        true
    }

    /// Whether the row is whole, of this time, and of a transfer that nobody else has.
    fn is_sound(&self, id: FlowId, env: &Env) -> bool {
        let (flow, snapshot) = (&self.transfers[id], env.snapshot);
        let Some(backend) = snapshot.find_backend(flow.backend) else { return false };
        let sees_answers = rules(&snapshot.service_of(flow.backend).mode).answers_seen();
        let server = sees_answers.then(|| Key::of_server(flow.seen_as(), backend.server));
        let is_alone = |kind, key| self.transfers.find(kind, key).is_none();
        let (client, seen_as) = (flow.client(), flow.seen_as());
        let silent = self.transfers.detail(id).silent;
        let waits_beside = self.transfers.elder(id).is_some();
        let ends = Ends { client, vip: flow.vip(), seen_as, backend: flow.backend };
        self.transfers.is_sealed(id)
            && !waits_beside
            && ends.fit(PROTOCOL_UDP, env, &self.hosts)
            && is_reachable(&flow.back, env)
            && flow.progress.can_be()
            && (silent == NOBODY || usize::from(silent) < snapshot.backends.len())
            && flow.server_key() == server
            && flow.last_packet.is_due(env.now)
            && is_alone(KeyKind::Client, flow.client_key())
            && server.is_none_or(|key| is_alone(KeyKind::Server, key))
    }

    /// Claims the SNAT ports that transfers have. Answers where to go on with each address: the ports before may rest.
    pub(super) fn turns_left(&self, snapshot: &Snapshot) -> Vec<Turns> {
        let transfers = self.transfers.scan(0..self.transfers.capacity()).map(|id| {
            let flow = &self.transfers[id];
            let begun = self.transfers.detail(id).begun;
            let holder = Holder::Transfer(snapshot[flow.backend].server);
            (begun, flow.backend, PROTOCOL_UDP, [flow.client(), flow.seen_as()], holder)
        });
        let connections = self.connections.scan(0..self.connections.capacity()).map(|id| {
            let connection = &self.connections[id];
            let Connection { begun, backend, .. } = *connection;
            let (client, server) = (connection.client().near(), connection.server());
            (begun, backend, server.protocol, [client, server.near()], Holder::Connection(id))
        });
        let is_ours = |backend: BackendId| {
            backend != NO_BACKEND && matches!(snapshot.service_of(backend).mode, Mode::Snat(_))
        };
        let mut all: Vec<_> =
            transfers.chain(connections).filter(|&(_, backend, ..)| is_ours(backend)).collect();
        all.sort_by_key(|(begun, ..)| begun.0);
        let mut turns = vec![Turns::default(); self.snat.hosts.len()];
        for (_, _, protocol, [client, Endpoint { host, port }], holder) in all {
            if let Some(id) = self.snat.hosts.iter().position(|&known| known == host) {
                let entry = self.hosts.rss_entry(client.host);
                let ports = snapshot.snat[id].of(protocol);
                ports.claim(port, entry);
                ports.note(port, holder);
                *turns[id].of(protocol, entry) = Turn::behind(port);
            }
        }
        turns
    }
}
