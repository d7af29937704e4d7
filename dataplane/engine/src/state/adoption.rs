//! Adoption of transfers and connections in their middle: another gate saw them begin, and the hash of their client's
//! address says where it has sent them. Anybody can send such a packet in another's name, so that it gets a row only where
//! there is room: nothing ends or makes way for it.

use super::WorkerState;
use super::{connections, transfers};
use crate::alg::tftp::earlier::Earlier;
use crate::choose::candidates::Candidates;
use crate::choose::{Selection, SelectionRequest};
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::connection::Connection;
use crate::flow::endpoint::HostId;
use crate::flow::state::ConnectionKind;
use crate::flow::transfer::Transfer;
use crate::flow::tuple::Tuples;
use crate::snapshot::Protocol;
use crate::state::flow_log::History;
use crate::types::drop_reason::DropReason;
use crate::types::id::{BackendId, ServiceId};
use crate::types::selection_reason::SelectionReason;
use crate::types::verdict::Step;
use std::net::IpAddr;
use wire::ip::PROTOCOL_TCP;

impl WorkerState {
    /// The backend that another gate has sent a flow of this client to: the one that the client would get now, even if
    /// that is full. The service [adopts](crate::snapshot::Snapshot::adopts).
    ///
    /// # Errors
    ///
    /// Too many packets come that are unknown here, or no backend can be had.
    pub fn backend_elsewhere(
        &mut self,
        client: IpAddr,
        service: ServiceId,
        env: &Env,
    ) -> Step<BackendId> {
        if !self.adoption_rate.allows(env.now) {
            return Err(DropReason::AdoptionRate.into());
        }
        let family = usize::from(client.is_ipv6());
        let request = SelectionRequest { client, family, service, tftp: None };
        let choice = Selection::new(&request, env);
        let candidates = Candidates::running(env);
        let last = choice.remembered(&self.choose, env.now);
        let last = last.filter(|&backend| candidates.has(backend));
        let cursor = choice.cursor_mut(&mut self.choose);
        let next = last.or_else(|| choice.next(&candidates, cursor, &self.counters));
        next.ok_or_else(|| candidates.why_none(choice.members()).into())
    }

    /// Enters an adopted transfer of this client, made for the client's host id.
    pub fn enter_adopted_transfer(
        &mut self,
        client: IpAddr,
        made: impl FnOnce(HostId) -> Transfer,
        env: &Env,
    ) -> Option<FlowId> {
        let host = self.hosts.intern(client).ok()?;
        let flow = made(host);
        let has_place = env.backend(flow.backend).acquire();
        let deadline = transfers::deadline(&flow, env.snapshot);
        let enter = || self.transfers.insert(&flow, Earlier::NONE, &[], deadline).ok();
        let Some(id) = has_place.then(enter).flatten() else {
            self.give_back(host, flow.backend, has_place, env);
            return None;
        };
        self.counters.of(&flow).adopted.add(1);
        *self.flow_log.transfer(id) = History::begun(self.clock, SelectionReason::Adopted);
        Some(id)
    }

    /// Enters an adopted connection of this client.
    pub fn enter_adopted_connection(
        &mut self,
        client: IpAddr,
        connection: Connection,
        env: &Env,
    ) -> Option<FlowId> {
        if self.connections.is_full() || self.connections.expendable_for_stranger().is_some() {
            return None;
        }
        let (service, backend) = (env.backend(connection.backend).service, connection.backend);
        let host = self.hosts.intern(client).ok()?;
        let is_data = connection.kind == ConnectionKind::Data;
        let has_place =
            self.has_quota(host, service, is_data, env) && env.backend(backend).acquire();
        let tuples = Tuples::of_client(connection.client().with(host));
        let connection = Connection { tuples, ..connection };
        let deadline = connections::deadline(&connection, env.snapshot);
        let enter = || self.connections.insert(&connection, deadline).ok();
        let Some(id) = has_place.then(enter).flatten() else {
            self.give_back(host, backend, has_place, env);
            return None;
        };
        self.counters.backend(backend).adopted.add(1);
        *self.flow_log.connection(id) = History::begun(self.clock, SelectionReason::Adopted);
        self.count_in_quota(id, env);
        self.bind_adopted(id, env);
        Some(id)
    }

    /// Binds the client of an adopted connection of FTP, as far as its data must follow.
    fn bind_adopted(&mut self, id: FlowId, env: &Env) {
        let connection = self.connections[id].clone();
        let Protocol::Ftp(_) = env.snapshot.service_of(connection.backend).protocol else { return };
        if connection.kind == ConnectionKind::Client {
            self.bind_control(id, env);
        } else if let Some(affinity) =
            self.affinity(connection.client().near().host, connection.vip(), PROTOCOL_TCP)
        {
            self.connections[id].parent = affinity;
            self.join(affinity, &connection);
        }
    }

    fn give_back(&mut self, host: HostId, backend: BackendId, has_place: bool, env: &Env) {
        self.hosts.release(host);
        if has_place {
            env.backend(backend).release();
        }
    }
}
