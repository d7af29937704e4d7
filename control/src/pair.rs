//! A pair of gates: each keeps the other one's flows, and goes on with them when it takes over the addresses.

pub mod key;
pub mod link;
pub mod message;
