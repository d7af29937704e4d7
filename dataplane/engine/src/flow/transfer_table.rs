//! The transfer table of a worker. Each transfer is found by the client's key and by the server's. All memory is
//! allocated at the start.

use super::by_backend::ByBackend;
use super::hash::Seed;
use super::hash_index::{BucketRef, FlowId, Index, NO_FLOW};
use super::key::Key;
use super::lists::Lists;
use super::rows::Rows;
use super::state::TransferState;
use super::timer_wheel::Wheel;
use super::transfer::{Detail, Transfer};
use crate::alg::tftp::earlier::Earlier;
use crate::types::direction::KeyKind;
use crate::types::id::{BackendId, ServerId};
use crate::types::tick::Tick;
use prefetch_index::prefetch_index;
use std::ops::{Index as At, IndexMut as AtMut};

mod beside;
mod seal;

/// The transfer table. Flows are indexed by id: `table[flow]`.
pub struct TransferTable {
    index: Index,
    transfers: Rows<Transfer>,
    details: Rows<Detail>,
    lists: Lists,
    /// Unassured transfers that count against their backend's limit.
    unassured: ByBackend,
    wheel: Wheel,
    seed: Seed,
    in_use: u32,
}

/// Lists of flows: free; unassured, whose client has not shown that it hears its server; closed after being assured. A
/// running flow is in none.
const FREE: u32 = 0;
const UNASSURED: u32 = 1;
const CLOSED: u32 = 2;

/// Error: no row is free, or both buckets of a key are full.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

impl TransferTable {
    /// A table over these rows and `backends` backends. Saved rows are found only after [`TransferTable::adopt`].
    pub fn new(
        (transfers, details): (Rows<Transfer>, Rows<Detail>),
        backends: usize,
        seed: Seed,
        now: Tick,
    ) -> TransferTable {
        let capacity = transfers.len() as u32;
        let mut lists = Lists::new(capacity, 3);
        let free = (0..capacity).filter(|&id| !transfers[id as usize].is_in_use());
        let mut in_use = capacity;
        free.for_each(|flow| {
            lists.append(FREE, flow);
            in_use -= 1;
        });
        TransferTable {
            in_use,
            index: Index::new(2 * capacity as usize),
            transfers,
            details,
            lists,
            unassured: ByBackend::new(capacity, backends),
            wheel: Wheel::new(capacity, now),
            seed,
        }
    }

    /// Enters a saved row; its deadline is `deadline`.
    pub fn adopt(&mut self, id: FlowId, deadline: Tick) -> Result<(), Full> {
        self.enter(id)?;
        // A transfer that waited beside this one is not restored.
        self.details[id as usize].newcomer = NO_FLOW;
        self[id].progress.set_ambiguous(false);
        let is_assured = self[id].progress.is_assured() && !self[id].is_over_limit;
        match (is_assured, self[id].state.is_over()) {
            (false, false) => self.renew(id),
            (false, true) => self.lists.append(UNASSURED, id),
            (true, false) => {}
            (true, true) => self.lists.append(CLOSED, id),
        }
        self.wheel.set(id, deadline);
        Ok(())
    }

    /// Enters a transfer that another gate has told of. No other transfer may have one of its keys.
    pub fn insert_synced(
        &mut self,
        flow: &Transfer,
        detail: &Detail,
        deadline: Tick,
    ) -> Result<FlowId, Full> {
        let id = self.lists.first(FREE).ok_or(Full)?;
        self.transfers[id as usize].clone_from(flow);
        self.details[id as usize].clone_from(detail);
        self.seal(id);
        self.lists.remove(id);
        if let Err(full) = self.adopt(id, deadline) {
            self.transfers[id as usize] = Transfer::FREE;
            self.lists.append(FREE, id);
            return Err(full);
        }
        self.in_use += 1;
        Ok(id)
    }

    /// A digest of the transfer, without its progress; never 0.
    pub fn digest(&self, id: FlowId) -> u16 {
        self[id].digest(self.seed)
    }

    /// Frees a saved row that was not adopted.
    pub fn discard(&mut self, id: FlowId) {
        self.transfers[id as usize] = Transfer::FREE;
        self.lists.append(FREE, id);
        self.in_use -= 1;
    }

    /// Returns the rows.
    pub fn leave(self) -> (Rows<Transfer>, Rows<Detail>) {
        (self.transfers, self.details)
    }

    /// Enters the row into the index under its keys.
    fn enter(&mut self, id: FlowId) -> Result<(), Full> {
        let flow = &self.transfers[id as usize];
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

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        let records = size_of_val(&*self.transfers) + size_of_val(&*self.details);
        let lists = self.lists.size() + self.unassured.size();
        self.index.size() + records + lists + self.wheel.size()
    }

    /// The hash of a key.
    #[inline]
    fn hash(&self, kind: KeyKind, key: Key) -> u64 {
        self.seed.hash(kind, key)
    }

    /// Computes the bucket of a key and prefetches it.
    #[inline]
    pub fn locate(&self, kind: KeyKind, key: Key) -> BucketRef {
        self.index.locate(self.hash(kind, key))
    }

    /// The candidate for the key, or [`super::NO_FLOW`]; [`TransferTable::verify`] must confirm it when its memory has
    /// been loaded.
    #[inline(always)]
    pub fn candidate(&self, bucket: BucketRef) -> FlowId {
        let id = self.index.candidate(bucket);
        prefetch_index(&*self.transfers, id as usize);
        id
    }

    /// The candidate, if it has this key; otherwise the result of a full lookup.
    #[inline]
    pub fn verify(&mut self, candidate: FlowId, kind: KeyKind, key: Key) -> Option<&mut Transfer> {
        self.transfers.get_mut(candidate as usize).filter(|flow| flow.is(kind, key))
    }

    /// The fingerprint of a request.
    pub fn fingerprint(&self, request: &[u8]) -> u32 {
        self.seed.fingerprint(request)
    }

    /// The transfer with this key.
    pub fn find(&self, kind: KeyKind, key: Key) -> Option<FlowId> {
        self.index.find(self.hash(kind, key), |flow| self[flow].is(kind, key))
    }

    /// Enters a new transfer for this request. No other transfer may have one of its keys.
    pub fn insert(
        &mut self,
        flow: &Transfer,
        earlier: Earlier,
        request: &[u8],
        deadline: Tick,
    ) -> Result<FlowId, Full> {
        self.make((flow, earlier, request), deadline, TransferTable::enter)
    }

    /// Fills a row, and indexes it by `enter`.
    #[inline]
    fn make(
        &mut self,
        (flow, earlier, request): (&Transfer, Earlier, &[u8]),
        deadline: Tick,
        enter: impl FnOnce(&mut TransferTable, FlowId) -> Result<(), Full>,
    ) -> Result<FlowId, Full> {
        let id = self.write(flow, earlier, request)?;
        if let Err(full) = enter(self, id) {
            self.transfers[id as usize] = Transfer::FREE;
            return Err(full);
        }
        self.wait(id, deadline);
        self.in_use += 1;
        Ok(id)
    }

    /// Fills a free row.
    #[inline]
    fn write(&mut self, flow: &Transfer, earlier: Earlier, request: &[u8]) -> Result<FlowId, Full> {
        let id = self.lists.first(FREE).ok_or(Full)?;
        self.transfers[id as usize].clone_from(flow);
        self.details[id as usize].begin(request, earlier, flow.last_packet);
        self.seal(id);
        Ok(id)
    }

    /// Makes the row wait for its server.
    #[inline]
    fn wait(&mut self, id: FlowId, deadline: Tick) {
        self.lists.append(UNASSURED, id);
        self.unassured.add(id, self[id].counts_at());
        self.wheel.set(id, deadline);
    }

    fn leave_index(&mut self, id: FlowId) {
        let (client, server) = (self[id].client_key(), self[id].server_key());
        self.index.remove(self.hash(KeyKind::Client, client), id);
        if let Some(server) = server {
            self.index.remove(self.hash(KeyKind::Server, server), id);
        }
    }

    /// Learns the server's TID.
    pub fn learn(&mut self, id: FlowId, tid: u16, now: Tick) {
        self[id].learn(tid);
        self.details[id as usize].answered = now;
    }

    /// Marks the transfer as assured: its client hears the server, and it is not evicted any more. One beyond a limit is
    /// never assured, as no limit says how many there are.
    pub fn assure(&mut self, id: FlowId) {
        if !self[id].state.is_over() && !self[id].is_over_limit {
            self.lists.remove(id);
            self.unassured.remove(id, self[id].counts_at());
        }
    }

    /// Renews an unassured transfer: its client is as likely to exist as that of any younger request.
    pub fn renew(&mut self, id: FlowId) {
        if !self[id].state.is_over() {
            let backend = self[id].counts_at();
            self.lists.append(UNASSURED, id);
            self.unassured.remove(id, backend);
            self.unassured.add(id, backend);
        }
    }

    /// Closes the transfer; the row is kept for late packets until `deadline`.
    pub fn close(&mut self, id: FlowId, deadline: Tick) {
        self[id].state = TransferState::Closing;
        self.unassured.remove(id, self[id].counts_at());
        if self[id].progress.is_assured() {
            self.lists.append(CLOSED, id);
        }
        self.wheel.set(id, deadline);
    }

    /// Frees the row and returns its transfer.
    pub fn remove(&mut self, id: FlowId) -> Transfer {
        self.leave_index(id);
        if let Some(elder) = self.elder(id) {
            self.details[elder as usize].newcomer = NO_FLOW;
            self[elder].progress.set_ambiguous(false);
        }
        if let Some(newcomer) = self.newcomer(id) {
            self.details[newcomer as usize].elder = NO_FLOW;
        }
        let flow = std::mem::replace(&mut self.transfers[id as usize], Transfer::FREE);
        self.unassured.remove(id, flow.counts_at());
        self.wheel.cancel(id);
        self.lists.append(FREE, id);
        self.in_use -= 1;
        flow
    }

    /// Moves the transfer to another server. No other transfer may have the new key. On failure the index is full, and
    /// the transfer is found by its client's key only.
    pub fn move_to(
        &mut self,
        id: FlowId,
        backend: BackendId,
        server: ServerId,
    ) -> Result<(), Full> {
        let before = self.hash(KeyKind::Server, self[id].server_key().ok_or(Full)?);
        self.index.remove(before, id);
        if self.unassured.remove(id, self[id].counts_at()) {
            self.unassured.add(id, backend);
        }
        self[id].move_to(backend, server);
        self.details[id as usize].earlier = Earlier::NONE;
        self.seal(id);
        let after = self.hash(KeyKind::Server, self[id].server_key().ok_or(Full)?);
        if self.index.insert(after, id) { Ok(()) } else { Err(Full) }
    }

    /// Whether all rows are in use.
    pub fn is_full(&self) -> bool {
        self.lists.first(FREE).is_none()
    }

    /// The transfer to evict: the oldest unassured, in whatever state; else the one that closed first; never a running
    /// one.
    pub fn expendable(&self) -> Option<FlowId> {
        self.lists.first(UNASSURED).or_else(|| self.lists.first(CLOSED))
    }

    /// Unassured transfers that count against their backend's limit.
    pub fn unassured(&self) -> &ByBackend {
        &self.unassured
    }

    /// A flow whose deadline has come.
    pub fn due(&mut self, now: Tick) -> Option<FlowId> {
        self.wheel.due(now)
    }

    /// Sets a new deadline.
    pub fn rearm(&mut self, id: FlowId, deadline: Tick) {
        self.wheel.set(id, deadline);
    }

    /// The cold part of a flow.
    pub fn detail(&self, id: FlowId) -> &Detail {
        &self.details[id as usize]
    }

    /// Both parts of a flow.
    #[inline]
    pub fn both(&mut self, id: FlowId) -> (&mut Transfer, &mut Detail) {
        (&mut self.transfers[id as usize], &mut self.details[id as usize])
    }

    /// The flow in this row, if it is in use.
    pub fn get(&self, id: FlowId) -> Option<&Transfer> {
        self.transfers.get(id as usize).filter(|flow| flow.is_in_use())
    }

    /// Flows in use within this range of rows.
    pub fn scan(&self, places: std::ops::Range<usize>) -> impl Iterator<Item = FlowId> {
        places.map(|place| place as FlowId).filter(|&id| self[id].is_in_use())
    }

    /// Number of rows.
    pub fn capacity(&self) -> usize {
        self.transfers.len()
    }

    /// Number of rows in use.
    pub fn in_use(&self) -> u32 {
        self.in_use
    }
}

impl At<FlowId> for TransferTable {
    type Output = Transfer;

    #[inline]
    fn index(&self, id: FlowId) -> &Transfer {
        &self.transfers[id as usize]
    }
}

impl AtMut<FlowId> for TransferTable {
    #[inline]
    fn index_mut(&mut self, id: FlowId) -> &mut Transfer {
        &mut self.transfers[id as usize]
    }
}

#[cfg(test)]
mod tests;
