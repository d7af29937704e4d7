//! One worker's connections, each found by what clients send and by what servers send. All memory is
//! taken at the start.

use super::by_backend::ByBackend;
use super::connection::{Connection, flag, mark};
use super::index::{FlowId, Index, Spot};
use super::key::Seed;
use super::lists::Lists;
use super::store::Rows;
use super::table::Full;
use super::tuple::Tuple;
use super::view::Stage;
use super::wheel::Wheel;
use crate::tick::Tick;
use prefetch_index::prefetch_index;
use std::ops::{Index as At, IndexMut as AtMut};

/// The table. Connections are reached by index: `connections[id]`.
pub struct Connections {
    index: Index,
    rows: Rows<Connection>,
    lists: Lists,
    wheel: Wheel,
    seed: Seed,
    /// Those that are [not assured](Connection::is_unassured).
    unassured: ByBackend,
    unassured_len: u32,
}

/// Lists that a connection can be in: free, not assured, or closed; a running one is in none.
const FREE: u32 = 0;
const UNASSURED: u32 = 1;
const CLOSED: u32 = 2;

/// As many are looked at to find one that can make way.
const FEW: usize = 64;

/// Of all places, the share that those may take that are not assured: a flood of them leaves the rest.
const UNASSURED_SHARE: u32 = 4;

impl Connections {
    /// A table over these rows, of so many backends. What stands in them already is not found until it is adopted.
    pub fn new(rows: Rows<Connection>, backends: usize, seed: Seed, now: Tick) -> Connections {
        let capacity = rows.len() as u32;
        let mut lists = Lists::new(capacity, 3);
        let free = (0..capacity).filter(|&id| !rows[id as usize].is_in_use());
        free.for_each(|id| lists.append(FREE, id));
        Connections {
            index: Index::new(2 * capacity as usize),
            rows,
            lists,
            wheel: Wheel::new(capacity, now),
            seed,
            unassured: ByBackend::new(capacity, backends),
            unassured_len: 0,
        }
    }

    /// Gives the rows back.
    pub fn leave(self) -> Rows<Connection> {
        self.rows
    }

    /// Enters what an earlier process left in this row; it comes up at `deadline`.
    pub fn adopt(&mut self, id: FlowId, deadline: Tick) -> Result<(), Full> {
        self.enter(id)?;
        self.list(id);
        self.wheel.set(id, deadline);
        Ok(())
    }

    /// Frees a row that was not adopted.
    pub fn discard(&mut self, id: FlowId) {
        self.rows[id as usize] = Connection::FREE;
        self.lists.append(FREE, id);
    }

    /// Where a tuple will be looked for.
    #[inline]
    pub fn expect(&self, tuple: &Tuple) -> Spot {
        self.index.expect(self.seed.of_tuple(tuple))
    }

    /// The connection that most likely has the tuple expected there, or [`super::NO_FLOW`]: to be confirmed.
    #[inline(always)]
    pub fn guess(&self, spot: Spot) -> FlowId {
        let id = self.index.guess(spot);
        prefetch_index(&*self.rows, id as usize);
        id
    }

    /// The connection that was guessed, if it is the one with that tuple.
    #[inline]
    pub fn confirm(&mut self, guess: FlowId, tuple: &Tuple) -> Option<&mut Connection> {
        self.rows.get_mut(guess as usize).filter(|connection| connection.is(tuple))
    }

    /// The connection that is found by this tuple.
    pub fn find(&self, tuple: &Tuple) -> Option<FlowId> {
        self.index.find(self.seed.of_tuple(tuple), |id| self[id].is(tuple))
    }

    /// Enters a connection, found by the tuples that its flags say; it comes up at `deadline` unless moved. The
    /// caller has made sure that no other has one of them.
    pub fn insert(&mut self, connection: &Connection, deadline: Tick) -> Result<FlowId, Full> {
        let id = self.lists.first(FREE).ok_or(Full)?;
        self.rows[id as usize].clone_from(connection);
        self[id].mark(mark::UNASSURED, connection.stage == Stage::HalfOpen);
        if let Err(full) = self.enter(id) {
            self.rows[id as usize] = Connection::FREE;
            return Err(full);
        }
        self.list(id);
        self.wheel.set(id, deadline);
        Ok(id)
    }

    /// It stands there now, and comes up at `deadline`.
    pub fn set_stage(&mut self, id: FlowId, stage: Stage, deadline: Tick) {
        self[id].stage = stage;
        if stage == Stage::HalfOpen {
            self[id].mark(mark::UNASSURED, true);
        }
        self.list(id);
        self.wheel.set(id, deadline);
    }

    /// Its opener has shown that it has heard the answer.
    pub fn assure(&mut self, id: FlowId) {
        self[id].mark(mark::UNASSURED, false);
        self.list(id);
    }

    /// Frees the connection's place; answers what stood there.
    pub fn remove(&mut self, id: FlowId) -> Connection {
        self.forget(id);
        let connection = std::mem::replace(&mut self.rows[id as usize], Connection::FREE);
        for tuple in tuples(&connection).into_iter().flatten() {
            self.index.remove(self.seed.of_tuple(&tuple), id);
        }
        self.wheel.cancel(id);
        self.lists.append(FREE, id);
        connection
    }

    /// Whether every place is taken.
    pub fn is_full(&self) -> bool {
        self.lists.first(FREE).is_none()
    }

    /// What is to make room for one more that is not assured: the oldest of these, where there are too many of them;
    /// else as for any other.
    pub fn expendable_for_stranger(&self) -> Option<FlowId> {
        let are_many = self.unassured_len >= (self.rows.len() as u32 / UNASSURED_SHARE).max(1);
        if are_many { self.lists.first(UNASSURED) } else { self.expendable() }
    }

    /// What is to make room for one more, if no place is left: the one that ended longest ago, else the oldest that is
    /// not assured; never a running one.
    pub fn expendable(&self) -> Option<FlowId> {
        let closed = || self.lists.first(CLOSED).or_else(|| self.lists.first(UNASSURED));
        if self.is_full() { closed() } else { None }
    }

    /// Those that are not assured.
    pub fn unassured(&self) -> &ByBackend {
        &self.unassured
    }

    /// Those that ended longest ago.
    pub fn over(&self) -> impl Iterator<Item = FlowId> {
        self.lists.all(CLOSED).take(FEW)
    }

    /// A connection whose deadline has come.
    pub fn due(&mut self, now: Tick) -> Option<FlowId> {
        self.wheel.due(now)
    }

    /// Has the connection come up again at `deadline`.
    pub fn rearm(&mut self, id: FlowId, deadline: Tick) {
        self.wheel.set(id, deadline);
    }

    /// Those at these places that are in use.
    pub fn scan(&self, places: std::ops::Range<usize>) -> impl Iterator<Item = FlowId> {
        places.map(|place| place as FlowId).filter(|&id| self[id].is_in_use())
    }

    /// The connection at this place, if there is one.
    pub fn get(&self, id: FlowId) -> Option<&Connection> {
        self.rows.get(id as usize).filter(|connection| connection.is_in_use())
    }

    /// Places for connections, used and free.
    pub fn capacity(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of memory in all.
    pub fn size(&self) -> usize {
        let lists = self.lists.size() + self.unassured.size();
        self.index.size() + size_of_val(&*self.rows) + lists + self.wheel.size()
    }

    /// Has the row found by its tuples.
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

    /// Has the connection in the list that it is to be in. One that stays in its list keeps its place there.
    fn list(&mut self, id: FlowId) {
        let (connection, was_unassured) = (&self.rows[id as usize], self.unassured.has(id));
        if connection.is_unassured() && was_unassured {
            return;
        }
        let (backend, list) = (connection.backend, list_of(connection));
        self.forget(id);
        if list == Some(UNASSURED) {
            self.unassured.add(id, backend);
            self.unassured_len += 1;
        }
        list.into_iter().for_each(|list| self.lists.append(list, id));
    }

    /// Takes the connection out of the list that it is in, if any.
    fn forget(&mut self, id: FlowId) {
        let was_unassured = self.unassured.remove(id, self[id].backend);
        self.unassured_len -= u32::from(was_unassured);
        self.lists.remove(id);
    }
}

/// The list that it is to be in.
fn list_of(connection: &Connection) -> Option<u32> {
    if connection.is_unassured() { Some(UNASSURED) } else { connection.is_over().then_some(CLOSED) }
}

/// What it is found by.
fn tuples(connection: &Connection) -> [Option<Tuple>; 2] {
    [
        connection.has(flag::BY_CLIENT_TUPLE).then_some(connection.client()),
        connection.has(flag::BY_SERVER_TUPLE).then_some(connection.server()),
    ]
}

impl At<FlowId> for Connections {
    type Output = Connection;

    #[inline]
    fn index(&self, id: FlowId) -> &Connection {
        &self.rows[id as usize]
    }
}

impl AtMut<FlowId> for Connections {
    #[inline]
    fn index_mut(&mut self, id: FlowId) -> &mut Connection {
        &mut self.rows[id as usize]
    }
}
