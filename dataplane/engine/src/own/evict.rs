//! What makes room for others: transfers and connections whose clients have not shown that they hear their servers.
//! Anybody can have them made in another's name, so they keep nobody out. The oldest goes first; nobody is told.

use super::Own;
use crate::alg::End;
use crate::flow::FlowId;
use crate::here::Here;
use crate::tables::{BackendId, Mode};

/// Ticks that a transfer's ends have to hear each other: one at the least, as its request may have come at the end of
/// its tick. Whoever is turned away meanwhile asks again.
const HEARING: u32 = 2;

/// As many of a backend's are looked at to find one with a certain address.
const FEW: usize = 64;

impl Own {
    /// The oldest transfer of these backends whose client was not heard.
    pub fn oldest_transfer(&self, backends: impl Iterator<Item = BackendId>) -> Option<FlowId> {
        self.flows.unassured().oldest(backends)
    }

    /// The oldest connection of these backends that is not assured.
    pub fn oldest_connection(&self, backends: impl Iterator<Item = BackendId>) -> Option<FlowId> {
        self.connections.unassured().oldest(backends)
    }

    /// Some of a backend's oldest connections that are not assured.
    pub fn unassured_connections(
        &self,
        backends: impl Iterator<Item = BackendId>,
    ) -> impl Iterator<Item = FlowId> {
        backends.flat_map(|backend| self.connections.unassured().of(backend).take(FEW))
    }

    /// The oldest transfer or connection of these backends, all of one service, gives up its place if its client was
    /// not heard. Answers whether there was one. A transfer keeps its place for some time in any case: otherwise all
    /// clients of a farm that boot at once would have their requests sent on, however few its servers can bear.
    pub fn make_room(
        &mut self,
        backends: impl Iterator<Item = BackendId> + Clone,
        here: &Here,
    ) -> bool {
        if let Some(id) = self.oldest_transfer(backends.clone()) {
            let is_due = here.now.since(self.flows.detail(id).begun) >= HEARING;
            if is_due {
                self.end(id, End::Evicted, here);
            }
            return is_due;
        }
        let connection = self.oldest_connection(backends);
        connection.into_iter().for_each(|id| self.end_connection(id, End::Evicted, here));
        connection.is_some()
    }
}

/// The backends of all services of this mode, which share its pool.
pub fn backends_in<'a>(
    mode: &'a Mode,
    here: &'a Here,
) -> impl Iterator<Item = BackendId> + Clone + 'a {
    let mode_of = |service: u16| &here.tables.services[usize::from(service)].mode;
    let all = (0..).zip(&here.tables.backends);
    all.filter(move |(_, backend)| mode_of(backend.service) == mode).map(|(id, _)| id)
}
