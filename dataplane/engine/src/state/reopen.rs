//! Another connection between the same two ends, in the same row.

use super::WorkerState;
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::connection::{Half, Turn, flag};
use crate::flow::state::ConnectionState;
use crate::state::flow_log::History;
use crate::types::end_reason::EndReason;
use wire::tcp::SeqNumber;

impl WorkerState {
    /// A connection is over, and the same row has another one between the same ends, which its opener has asked for.
    pub fn begin_again(&mut self, id: FlowId, env: &Env) {
        self.end_announced(id, env);
        let connection = &mut self.connections[id];
        self.sessions.leave(std::mem::take(&mut connection.session));
        let by_server = connection.has(flag::BY_SERVER);
        let mut halves = [Half::default(); 2];
        halves[usize::from(by_server)].next = SeqNumber(connection.again);
        connection.halves = halves;
        connection.flags &= flag::BY_SERVER | flag::BY_CLIENT_TUPLE | flag::BY_SERVER_TUPLE;
        connection.turn = Turn::None;
        if connection.is_counted() {
            let transfers = self.counters.backend(connection.backend);
            transfers.ended.add(1);
            transfers.of(EndReason::Replaced).add(1);
            transfers.started.add(1);
            let before = connection.clone();
            let history = *self.flow_log.connection(id);
            self.record_connection_end(&before, history, EndReason::Replaced, env);
            *self.flow_log.connection(id) = History::begun(self.clock, history.reason);
        }
        self.advance(id, ConnectionState::HalfOpen, env);
    }
}
