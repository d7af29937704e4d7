//! Adoption of transfers and connections in their middle: another gate saw them begin, and the hash of their client's
//! address says where it has sent them. Anybody can send such a packet in another's name, so that it gets a row only where
//! one is free: nothing ends or makes way for it. At its backend, and among its client's connections, it is already: where
//! these limits are used up, its row counts in none.

use super::WorkerState;
use super::transfers;
use crate::alg::tftp::earlier::Earlier;
use crate::choose::candidates::Candidates;
use crate::choose::{Selection, SelectionRequest};
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, mark};
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
    /// Counts a packet that is to be adopted, and makes a row or not.
    ///
    /// # Errors
    ///
    /// Too many such packets come.
    pub fn check_adoption_rate(&mut self, makes_row: bool, env: &Env) -> Step<()> {
        let is_within = self.adoption_rate.allows(makes_row, env.now);
        if is_within { Ok(()) } else { Err(DropReason::AdoptionRate.into()) }
    }

    /// The backend that another gate has sent a flow of this client to: the one that the client would get now, even if
    /// that is full. The service [adopts](crate::snapshot::Snapshot::adopts).
    ///
    /// # Errors
    ///
    /// No backend can be had, or the worker has just started and would take the wrong one.
    pub fn backend_elsewhere(
        &mut self,
        client: IpAddr,
        service: ServiceId,
        env: &Env,
    ) -> Step<BackendId> {
        let family = usize::from(client.is_ipv6());
        let request = SelectionRequest { client, family, service, tftp: None };
        let choice = Selection::new(&request, env);
        let awaits = || choice.members().iter().any(|member| env.backend(member.id).is_awaited());
        if !self.adoption_rate.is_settled(awaits, env.now) {
            return Err(DropReason::AdoptionRate.into());
        }
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
        let mut flow = made(host);
        // After a restart, the row is only whole if its request is this one: none.
        flow.fingerprint = self.transfers.fingerprint(&[]);
        flow.is_over_limit = !env.backend(flow.backend).acquire();
        self.note_over_limit(flow.backend, flow.is_over_limit);
        let deadline = transfers::deadline(&flow, env.snapshot);
        let Ok(id) = self.transfers.insert(&flow, Earlier::NONE, &[], deadline) else {
            self.release_place(flow.backend, flow.is_over_limit, env);
            self.hosts.release(host);
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
        let (service, backend) = (env.backend(connection.backend).service, connection.backend);
        let host = self.hosts.intern(client).ok()?;
        let is_data = connection.kind == ConnectionKind::Data;
        let has_quota = self.has_quota(host, service, is_data, env);
        let is_over_limit = !(has_quota && env.backend(backend).acquire());
        self.note_over_limit(backend, is_over_limit);
        let tuples = Tuples::of_client(connection.client().with(host));
        let mut connection = Connection { tuples, ..connection };
        connection.mark(mark::OVER_LIMIT, is_over_limit);
        let Some(id) = self.insert_connection(&connection, SelectionReason::Adopted, env) else {
            self.release_place(backend, is_over_limit, env);
            self.hosts.release(host);
            return None;
        };
        self.counters.backend(backend).adopted.add(1);
        if !is_over_limit {
            self.count_in_quota(id, env);
        }
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

    /// Whether an adopted transfer would get a row.
    pub fn has_room_for_transfer(&self) -> bool {
        !self.transfers.is_full()
    }

    /// Whether an adopted connection would get a row.
    pub fn has_room_for_connection(&self) -> bool {
        !self.connections.is_full() && self.connections.expendable_for_stranger().is_none()
    }

    /// Releases what a transfer or connection of this backend holds there.
    pub fn release_place(&mut self, backend: BackendId, is_over_limit: bool, env: &Env) {
        if is_over_limit {
            self.over_limit[backend.index()] -= 1;
        } else {
            env.backend(backend).release();
        }
    }

    /// Counts a transfer or connection of an earlier process at its backend, even above the limit.
    pub fn restore_place(&mut self, backend: BackendId, is_over_limit: bool, env: &Env) {
        self.note_over_limit(backend, is_over_limit);
        let cap = env.backend(backend).cap.iter().filter(|_| !is_over_limit);
        cap.for_each(|cap| cap.take_over(1));
    }

    fn note_over_limit(&mut self, backend: BackendId, is_over_limit: bool) {
        self.over_limit[backend.index()] += u32::from(is_over_limit);
    }
}
