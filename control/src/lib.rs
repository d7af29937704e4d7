//! Everything that is not per packet: configuration, the kernel, statistics, the socket.
#![forbid(unsafe_code)]

pub mod api;
pub mod appliance;
pub mod cli;
pub mod conduct;
pub mod config;
pub mod desks;
pub mod eal;
mod envelope;
pub mod estate;
pub mod events;
pub mod health;
pub mod in_force;
pub mod kernel;
pub mod lasting;
pub mod preflight;
mod private;
pub mod privilege;
pub mod registry;
pub mod reload;
pub mod server;
pub mod standing;
mod stats;
pub mod tables;
