//! Flows and their tables. TFTP: [`transfer`] and [`transfer_table`]. Everything else: [`connection`] and
//! [`connection_table`]. Further files are shared by both.

pub mod by_backend;
pub mod connection;
pub mod connection_table;
pub mod endpoint;
pub mod epochs;
pub mod forerunner;
pub mod fragment_table;
pub mod ftp_session_table;
pub mod hash;
mod hash_index;
pub mod host_table;
pub mod key;
mod lists;
pub mod new_hop;
pub mod occupancy;
pub mod port_allocator;
pub mod query;
pub mod quotas;
pub mod rehome;
pub mod rows;
pub mod saved_request;
pub mod set_assoc;
pub mod state;
pub mod store;
pub mod summary;
mod timer_wheel;
pub mod transfer;
pub mod transfer_table;
pub mod tuple;

pub use hash_index::{BucketRef, FlowId, NO_FLOW};
