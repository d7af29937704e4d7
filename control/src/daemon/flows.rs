//! Lists of transfers and connections, from the workers' tables.

use super::{Daemon, protocol};
use crate::api::{Connection, Error, Flow, Flows, Which};
use engine::flow::query::{ConnectionView, FlowQuery, TransferView};
use engine::flow::state::{ConnectionKind, ConnectionState, Operation, TransferState};
use engine::types::tick::PER_SECOND;

/// A transfer or a connection.
enum Found {
    Transfer(TransferView),
    Connection(ConnectionView),
}

impl Found {
    fn of(answer: FlowQuery) -> impl Iterator<Item = Found> {
        let transfers = answer.found.into_iter().map(Found::Transfer);
        transfers.chain(answer.connections.into_iter().map(Found::Connection))
    }

    fn age(&self) -> u32 {
        match self {
            Found::Transfer(transfer) => transfer.age,
            Found::Connection(connection) => connection.age,
        }
    }
}

impl Daemon {
    pub(super) async fn flows(&self, which: Which) -> Result<Flows, Error> {
        let limit = super::limit(which.limit)?;
        let service = which.service.map(|name| self.service_id(&name)).transpose()?;
        let query = FlowQuery {
            service,
            client: which.client,
            found: vec![],
            connections: vec![],
            matching: 0,
            cursor: 0,
        };
        let answers = self.channels.flows(&query, limit).await?;
        let matching = answers.iter().map(|answer| answer.matching).sum();
        let mut found: Vec<Found> = answers.into_iter().flat_map(Found::of).collect();
        found.sort_by_key(Found::age);
        found.truncate(limit);
        let mut all = Flows { matching, flows: vec![], connections: vec![] };
        for one in &found {
            match one {
                Found::Transfer(transfer) => all.flows.push(self.flow(transfer)),
                Found::Connection(view) => all.connections.push(self.connection(view)),
            }
        }
        Ok(all)
    }

    fn flow(&self, transfer: &TransferView) -> Flow {
        let active = self.active();
        let service = &active.registry[transfer.service];
        let backend = &active.registry[transfer.backend].what;
        Flow {
            service: service.name.clone(),
            backend: backend.name.clone(),
            client: transfer.client,
            seen_as: transfer.seen_as,
            tid: transfer.tid,
            state: transfer_state(transfer.state).to_owned(),
            kind: match transfer.operation {
                Operation::Read => "read",
                Operation::Write => "write",
            }
            .to_owned(),
            file: String::from_utf8_lossy(&transfer.file).into_owned(),
            blocks: transfer.blocks,
            blksize: transfer.blksize,
            windowsize: transfer.windowsize,
            size: transfer.size,
            bytes: transfer.bytes,
            age: seconds(transfer.age),
            idle: seconds(transfer.idle),
            answer: transfer.answer.map(|millis| f64::from(millis) / 1000.0),
            repeats_client: transfer.repeats,
            moves: transfer.moves,
            first_backend: transfer.first_backend.map(|id| active.registry[id].what.name.clone()),
            why: transfer.reason.name().to_owned(),
        }
    }

    fn connection(&self, view: &ConnectionView) -> Connection {
        let active = self.active();
        let registry = &active.registry;
        let backend = view.backend.map(|id| &registry[id].what);
        let service = backend.map(|backend| &registry[backend.service()]);
        Connection {
            kind: match view.kind {
                ConnectionKind::Client => "client",
                ConnectionKind::Data => "data",
                ConnectionKind::Policy => "policy",
            }
            .to_owned(),
            service: service.map(|service| service.name.clone()),
            backend: backend.map(|backend| backend.name.clone()),
            protocol: protocol(view.protocol),
            client: view.client,
            vip: view.vip,
            seen_as: view.seen_as,
            server: view.server,
            state: connection_state(view.state).to_owned(),
            bytes_in: view.bytes_in,
            bytes_out: view.bytes_out,
            age: seconds(view.age),
            idle: seconds(view.idle),
        }
    }
}

/// The name of a transfer's state.
pub(super) fn transfer_state(state: TransferState) -> &'static str {
    match state {
        TransferState::Requested => "requested",
        TransferState::Established => "established",
        TransferState::Closing => "closing",
        TransferState::Completed => "completed",
    }
}

/// The name of a connection's state.
pub(super) fn connection_state(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Expected => "expected",
        ConnectionState::HalfOpen => "half-open",
        ConnectionState::Open => "open",
        ConnectionState::Closing => "closing",
        ConnectionState::Closed => "closed",
    }
}

fn seconds(ticks: u32) -> f64 {
    f64::from(ticks) / f64::from(PER_SECOND)
}
