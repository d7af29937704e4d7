//! Unassured rows by backend: those whose client has not shown that it hears its server
//! ([assured](super::transfer_table::TransferTable::assure)). The oldest row of one or of several backends is found in
//! a few steps, however many rows there are.

use super::hash_index::FlowId;
use super::lists::Lists;
use crate::types::id::BackendId;

/// One list per backend, oldest row first, and one for rows without a backend.
pub struct ByBackend {
    lists: Lists,
    /// Length of each list.
    lens: Box<[u32]>,
    /// By row: the number of rows added before it.
    added: Box<[u32]>,
    next: u32,
}

impl ByBackend {
    /// Empty lists for `rows` rows and `backends` backends.
    pub fn new(rows: FlowId, backends: usize) -> ByBackend {
        ByBackend {
            lists: Lists::new(rows, backends as u32 + 1),
            lens: vec![0; backends + 1].into(),
            added: vec![0; rows as usize].into(),
            next: 0,
        }
    }

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        self.lists.size() + size_of_val(&*self.lens) + size_of_val(&*self.added)
    }

    /// Appends a row, which is in no list, to the backend's list.
    pub fn add(&mut self, row: FlowId, backend: BackendId) {
        let list = self.list(backend);
        self.lists.push(list, row);
        self.lens[list as usize] += 1;
        self.added[row as usize] = self.next;
        self.next = self.next.wrapping_add(1);
    }

    /// Removes the row from the backend's list. Returns whether it was there.
    pub fn remove(&mut self, row: FlowId, backend: BackendId) -> bool {
        let was_in = self.lists.has(row);
        if was_in {
            self.lists.remove(row);
            self.lens[self.list(backend) as usize] -= 1;
        }
        was_in
    }

    /// Whether the row is in a list.
    pub fn has(&self, row: FlowId) -> bool {
        self.lists.has(row)
    }

    /// Number of rows of this backend.
    pub fn len(&self, backend: BackendId) -> u32 {
        self.lens[self.list(backend) as usize]
    }

    /// Rows of this backend, oldest first.
    pub fn of(&self, backend: BackendId) -> impl Iterator<Item = FlowId> {
        self.lists.all(self.list(backend))
    }

    /// The oldest row of these backends.
    pub fn oldest(&self, backends: impl Iterator<Item = BackendId>) -> Option<FlowId> {
        let oldest = backends.filter_map(|backend| self.lists.first(self.list(backend)));
        oldest.max_by_key(|&row| self.age(row))
    }

    /// Number of rows added since this one.
    pub fn age(&self, row: FlowId) -> u32 {
        self.next.wrapping_sub(self.added[row as usize])
    }

    /// The backend's list; rows without a backend are in the last one.
    fn list(&self, backend: BackendId) -> u32 {
        u32::from(backend.0).min(self.lens.len() as u32 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_some_backends_is_found() {
        let mut rows = ByBackend::new(8, 3);
        rows.next = u32::MAX - 1;
        for (row, backend) in [(4, 1), (2, 0), (7, 1), (0, 2)] {
            rows.add(row, BackendId(backend));
        }
        assert_eq!(rows.oldest([0, 1, 2].map(BackendId).into_iter()), Some(4));
        assert_eq!(rows.oldest([2, 0].map(BackendId).into_iter()), Some(2));
        assert_eq!(rows.of(BackendId(1)).collect::<Vec<_>>(), [4, 7]);
        assert!(rows.remove(4, BackendId(1)) && !rows.remove(4, BackendId(1)));
        assert_eq!([0, 1, 2].map(|backend| rows.len(BackendId(backend))), [1, 1, 1]);
        assert_eq!(rows.oldest([1, 2].map(BackendId).into_iter()), Some(7));
        rows.remove(2, BackendId(0));
        assert_eq!(rows.oldest([0].map(BackendId).into_iter()), None);
        rows.add(2, BackendId(1));
        assert_eq!(rows.of(BackendId(1)).collect::<Vec<_>>(), [7, 2]);
    }
}
