//! What goes through us and where it is kept. Transfers of TFTP: the [`record`]s and the [`table`] that owns them;
//! all else: each [`connection`] and the table of [`connections`]; and the parts of both.

pub mod by_backend;
pub mod connection;
pub mod connections;
pub mod forerunner;
pub mod hosts;
mod index;
pub mod kept;
pub mod key;
mod lists;
pub mod new_hop;
pub mod ports;
pub mod quotas;
pub mod record;
pub mod sessions;
pub mod store;
pub mod table;
pub mod tuple;
pub mod view;
mod wheel;

pub use index::{FlowId, NO_FLOW, Spot};
