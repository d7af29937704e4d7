//! Everything that is not per packet: configuration, the kernel, statistics, the socket.
#![forbid(unsafe_code)]

pub mod config;
pub mod eal;
pub mod kernel;
pub mod preflight;
pub mod tables;
