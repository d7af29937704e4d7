//! Endpoints that a control connection has announced, and that are waited for: four at the most, so a client that may have
//! so many connections has four times as many. They end with their control connection, and the oldest one first.

use super::WorkerState;
use super::connections::deadline;
use crate::context::Env;
use crate::flow::connection::{ANNOUNCED, Connection, flag, mark};
use crate::flow::endpoint::Endpoint;
use crate::flow::state::{ConnectionKind, ConnectionState};
use crate::flow::tuple::Tuple;
use crate::flow::{FlowId, NO_FLOW};
use crate::types::end_reason::EndReason;
use arrayvec::ArrayVec;

/// Some of these.
type Announced = ArrayVec<FlowId, ANNOUNCED>;

impl WorkerState {
    /// A control connection has announced this one. It is the oldest one's turn to end, and that of those that have come
    /// once: their servers have opened another one.
    pub fn note_announced(&mut self, id: FlowId, env: &Env) {
        let parent = self.connections[id].parent;
        let oldest = self.connections[parent].announced[ANNOUNCED - 1];
        let outdated = self.announced_by(parent).filter(|&one| {
            let is_reached = self.connections[one].has_mark(mark::REACHED);
            one != id && (one == oldest || is_reached)
        });
        for one in outdated.collect::<Announced>() {
            self.end_connection(one, EndReason::Replaced, env);
        }
        let announced = &mut self.connections[parent].announced;
        // One that is over may have had the same number.
        announced.iter_mut().filter(|one| **one == id).for_each(|one| *one = NO_FLOW);
        announced.rotate_right(1);
        announced[0] = id;
    }

    /// This connection is open, perhaps one that was waited for: until then anybody can have come in its client's name.
    /// Some clients open two at once, so another one may follow for a while.
    pub(super) fn note_reached(&mut self, id: FlowId, env: &Env) {
        let Some(expected) = self.expected_by(&self.connections[id]) else { return };
        let connection = &mut self.connections[expected];
        connection.mark(mark::REACHED, true);
        connection.last_packet = env.now;
        let deadline = deadline(connection, env.snapshot);
        self.connections.rearm(expected, deadline);
    }

    /// Where a client's connection for data was waited for.
    fn expected_by(&self, data: &Connection) -> Option<FlowId> {
        let client = data.client();
        let any_port = Endpoint { port: 0, ..client.near() };
        let tuple = Tuple::at_vip(any_port, data.vip(), client.far_port(), client.protocol);
        let is_by_client = data.kind == ConnectionKind::Data && !data.has(flag::BY_SERVER);
        let expected = self.connections.find(&tuple).filter(|_| is_by_client)?;
        (self.connections[expected].state == ConnectionState::Expected).then_some(expected)
    }

    /// Nothing that this connection has announced is waited for any more.
    pub fn end_announced(&mut self, id: FlowId, env: &Env) {
        for one in self.announced_by(id).collect::<Announced>() {
            self.end_connection(one, EndReason::Replaced, env);
        }
    }

    /// Endpoints that this connection has announced and that are waited for; any other row may have the number by now.
    pub fn announced_by(&self, id: FlowId) -> impl Iterator<Item = FlowId> {
        let announced = self.connections[id].announced;
        announced.into_iter().filter(move |&one| {
            let known = self.connections.get(one);
            known
                .is_some_and(|known| known.state == ConnectionState::Expected && known.parent == id)
        })
    }

    /// Whether this one, which is waited for, is the latest one of its control connection, and has never come.
    pub fn is_latest_announced(&self, id: FlowId) -> bool {
        let connection = &self.connections[id];
        let control = self.connections.get(connection.parent);
        control.is_some_and(|control| control.announced[0] == id)
            && !connection.has_mark(mark::REACHED)
    }
}
