//! One worker's transfers, each found by what clients send and by what servers send. All memory is
//! taken at the start.

use super::by_backend::ByBackend;
use super::index::{FlowId, Index, NO_FLOW, Spot};
use super::key::{Key, KeyKind, Seed};
use super::lists::Lists;
use super::record::{Detail, Flow};
use super::store::Rows;
use super::view::State;
use super::wheel::Wheel;
use crate::alg::tftp::earlier::Earlier;
use crate::tables::{BackendId, ServerId};
use crate::tick::Tick;
use prefetch_index::prefetch_index;
use std::ops::{Index as At, IndexMut as AtMut};

mod beside;
mod seal;

/// The table. Flows are reached by index: `table[flow]`.
pub struct Table {
    index: Index,
    flows: Rows<Flow>,
    details: Rows<Detail>,
    lists: Lists,
    /// Those that are not assured and have a place at their backend.
    unassured: ByBackend,
    wheel: Wheel,
    seed: Seed,
}

/// Lists that a flow can be in: free; not assured, since its client has not shown that it hears its server; or closed,
/// after it was assured. A running one is in none.
const FREE: u32 = 0;
const UNASSURED: u32 = 1;
const CLOSED: u32 = 2;

/// Nothing more goes in: every flow is taken, or both buckets of a key are full.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

impl Table {
    /// A table over these rows, of so many backends. What stands in them already is not found until it is adopted.
    pub fn new(
        (flows, details): (Rows<Flow>, Rows<Detail>),
        backends: usize,
        seed: Seed,
        now: Tick,
    ) -> Table {
        let capacity = flows.len() as u32;
        let mut lists = Lists::new(capacity, 3);
        let free = (0..capacity).filter(|&id| !flows[id as usize].is_in_use());
        free.for_each(|flow| lists.append(FREE, flow));
        Table {
            index: Index::new(2 * capacity as usize),
            flows,
            details,
            lists,
            unassured: ByBackend::new(capacity, backends),
            wheel: Wheel::new(capacity, now),
            seed,
        }
    }

    /// Enters what an earlier process left in this row; it comes up at `deadline`.
    pub fn adopt(&mut self, id: FlowId, deadline: Tick) -> Result<(), Full> {
        self.enter(id)?;
        // What waited beside it is not taken over.
        self.details[id as usize].newcomer = NO_FLOW;
        self[id].progress.set_ambiguous(false);
        match (self[id].progress.is_assured(), self[id].state.is_over()) {
            (false, false) => self.renew(id),
            (false, true) => self.lists.append(UNASSURED, id),
            (true, false) => {}
            (true, true) => self.lists.append(CLOSED, id),
        }
        self.wheel.set(id, deadline);
        Ok(())
    }

    /// Frees a row that was not adopted.
    pub fn discard(&mut self, id: FlowId) {
        self.flows[id as usize] = Flow::FREE;
        self.lists.append(FREE, id);
    }

    /// Gives the rows back.
    pub fn leave(self) -> (Rows<Flow>, Rows<Detail>) {
        (self.flows, self.details)
    }

    /// Has the row found by its keys.
    fn enter(&mut self, id: FlowId) -> Result<(), Full> {
        let flow = &self.flows[id as usize];
        let client = self.hash(KeyKind::Client, flow.client_key());
        let server = flow.server_key().map(|key| self.hash(KeyKind::Server, key));
        if !self.index.insert(client, id) {
            return Err(Full);
        }
        if let Some(server) = server
            && !self.index.insert(server, id)
        {
            self.index.remove(client, id);
            return Err(Full);
        }
        Ok(())
    }

    /// Bytes of memory in all.
    pub fn size(&self) -> usize {
        let records = size_of_val(&*self.flows) + size_of_val(&*self.details);
        let lists = self.lists.size() + self.unassured.size();
        self.index.size() + records + lists + self.wheel.size()
    }

    /// The hash by which a key is found.
    #[inline]
    fn hash(&self, kind: KeyKind, key: Key) -> u64 {
        self.seed.hash(kind, key)
    }

    /// Where a key will be looked for.
    #[inline]
    pub fn expect(&self, kind: KeyKind, key: Key) -> Spot {
        self.index.expect(self.hash(kind, key))
    }

    /// The flow that most likely has the key expected there, or [`super::NO_FLOW`]: to be confirmed by
    /// [`Table::confirm`], when its memory has come.
    #[inline(always)]
    pub fn guess(&self, spot: Spot) -> FlowId {
        let id = self.index.guess(spot);
        prefetch_index(&*self.flows, id as usize);
        id
    }

    /// The flow that was guessed, if it is the one with that key.
    #[inline]
    pub fn confirm(&mut self, guess: FlowId, kind: KeyKind, key: Key) -> Option<&mut Flow> {
        self.flows.get_mut(guess as usize).filter(|flow| flow.is(kind, key))
    }

    /// A hash that tells one request from another.
    pub fn fingerprint(&self, request: &[u8]) -> u32 {
        self.seed.fingerprint(request)
    }

    /// The transfer that is found by this key.
    pub fn find(&self, kind: KeyKind, key: Key) -> Option<FlowId> {
        self.index.find(self.hash(kind, key), |flow| self[flow].is(kind, key))
    }

    /// Enters a transfer that has just been asked for by this request; it comes up at `deadline` unless moved. The caller
    /// has made sure that no other has one of its keys.
    pub fn insert(
        &mut self,
        flow: &Flow,
        earlier: Earlier,
        request: &[u8],
        deadline: Tick,
    ) -> Result<FlowId, Full> {
        self.make((flow, earlier, request), deadline, Table::enter)
    }

    /// Makes a row of this, which `enter` has be found.
    #[inline]
    fn make(
        &mut self,
        (flow, earlier, request): (&Flow, Earlier, &[u8]),
        deadline: Tick,
        enter: impl FnOnce(&mut Table, FlowId) -> Result<(), Full>,
    ) -> Result<FlowId, Full> {
        let id = self.write(flow, earlier, request)?;
        if let Err(full) = enter(self, id) {
            self.flows[id as usize] = Flow::FREE;
            return Err(full);
        }
        self.wait(id, deadline);
        Ok(id)
    }

    /// Writes a free row.
    #[inline]
    fn write(&mut self, flow: &Flow, earlier: Earlier, request: &[u8]) -> Result<FlowId, Full> {
        let id = self.lists.first(FREE).ok_or(Full)?;
        self.flows[id as usize].clone_from(flow);
        self.details[id as usize].begin(request, earlier, flow.last_packet);
        self.seal(id);
        Ok(id)
    }

    /// The row waits for its server.
    #[inline]
    fn wait(&mut self, id: FlowId, deadline: Tick) {
        self.lists.append(UNASSURED, id);
        self.unassured.add(id, self[id].backend);
        self.wheel.set(id, deadline);
    }

    fn leave_index(&mut self, id: FlowId) {
        let (client, server) = (self[id].client_key(), self[id].server_key());
        self.index.remove(self.hash(KeyKind::Client, client), id);
        if let Some(server) = server {
            self.index.remove(self.hash(KeyKind::Server, server), id);
        }
    }

    /// The server has answered from this port.
    pub fn learn(&mut self, id: FlowId, tid: u16, now: Tick) {
        self[id].learn(tid);
        self.details[id as usize].answered = now;
    }

    /// The client has shown that it hears its server: the transfer makes room for no other one.
    pub fn assure(&mut self, id: FlowId) {
        if !self[id].state.is_over() {
            self.lists.remove(id);
            self.unassured.remove(id, self[id].backend);
        }
    }

    /// The client has not shown that, but it is as likely to be there as that of any younger request.
    pub fn renew(&mut self, id: FlowId) {
        if !self[id].state.is_over() {
            let backend = self[id].backend;
            self.lists.append(UNASSURED, id);
            self.unassured.remove(id, backend);
            self.unassured.add(id, backend);
        }
    }

    /// The transfer has ended, but is kept for late packets until `deadline`.
    pub fn close(&mut self, id: FlowId, deadline: Tick) {
        self[id].state = State::Closing;
        self.unassured.remove(id, self[id].backend);
        if self[id].progress.is_assured() {
            self.lists.append(CLOSED, id);
        }
        self.wheel.set(id, deadline);
    }

    /// Frees the flow's place; answers what stood there.
    pub fn remove(&mut self, id: FlowId) -> Flow {
        self.leave_index(id);
        if let Some(elder) = self.elder(id) {
            self.details[elder as usize].newcomer = NO_FLOW;
            self[elder].progress.set_ambiguous(false);
        }
        if let Some(newcomer) = self.newcomer(id) {
            self.details[newcomer as usize].elder = NO_FLOW;
        }
        let flow = std::mem::replace(&mut self.flows[id as usize], Flow::FREE);
        self.unassured.remove(id, flow.backend);
        self.wheel.cancel(id);
        self.lists.append(FREE, id);
        flow
    }

    /// The transfer goes on at another server. The caller has made sure that no other has its key; fails when
    /// there is no place for that one, and the transfer is found by its client's alone.
    pub fn move_to(
        &mut self,
        id: FlowId,
        backend: BackendId,
        server: ServerId,
    ) -> Result<(), Full> {
        let before = self.hash(KeyKind::Server, self[id].server_key().ok_or(Full)?);
        self.index.remove(before, id);
        if self.unassured.remove(id, self[id].backend) {
            self.unassured.add(id, backend);
        }
        self[id].move_to(backend, server);
        self.details[id as usize].earlier = Earlier::NONE;
        self.seal(id);
        let after = self.hash(KeyKind::Server, self[id].server_key().ok_or(Full)?);
        if self.index.insert(after, id) { Ok(()) } else { Err(Full) }
    }

    /// Whether every flow is taken.
    pub fn is_full(&self) -> bool {
        self.lists.first(FREE).is_none()
    }

    /// What to forget first: the oldest one that is not assured, whatever its server says and also when it is over; else
    /// the one that ended longest ago; never a running one.
    pub fn expendable(&self) -> Option<FlowId> {
        self.lists.first(UNASSURED).or_else(|| self.lists.first(CLOSED))
    }

    /// Those that are not assured and have a place at their backend.
    pub fn unassured(&self) -> &ByBackend {
        &self.unassured
    }

    /// A flow whose deadline has come.
    pub fn due(&mut self, now: Tick) -> Option<FlowId> {
        self.wheel.due(now)
    }

    /// Has the flow come up again at `deadline`.
    pub fn rearm(&mut self, id: FlowId, deadline: Tick) {
        self.wheel.set(id, deadline);
    }

    /// The cold part of a flow.
    pub fn detail(&self, id: FlowId) -> &Detail {
        &self.details[id as usize]
    }

    /// A flow and its cold part.
    #[inline]
    pub fn both(&mut self, id: FlowId) -> (&mut Flow, &mut Detail) {
        (&mut self.flows[id as usize], &mut self.details[id as usize])
    }

    /// The flow at this place, if there is one.
    pub fn get(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(id as usize).filter(|flow| flow.is_in_use())
    }

    /// The flows at these places that are in use.
    pub fn scan(&self, places: std::ops::Range<usize>) -> impl Iterator<Item = FlowId> {
        places.map(|place| place as FlowId).filter(|&id| self[id].is_in_use())
    }

    /// Places for flows, used and free.
    pub fn capacity(&self) -> usize {
        self.flows.len()
    }
}

impl At<FlowId> for Table {
    type Output = Flow;

    #[inline]
    fn index(&self, id: FlowId) -> &Flow {
        &self.flows[id as usize]
    }
}

impl AtMut<FlowId> for Table {
    #[inline]
    fn index_mut(&mut self, id: FlowId) -> &mut Flow {
        &mut self.flows[id as usize]
    }
}

#[cfg(test)]
mod tests;
