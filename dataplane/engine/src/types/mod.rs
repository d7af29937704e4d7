//! Types of all floors: verdicts and reasons, ids, time, and packet buffers.

#[macro_use]
mod row_layout;

pub mod direction;
pub mod drop_reason;
pub mod end_reason;
pub mod frame;
pub mod id;
pub mod mode;
pub mod next_hop;
pub mod selection_reason;
pub mod tftp_path;
pub mod tick;
pub mod token_bucket;
pub mod verdict;
