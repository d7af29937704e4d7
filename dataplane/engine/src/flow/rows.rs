//! Plain data, on the heap or in mapped memory.

use crossbeam::utils::CachePadded;
use std::ops::{Deref, DerefMut};
use std::slice;

/// An array of plain data.
#[derive(Debug)]
pub enum Rows<T: 'static> {
    /// On the heap.
    Heap(Box<[T]>),
    /// In memory that outlives the process.
    Mapped(&'static mut [T]),
}

impl<T> Deref for Rows<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        match self {
            Rows::Heap(rows) => rows,
            Rows::Mapped(rows) => rows,
        }
    }
}

impl<T> DerefMut for Rows<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Rows::Heap(rows) => rows,
            Rows::Mapped(rows) => rows,
        }
    }
}

impl<'a, T> IntoIterator for &'a Rows<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> slice::Iter<'a, T> {
        self.iter()
    }
}

/// One value of plain data.
#[derive(Debug)]
pub enum Row<T: 'static> {
    /// On the heap, in cache lines of its own.
    Heap(Box<CachePadded<T>>),
    /// In memory that outlives the process.
    Mapped(&'static mut T),
}

impl<T> Deref for Row<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        match self {
            Row::Heap(row) => row,
            Row::Mapped(row) => row,
        }
    }
}
