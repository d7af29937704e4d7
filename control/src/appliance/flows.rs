//! Rows of the workers' tables: transfers and connections.

use super::{Appliance, protocol};
use crate::api::{Connection, Error, Flow, Flows, Which};
use engine::flow::view::{
    ConnectionKind, ConnectionView, FlowQuery, Kind, Stage, State, TransferView,
};
use engine::tick::PER_SECOND;

/// One of either.
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

impl Appliance {
    pub(super) async fn flows(&self, which: Which) -> Result<Flows, Error> {
        let limit = super::limit(which.limit)?;
        let service = which.service.map(|name| self.service_id(&name)).transpose()?;
        let question = FlowQuery {
            service,
            client: which.client,
            found: vec![],
            connections: vec![],
            matching: 0,
            cursor: 0,
        };
        let answers = self.desks.ask(&question, limit).await?;
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
        let in_force = self.in_force();
        let service = &in_force.registry.services()[usize::from(transfer.service)];
        let backend = &in_force.registry.backends()[usize::from(transfer.backend)].what;
        Flow {
            service: service.name.clone(),
            backend: backend.name.clone(),
            client: transfer.client,
            seen_as: transfer.seen_as,
            tid: transfer.tid,
            state: match transfer.state {
                State::Requested => "requested",
                State::Established => "established",
                State::Closing => "closing",
                State::Completed => "completed",
            }
            .to_owned(),
            kind: match transfer.kind {
                Kind::Read => "read",
                Kind::Write => "write",
            }
            .to_owned(),
            file: String::from_utf8_lossy(&transfer.file).into_owned(),
            blocks: transfer.blocks,
            bytes: transfer.bytes,
            age: seconds(transfer.age),
            idle: seconds(transfer.idle),
        }
    }

    fn connection(&self, view: &ConnectionView) -> Connection {
        let in_force = self.in_force();
        let registry = &in_force.registry;
        let backend = view.backend.map(|id| &registry.backends()[usize::from(id)].what);
        let service = backend.map(|backend| &registry.services()[usize::from(backend.service)]);
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
            state: match view.stage {
                Stage::Expected => "expected",
                Stage::HalfOpen => "half-open",
                Stage::Open => "open",
                Stage::Closing => "closing",
                Stage::Closed => "closed",
            }
            .to_owned(),
            bytes_in: view.bytes_in,
            bytes_out: view.bytes_out,
            age: seconds(view.age),
            idle: seconds(view.idle),
        }
    }
}

fn seconds(ticks: u32) -> f64 {
    f64::from(ticks) / f64::from(PER_SECOND)
}
