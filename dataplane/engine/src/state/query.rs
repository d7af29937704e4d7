//! Queries of an operator: transfers and connections, copied out a few at a time.

use super::{GLANCE, WorkerState};
use crate::flow::FlowId;
use crate::flow::connection::{Connection, NO_BACKEND, flag};
use crate::flow::query::{ConnectionView, FlowQuery, TransferView};
use crate::flow::transfer::Transfer;
use crate::snapshot::Snapshot;
use crate::types::id::ServiceId;
use crate::types::tick::Tick;
use std::net::{IpAddr, SocketAddr};

impl WorkerState {
    /// Goes on with a question for transfers; answers true when all have been looked at.
    pub fn answer(&self, query: &mut FlowQuery, snapshot: &Snapshot, now: Tick) -> bool {
        let upto = (query.cursor + GLANCE).min(self.transfers.capacity());
        for id in self.transfers.scan(query.cursor..upto) {
            let flow = &self.transfers[id];
            let of = snapshot[flow.backend].service;
            if query.service.is_some_and(|service| service != of)
                || query.client.is_some_and(|client| client != self.address(flow))
            {
                continue;
            }
            query.matching += 1;
            if query.found.len() < query.found.capacity() {
                query.found.push(self.view(id, of, now));
            }
        }
        self.answer_connections(query, query.cursor..upto, snapshot, now);
        query.cursor = upto;
        upto == self.transfers.capacity()
    }

    /// The client's address.
    pub fn address(&self, flow: &Transfer) -> IpAddr {
        self.hosts.socket_address(flow.client()).ip()
    }

    fn view(&self, id: FlowId, service: ServiceId, now: Tick) -> TransferView {
        let (flow, detail) = (&self.transfers[id], self.transfers.detail(id));
        let history = self.flow_log.of_transfer(id);
        TransferView {
            service,
            backend: flow.backend,
            client: self.hosts.socket_address(flow.client()),
            seen_as: self.hosts.socket_address(flow.seen_as()),
            tid: flow.tid(),
            state: flow.state,
            operation: flow.operation,
            file: detail.request.file().iter().copied().collect(),
            blocks: flow.blocks,
            blksize: detail.terms.blksize(),
            windowsize: detail.terms.windowsize(),
            size: detail.terms.size(),
            bytes: flow.bytes,
            age: now.since(detail.begun),
            idle: now.since(flow.last_packet),
            answer: history.answer,
            repeats: history.repeats,
            moves: history.moves,
            first_backend: history.first_backend,
            reason: history.reason,
        }
    }

    /// Goes on with a question for connections, over these places.
    fn answer_connections(
        &self,
        query: &mut FlowQuery,
        places: std::ops::Range<usize>,
        snapshot: &Snapshot,
        now: Tick,
    ) {
        for id in self.connections.scan(places) {
            let connection = &self.connections[id];
            let backend = Some(connection.backend).filter(|&backend| backend != NO_BACKEND);
            let service = backend.and_then(|id| snapshot.find_backend(id)).map(|one| one.service);
            let client = self.hosts.socket_address(connection.client().near());
            // An affinity is seen by the connections that made it.
            let is_shown = !connection.has(flag::AFFINITY) || connection.client().protocol == 0;
            if !is_shown
                || query.service.is_some_and(|asked| service != Some(asked))
                || query.client.is_some_and(|asked| asked != client.ip())
            {
                continue;
            }
            query.matching += 1;
            if query.connections.len() < query.connections.capacity() {
                query.connections.push(self.connection_view(connection, snapshot, now));
            }
        }
    }

    fn connection_view(
        &self,
        connection: &Connection,
        snapshot: &Snapshot,
        now: Tick,
    ) -> ConnectionView {
        let vip = snapshot[connection.vip()].address;
        let backend = Some(connection.backend).filter(|&backend| backend != NO_BACKEND);
        let client = self.hosts.socket_address(connection.client().near());
        let vip = SocketAddr::new(vip, connection.client().far_port());
        let server = match (backend, connection.server().far_host()) {
            (Some(backend), _) => {
                let backend = &snapshot[backend];
                let port = match connection.answers_seen() {
                    true => connection.server().far_port(),
                    false => connection.client().far_port(),
                };
                SocketAddr::new(backend.address, port)
            }
            (None, Some(host)) => self.hosts.socket_address(host),
            (None, None) => vip,
        };
        let seen_as = match connection.answers_seen() {
            true => self.hosts.socket_address(connection.seen_as()),
            false => client,
        };
        let [bytes_in, bytes_out] = connection.bytes();
        ConnectionView {
            backend,
            kind: connection.kind,
            protocol: connection.client().protocol,
            client,
            vip,
            seen_as,
            server,
            state: connection.state,
            bytes_in,
            bytes_out,
            age: now.since(connection.begun),
            idle: now.since(connection.last_packet),
        }
    }
}
