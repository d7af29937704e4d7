//! Bytes in, verdict and bytes out: what one worker owns and does with a packet. Nothing here knows
//! a NIC, a clock or a file; time comes in as an argument.
#![forbid(unsafe_code)]

pub mod addresses;
pub mod alg;
pub mod core;
pub mod count;
pub mod family;
pub mod flow;
pub mod fragments;
pub mod frame;
pub mod here;
pub mod mode;
pub mod notice;
pub mod origin;
pub mod outbox;
pub mod own;
pub mod policy;
pub mod reason;
pub mod routes;
pub mod select;
pub mod stage;
pub mod steer;
pub mod sweep;
pub mod tables;
pub mod tick;
pub mod verdict;
