//! Transfers and where they are kept: the [`record`]s, the [`table`] that owns them, and its parts.

pub mod hosts;
mod index;
pub mod kept;
pub mod key;
mod lists;
pub mod ports;
pub mod record;
pub mod store;
pub mod table;
pub mod view;
mod wheel;

pub use index::{FlowId, NO_FLOW, Spot};
