//! The most connections that a client may have at a service: a client that has as many gets one more only in the place of one of
//! its own that has said nothing.

use super::WorkerState;
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag};
use crate::flow::endpoint::HostId;
use crate::flow::quotas::account;
use crate::flow::state::{ConnectionKind, ConnectionState};
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::id::ServiceId;
use crate::types::mode::Mode;
use crate::types::tick::PER_SECOND;
use crate::types::verdict::Step;

/// As many of a client's own that have said something are found to have done so at a time. Each is found once.
const MANY: usize = 256;

/// Ticks that an open connection's client has to say something: servers greet first, some after they have asked for its
/// name.
const GREETING: u32 = 10 * PER_SECOND;

impl WorkerState {
    /// Whether a client may have one more connection to this service, or one more for data; of its own that are not
    /// assured, or have said nothing, one makes room.
    ///
    /// # Errors
    ///
    /// The client has as many as it may have.
    pub fn check_quota(
        &mut self,
        client: HostId,
        service: ServiceId,
        is_data: bool,
        env: &Env,
    ) -> Step<()> {
        if self.has_quota(client, service, is_data, env) {
            return Ok(());
        }
        let account = account(client, service, is_data);
        if let Some(unassured) = self.quotas.unassured(account) {
            self.end_connection(unassured, EndReason::Evicted, env);
            return Ok(());
        }
        for _ in 0..MANY {
            let Some(id) = self.quotas.quiet(account) else { break };
            if !self.is_speechless(id) {
                self.quotas.speaks(id);
            } else if env.now.since(self.connections[id].last_packet) >= GREETING {
                self.end_connection(id, EndReason::Evicted, env);
                return Ok(());
            } else {
                break;
            }
        }
        self.counters.service(service).connections.add(1);
        Err(DropReason::ClientFull.into())
    }

    /// Whether a client has fewer connections to this service, or fewer for data, than it may have.
    pub fn has_quota(&self, client: HostId, service: ServiceId, is_data: bool, env: &Env) -> bool {
        let most = env.snapshot[service].access.max_connections;
        most.is_none_or(|most| self.quotas.count(account(client, service, is_data)) < most)
    }

    /// The connection, which was just entered, counts.
    pub fn count_in_quota(&mut self, id: FlowId, env: &Env) {
        let connection = &self.connections[id];
        let service = env.backend(connection.backend).service;
        if env.snapshot[service].access.max_connections.is_some() {
            let is_data = connection.kind == ConnectionKind::Data;
            let client = connection.client().near().host;
            self.quotas.enter(id, account(client, service, is_data));
        }
    }

    /// Connections that an earlier process has left count again: those that their clients have opened, and were not asked
    /// to.
    pub(super) fn count_again(&mut self, id: FlowId, env: &Env) {
        let Some(connection) = self.connections.get(id) else { return };
        let is_data = connection.kind == ConnectionKind::Data;
        let is_by_client = !connection.has(flag::AFFINITY | flag::BY_SERVER)
            && !connection.is_over_limit()
            && connection.is_counted()
            && (!is_data || is_unannounced(connection, env));
        if is_by_client {
            self.count_in_quota(id, env);
            if !self.connections[id].is_unassured() {
                self.quotas.speaks(id);
            }
        }
    }

    /// Whether an open connection's client has said nothing: of FTP that is read, whether it has not logged in; of a
    /// connection for data nobody expects it to.
    fn is_speechless(&self, id: FlowId) -> bool {
        let connection = &self.connections[id];
        if connection.has(flag::READ) {
            return self.sessions.is_quiet(connection.session);
        }
        connection.client().is_tcp()
            && connection.kind == ConnectionKind::Client
            && connection.state == ConnectionState::Open
            && connection.halves[0].next == self.quotas.first(id)
    }
}

/// Whether a connection for data is of those that nobody reads the announcement of.
fn is_unannounced(data: &Connection, env: &Env) -> bool {
    let owner = env.snapshot[data.vip()].passive_owner(data.client().far_port());
    env.snapshot.service_of(data.backend).mode == Mode::Dsr || owner.is_some()
}
