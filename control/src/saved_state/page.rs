//! Pages of memory.

/// The size of a page. The first worker's memory begins at the second page, each other one at a multiple of pages
/// behind it.
pub const PAGE: usize = 4096;
