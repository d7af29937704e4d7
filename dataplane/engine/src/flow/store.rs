//! The memory of one worker's transfers, as far as they can't be found out again: plain data, in memory of the
//! process's own or in such that outlives it. Everything else about them is made anew from it.

use super::connection::Connection;
use super::record::{Detail, Flow};
use std::ops::{Deref, DerefMut};
use zerocopy::{FromZeros, Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Rows of plain data.
#[derive(Debug)]
pub enum Rows<T: 'static> {
    /// In memory of the process's own.
    Own(Box<[T]>),
    /// In memory that outlives it.
    Lasting(&'static mut [T]),
}

impl<T> Deref for Rows<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        match self {
            Rows::Own(rows) => rows,
            Rows::Lasting(rows) => rows,
        }
    }
}

impl<T> DerefMut for Rows<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Rows::Own(rows) => rows,
            Rows::Lasting(rows) => rows,
        }
    }
}

/// The meaning of every byte of it: another number is another meaning. The sizes alone would not tell.
const LAYOUT: u32 = 5;

/// What has to be the same for a process to go on with what another one has left.
pub fn layout() -> String {
    let sizes =
        [size_of::<Flow>(), size_of::<Detail>(), size_of::<Connection>(), size_of::<Named>()];
    format!("{LAYOUT} {sizes:?} {}", if cfg!(target_endian = "little") { "le" } else { "be" })
}

/// An IPv6 address that has a name ([`super::hosts`]).
pub type Named = [u8; 16];

/// All of it.
#[derive(Debug)]
pub struct Store {
    /// The hot parts.
    pub flows: Rows<Flow>,
    /// The cold ones.
    pub details: Rows<Detail>,
    /// The connections.
    pub connections: Rows<Connection>,
    /// The addresses of IPv6 clients, by their names.
    pub named: Rows<Named>,
}

impl Store {
    /// In memory of the process's own: so many transfers, as many connections, and so many names, none yet.
    pub fn new(flows: u32, named: u32) -> Store {
        Store {
            flows: Rows::Own(vec![Flow::FREE; flows as usize].into()),
            details: Rows::Own(vec![Detail::NONE; flows as usize].into()),
            connections: Rows::Own(vec![Connection::FREE; flows as usize].into()),
            named: Rows::Own(vec![[0; 16]; named as usize].into()),
        }
    }

    /// Bytes that so many transfers and names take in memory that outlives the process.
    pub fn size(flows: u32, named: u32) -> usize {
        let each = size_of::<Flow>() + size_of::<Connection>() + size_of::<Detail>();
        flows as usize * each + named as usize * size_of::<Named>()
    }

    /// In such memory, which is [`Store::size`] bytes and aligned as a page is. Zeroes are no transfer; what can't be
    /// one is made zeroes.
    ///
    /// # Panics
    ///
    /// It has another size or alignment.
    pub fn lasting(memory: &'static mut [u8], flows: u32, named: u32) -> Store {
        assert_eq!(memory.len(), Store::size(flows, named), "memory of another size");
        let (hot, rest) = memory.split_at_mut(flows as usize * size_of::<Flow>());
        let (connections, rest) = rest.split_at_mut(flows as usize * size_of::<Connection>());
        let (cold, rest) = rest.split_at_mut(flows as usize * size_of::<Detail>());
        Store {
            flows: Rows::Lasting(rows(hot)),
            details: Rows::Lasting(rows(cold)),
            connections: Rows::Lasting(rows(connections)),
            named: Rows::Lasting(rows(rest)),
        }
    }
}

/// The memory as rows of this type.
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

#[cfg(test)]
mod tests {
    use super::*;

    const FLOWS: u32 = 4;
    const NAMED: u32 = 3;

    /// Memory of a page's alignment is a u64's too.
    fn memory() -> &'static mut [u8] {
        let size = Store::size(FLOWS, NAMED);
        Box::leak(vec![0u64; size.div_ceil(8)].into_boxed_slice())
            .as_mut_bytes()
            .split_at_mut(size)
            .0
    }

    #[test]
    fn zeroes_are_no_transfer() {
        let store = Store::lasting(memory(), FLOWS, NAMED);
        assert_eq!((store.flows.len(), store.details.len(), store.named.len()), (4, 4, 3));
        assert!(store.flows.iter().all(|flow| !flow.is_in_use()));
    }

    #[test]
    fn what_can_t_be_a_transfer_is_none_any_more_and_its_neighbours_stay() {
        let memory = memory();
        let size = size_of::<Flow>();
        // Keys that are in use, and a state that there is not.
        for row in [0, 1, 2] {
            memory[row * size + 8] = 7;
        }
        memory[size..2 * size].fill(0xff);
        let store = Store::lasting(memory, FLOWS, NAMED);
        let in_use: Vec<_> = store.flows.iter().map(Flow::is_in_use).collect();
        assert_eq!(in_use, [true, false, true, false]);
    }
}
