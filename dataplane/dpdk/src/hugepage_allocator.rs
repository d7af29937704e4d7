//! An allocator that puts large tables into huge pages, where the kernel has transparent ones. Lookups among millions
//! of flows would otherwise wait for page tables too.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

/// The system's allocator, which requests huge pages for large allocations.
#[derive(Debug, Clone, Copy)]
pub struct HugePages;

/// Bytes of a huge page.
const PAGE: usize = 2 << 20;
/// The size from which an allocation is put into huge pages.
const LARGE: usize = PAGE / 2;

/// Rounds a large layout up to whole huge pages.
fn in_pages(layout: Layout) -> Layout {
    let pages = || Layout::from_size_align(layout.size().next_multiple_of(PAGE), PAGE);
    if layout.size() < LARGE { layout } else { pages().unwrap_or(layout) }
}

// SAFETY: every call goes to the system's allocator, with a layout that depends on the caller's alone,
// and is stricter than it.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let layout = in_pages(layout);
        // SAFETY: the caller's promises hold for the stricter layout too.
        let memory = unsafe { System.alloc(layout) };
        if layout.size() >= LARGE && !memory.is_null() {
            // SAFETY: these bytes are ours, and advice changes none of them. Without huge pages it fails,
            // and nothing is lost.
            unsafe { libc::madvise(memory.cast(), layout.size(), libc::MADV_HUGEPAGE) };
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: it was allocated with this layout.
        unsafe { System.dealloc(memory, in_pages(layout)) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() < LARGE {
            // SAFETY: the caller's promises are passed on.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: the caller's promises are passed on.
        let memory = unsafe { self.alloc(layout) };
        if !memory.is_null() {
            // SAFETY: so many bytes are ours.
            unsafe { ptr::write_bytes(memory, 0, layout.size()) };
        }
        memory
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() < LARGE && size < LARGE {
            // SAFETY: the caller's promises are passed on.
            return unsafe { System.realloc(memory, layout, size) };
        }
        // SAFETY: the caller promises that the new size fits the alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the new memory holds what fits of the old, which is given back once.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(memory, moved, layout.size().min(size));
                self.dealloc(memory, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_any_size_keeps_its_bytes_as_it_grows_and_shrinks() {
        let sizes = [1, 100, PAGE, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE, LARGE, 100];
        let layout = |size| Layout::from_size_align(size, 64).unwrap();
        // SAFETY: each layout is that of the memory; the bytes read were written.
        unsafe {
            let mut memory = HugePages.alloc_zeroed(layout(sizes[0]));
            assert_eq!(*memory, 0);
            *memory = 7;
            for pair in sizes.windows(2) {
                memory = HugePages.realloc(memory, layout(pair[0]), pair[1]);
                assert_eq!(*memory, 7);
                assert_eq!(memory as usize % if pair[1] >= LARGE { PAGE } else { 64 }, 0);
                memory.add(pair[1] - 1).write(7);
            }
            HugePages.dealloc(memory, layout(100));
            let zeroes = HugePages.alloc_zeroed(layout(LARGE));
            assert!((0..LARGE).all(|at| *zeroes.add(at) == 0));
            HugePages.dealloc(zeroes, layout(LARGE));
        }
    }
}
