//! The memory of a worker's flows that survives a restart. Plain data, on the heap or in mapped memory; all other
//! tables are rebuilt from it.

use super::connection::Connection;
use super::transfer::{Detail, Transfer};
use crate::flow::rows::Rows;
use zerocopy::{FromZeros, Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Version of the layout: changes with the meaning of any byte, as sizes alone would not tell.
const LAYOUT: u32 = 5;

/// The layout that must match for a process to continue from saved memory.
pub fn layout() -> String {
    let sizes =
        [size_of::<Transfer>(), size_of::<Detail>(), size_of::<Connection>(), size_of::<Named>()];
    format!("{LAYOUT} {sizes:?} {}", if cfg!(target_endian = "little") { "le" } else { "be" })
}

/// An interned IPv6 address ([`super::host_table`]).
pub type Named = [u8; 16];

/// The memory of a worker's flows.
#[derive(Debug)]
pub struct Store {
    /// Hot parts of transfers.
    pub transfers: Rows<Transfer>,
    /// Cold parts of transfers.
    pub details: Rows<Detail>,
    /// Connections.
    pub connections: Rows<Connection>,
    /// IPv6 addresses by id.
    pub named: Rows<Named>,
}

impl Store {
    /// Memory on the heap: `transfers` transfers, as many connections, and `named` addresses, all unused.
    pub fn new(transfers: u32, named: u32) -> Store {
        Store {
            transfers: Rows::Heap(vec![Transfer::FREE; transfers as usize].into()),
            details: Rows::Heap(vec![Detail::NONE; transfers as usize].into()),
            connections: Rows::Heap(vec![Connection::FREE; transfers as usize].into()),
            named: Rows::Heap(vec![[0; 16]; named as usize].into()),
        }
    }

    /// A copy of memory that an earlier process has left, of [`Store::size`] bytes. Invalid rows are unused.
    ///
    /// # Panics
    ///
    /// The memory has another size.
    pub fn saved(memory: &[u8], transfers: u32, named: u32) -> Store {
        assert_eq!(memory.len(), Store::size(transfers, named), "memory of another size");
        let (hot, rest) = memory.split_at(transfers as usize * size_of::<Transfer>());
        let (connections, rest) = rest.split_at(transfers as usize * size_of::<Connection>());
        let (cold, rest) = rest.split_at(transfers as usize * size_of::<Detail>());
        Store {
            transfers: Rows::Heap(copied(hot, &Transfer::FREE)),
            details: Rows::Heap(copied(cold, &Detail::NONE)),
            connections: Rows::Heap(copied(connections, &Connection::FREE)),
            named: Rows::Heap(copied(rest, &[0; 16])),
        }
    }

    /// Bytes of mapped memory for so many transfers and addresses.
    pub fn size(transfers: u32, named: u32) -> usize {
        let each = size_of::<Transfer>() + size_of::<Connection>() + size_of::<Detail>();
        transfers as usize * each + named as usize * size_of::<Named>()
    }

    /// Uses mapped memory of [`Store::size`] bytes, aligned to a page. Zeroes are an unused row; invalid rows are
    /// zeroed.
    ///
    /// # Panics
    ///
    /// The memory has another size or alignment.
    pub fn mapped(memory: &'static mut [u8], transfers: u32, named: u32) -> Store {
        assert_eq!(memory.len(), Store::size(transfers, named), "memory of another size");
        let (hot, rest) = memory.split_at_mut(transfers as usize * size_of::<Transfer>());
        let (connections, rest) = rest.split_at_mut(transfers as usize * size_of::<Connection>());
        let (cold, rest) = rest.split_at_mut(transfers as usize * size_of::<Detail>());
        Store {
            transfers: Rows::Mapped(rows(hot)),
            details: Rows::Mapped(rows(cold)),
            connections: Rows::Mapped(rows(connections)),
            named: Rows::Mapped(rows(rest)),
        }
    }
}

/// The memory as rows of type `T`.
fn rows<T>(memory: &'static mut [u8]) -> &'static mut [T]
where
    T: TryFromBytes + IntoBytes + KnownLayout + Immutable,
{
    for row in memory.chunks_exact_mut(size_of::<T>()) {
        if T::try_ref_from_bytes(row).is_err() {
            row.zero();
        }
    }
    let Ok(rows) = <[T]>::try_mut_from_bytes(memory) else {
        unreachable!("every row is one, and they are aligned")
    };
    rows
}

/// Copies of the rows in this memory; `unused` in place of invalid ones.
fn copied<T: TryFromBytes + Clone>(memory: &[u8], unused: &T) -> Box<[T]> {
    let rows = memory.chunks_exact(size_of::<T>());
    rows.map(|row| T::try_read_from_bytes(row).unwrap_or_else(|_| unused.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOWS: u32 = 4;
    const NAMED: u32 = 3;

    /// Page-aligned memory is aligned for u64, too.
    fn memory() -> &'static mut [u8] {
        let size = Store::size(FLOWS, NAMED);
        Box::leak(vec![0u64; size.div_ceil(8)].into_boxed_slice())
            .as_mut_bytes()
            .split_at_mut(size)
            .0
    }

    /// A process goes on with the rows of one that was built before only if both say this. A new number, or a new size, costs
    /// an upgrade its running transfers: it must be meant.
    #[test]
    fn the_layout_is_that_of_earlier_builds() {
        assert_eq!(layout(), "5 [64, 224, 128, 16] le");
    }

    #[test]
    fn zeroes_are_no_transfer() {
        let store = Store::mapped(memory(), FLOWS, NAMED);
        assert_eq!((store.transfers.len(), store.details.len(), store.named.len()), (4, 4, 3));
        assert!(store.transfers.iter().all(|flow| !flow.is_in_use()));
    }

    #[test]
    fn what_can_t_be_a_transfer_is_none_any_more_and_its_neighbours_stay() {
        let memory = memory();
        let size = size_of::<Transfer>();
        // Keys of used rows, and an invalid state.
        for row in [0, 1, 2] {
            memory[row * size + 8] = 7;
        }
        memory[size..2 * size].fill(0xff);
        let store = Store::mapped(memory, FLOWS, NAMED);
        let in_use: Vec<_> = store.transfers.iter().map(Transfer::is_in_use).collect();
        assert_eq!(in_use, [true, false, true, false]);
    }
}
