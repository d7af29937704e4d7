//! Bytes in, verdict and bytes out: what one worker owns and does with a packet. Nothing here knows
//! a NIC, a clock or a file; time comes in as an argument.
#![forbid(unsafe_code)]

pub mod count;
pub mod flow;
pub mod frame;
pub mod reason;
pub mod tables;
pub mod tick;
pub mod verdict;
