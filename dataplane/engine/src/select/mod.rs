//! Which backend a new transfer goes to: one file a scheduler, and the memory of who went where and of
//! how often somebody asks.

pub mod rate;
pub mod round_robin;
pub mod sticky;
