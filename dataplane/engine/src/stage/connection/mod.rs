//! Connections: of TCP, of UDP other than TFTP's, and whatever else a service takes. Those that nothing happens to go
//! the short way, [`routine`]; the walk of all others is [`connection`].

mod again;
mod begin;
pub mod bond;
mod control;
mod data;
mod expect;
mod follow;
mod lookup;
mod policy;
pub mod reset;
pub mod routine;
mod seen;
mod segment;
pub mod translate;
mod unnamed;

mod walk;
mod way_back;

pub use segment::Segment;
pub use walk::{connection, first_part};
