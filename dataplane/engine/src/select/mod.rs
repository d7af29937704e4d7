//! Which backend a new transfer goes to: one file a scheduler, and the memory of who went where.

pub mod round_robin;
pub mod sticky;
