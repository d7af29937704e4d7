//! The connection table of a worker. Each connection is found by the client's tuple and by the server's. All memory is
//! allocated at the start.

use super::by_backend::ByBackend;
use super::connection::{Connection, flag, mark};
use super::hash::Seed;
use super::hash_index::{BucketRef, FlowId, Index};
use super::lists::Lists;
use super::rows::Rows;
use super::state::ConnectionState;
use super::timer_wheel::Wheel;
use super::transfer_table::Full;
use super::tuple::Tuple;
use crate::types::tick::Tick;
use prefetch_index::prefetch_index;
use std::ops::{Index as At, IndexMut as AtMut};

/// The connection table. Connections are indexed by id: `connections[id]`.
pub struct ConnectionTable {
    index: Index,
    rows: Rows<Connection>,
    lists: Lists,
    wheel: Wheel,
    seed: Seed,
    /// Connections that are [not assured](Connection::is_unassured).
    unassured: ByBackend,
    unassured_len: u32,
    /// Rows in use, by [`ConnectionState`].
    in_use: [u32; STATES],
}

/// Number of [`ConnectionState`]s.
const STATES: usize = ConnectionState::Closed as usize + 1;

/// Lists of connections: free, unassured, closed. A running connection is in none.
const FREE: u32 = 0;
const UNASSURED: u32 = 1;
const CLOSED: u32 = 2;

/// Most closed connections that are examined for one to evict.
const FEW: usize = 64;

/// One of so many rows may be unassured: a flood of SYNs leaves the rest.
const UNASSURED_SHARE: u32 = 4;

impl ConnectionTable {
    /// A table over these rows and `backends` backends. Saved rows are found only after [`ConnectionTable::adopt`].
    pub fn new(rows: Rows<Connection>, backends: usize, seed: Seed, now: Tick) -> ConnectionTable {
        let capacity = rows.len() as u32;
        let mut lists = Lists::new(capacity, 3);
        let free = (0..capacity).filter(|&id| !rows[id as usize].is_in_use());
        free.for_each(|id| lists.append(FREE, id));
        ConnectionTable {
            index: Index::new(2 * capacity as usize),
            rows,
            lists,
            wheel: Wheel::new(capacity, now),
            seed,
            unassured: ByBackend::new(capacity, backends),
            unassured_len: 0,
            in_use: [0; STATES],
        }
    }

    /// Returns the rows.
    pub fn leave(self) -> Rows<Connection> {
        self.rows
    }

    /// Enters a saved row; its deadline is `deadline`.
    pub fn adopt(&mut self, id: FlowId, deadline: Tick) -> Result<(), Full> {
        self.enter(id)?;
        self.in_use[self[id].state as usize] += 1;
        self.list(id);
        self.wheel.set(id, deadline);
        Ok(())
    }

    /// Frees a saved row that was not adopted.
    pub fn discard(&mut self, id: FlowId) {
        self.rows[id as usize] = Connection::FREE;
        self.lists.append(FREE, id);
    }

    /// Computes the bucket of a tuple and prefetches it.
    #[inline]
    pub fn locate(&self, tuple: &Tuple) -> BucketRef {
        self.index.locate(self.seed.of_tuple(tuple))
    }

    /// The candidate for the tuple, or [`super::NO_FLOW`]; it must be verified.
    #[inline(always)]
    pub fn candidate(&self, bucket: BucketRef) -> FlowId {
        let id = self.index.candidate(bucket);
        prefetch_index(&*self.rows, id as usize);
        id
    }

    /// The candidate, if it has this tuple; otherwise the result of a full lookup.
    #[inline]
    pub fn verify(&mut self, candidate: FlowId, tuple: &Tuple) -> Option<&mut Connection> {
        self.rows.get_mut(candidate as usize).filter(|connection| connection.is(tuple))
    }

    /// The connection with this tuple.
    pub fn find(&self, tuple: &Tuple) -> Option<FlowId> {
        self.index.find(self.seed.of_tuple(tuple), |id| self[id].is(tuple))
    }

    /// Enters a connection under the tuples that its flags select. No other connection may have one of them.
    pub fn insert(&mut self, connection: &Connection, deadline: Tick) -> Result<FlowId, Full> {
        let id = self.lists.first(FREE).ok_or(Full)?;
        self.rows[id as usize].clone_from(connection);
        self[id].mark(mark::UNASSURED, connection.state == ConnectionState::HalfOpen);
        if let Err(full) = self.enter(id) {
            self.rows[id as usize] = Connection::FREE;
            return Err(full);
        }
        self.in_use[connection.state as usize] += 1;
        self.list(id);
        self.wheel.set(id, deadline);
        Ok(id)
    }

    /// A digest of the connection, without its progress; never 0.
    pub fn digest(&self, id: FlowId) -> u16 {
        self[id].digest(self.seed)
    }

    /// Sets state and deadline.
    pub fn set_state(&mut self, id: FlowId, state: ConnectionState, deadline: Tick) {
        let before = std::mem::replace(&mut self[id].state, state);
        self.in_use[before as usize] -= 1;
        self.in_use[state as usize] += 1;
        if state == ConnectionState::HalfOpen {
            self[id].mark(mark::UNASSURED, true);
        }
        self.list(id);
        self.wheel.set(id, deadline);
    }

    /// Marks the connection as assured: its opener has heard the answer.
    pub fn assure(&mut self, id: FlowId) {
        self[id].mark(mark::UNASSURED, false);
        self.list(id);
    }

    /// Frees the row and returns its connection.
    pub fn remove(&mut self, id: FlowId) -> Connection {
        self.forget(id);
        let connection = std::mem::replace(&mut self.rows[id as usize], Connection::FREE);
        for tuple in tuples(&connection).into_iter().flatten() {
            self.index.remove(self.seed.of_tuple(&tuple), id);
        }
        self.in_use[connection.state as usize] -= 1;
        self.wheel.cancel(id);
        self.lists.append(FREE, id);
        connection
    }

    /// Whether all rows are in use.
    pub fn is_full(&self) -> bool {
        self.lists.first(FREE).is_none()
    }

    /// The connection to evict for an unassured one: the oldest unassured, if there are too many of these; otherwise as
    /// [`ConnectionTable::expendable`].
    pub fn expendable_for_stranger(&self) -> Option<FlowId> {
        let are_many = self.unassured_len >= (self.rows.len() as u32 / UNASSURED_SHARE).max(1);
        if are_many { self.lists.first(UNASSURED) } else { self.expendable() }
    }

    /// The connection to evict if no row is free: the one that closed first, else the oldest unassured; never a running
    /// one.
    pub fn expendable(&self) -> Option<FlowId> {
        let closed = || self.lists.first(CLOSED).or_else(|| self.lists.first(UNASSURED));
        if self.is_full() { closed() } else { None }
    }

    /// Unassured connections.
    pub fn unassured(&self) -> &ByBackend {
        &self.unassured
    }

    /// Closed connections, the one that closed first in front.
    pub fn over(&self) -> impl Iterator<Item = FlowId> {
        self.lists.all(CLOSED).take(FEW)
    }

    /// A connection whose deadline has come.
    pub fn due(&mut self, now: Tick) -> Option<FlowId> {
        self.wheel.due(now)
    }

    /// Sets a new deadline.
    pub fn rearm(&mut self, id: FlowId, deadline: Tick) {
        self.wheel.set(id, deadline);
    }

    /// Connections in use within this range of rows.
    pub fn scan(&self, places: std::ops::Range<usize>) -> impl Iterator<Item = FlowId> {
        places.map(|place| place as FlowId).filter(|&id| self[id].is_in_use())
    }

    /// The connection in this row, if it is in use.
    pub fn get(&self, id: FlowId) -> Option<&Connection> {
        self.rows.get(id as usize).filter(|connection| connection.is_in_use())
    }

    /// Number of rows.
    pub fn capacity(&self) -> usize {
        self.rows.len()
    }

    /// Number of rows in use by connections in this state.
    pub fn in_use(&self, state: ConnectionState) -> u32 {
        self.in_use[state as usize]
    }

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        let lists = self.lists.size() + self.unassured.size();
        self.index.size() + size_of_val(&*self.rows) + lists + self.wheel.size()
    }

    /// Enters the row into the index under its tuples.
    fn enter(&mut self, id: FlowId) -> Result<(), Full> {
        let [first, second] = tuples(&self.rows[id as usize]).map(|tuple| {
            let tuple = tuple?;
            Some(self.seed.of_tuple(&tuple))
        });
        let mut put = |hash: Option<u64>| hash.is_none_or(|hash| self.index.insert(hash, id));
        if !put(first) {
            return Err(Full);
        }
        if !put(second) {
            first.into_iter().for_each(|hash| self.index.remove(hash, id));
            return Err(Full);
        }
        Ok(())
    }

    /// Moves the connection to the list for its state. If it stays in its list, it keeps its position.
    fn list(&mut self, id: FlowId) {
        let (connection, was_unassured) = (&self.rows[id as usize], self.unassured.has(id));
        if connection.is_unassured() && was_unassured {
            return;
        }
        let (backend, list) = (connection.counts_at(), list_of(connection));
        self.forget(id);
        if list == Some(UNASSURED) {
            self.unassured.add(id, backend);
            self.unassured_len += 1;
        }
        list.into_iter().for_each(|list| self.lists.append(list, id));
    }

    /// Removes the connection from its list.
    fn forget(&mut self, id: FlowId) {
        let was_unassured = self.unassured.remove(id, self[id].counts_at());
        self.unassured_len -= u32::from(was_unassured);
        self.lists.remove(id);
    }
}

/// The list for the connection's state.
fn list_of(connection: &Connection) -> Option<u32> {
    if connection.is_unassured() { Some(UNASSURED) } else { connection.is_over().then_some(CLOSED) }
}

/// Tuples under which the connection is found.
fn tuples(connection: &Connection) -> [Option<Tuple>; 2] {
    [
        connection.has(flag::BY_CLIENT_TUPLE).then_some(connection.client()),
        connection.has(flag::BY_SERVER_TUPLE).then_some(connection.server()),
    ]
}

impl At<FlowId> for ConnectionTable {
    type Output = Connection;

    #[inline]
    fn index(&self, id: FlowId) -> &Connection {
        &self.rows[id as usize]
    }
}

impl AtMut<FlowId> for ConnectionTable {
    #[inline]
    fn index_mut(&mut self, id: FlowId) -> &mut Connection {
        &mut self.rows[id as usize]
    }
}
