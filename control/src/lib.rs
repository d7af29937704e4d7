//! The control plane, everything that is not per packet: configuration, the kernel, health checks, statistics, the
//! socket.
#![forbid(unsafe_code)]

pub mod active_config;
mod announce;
pub mod api;
pub mod backend_status;
pub mod carry_over;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod eal_args;
pub mod events;
pub mod flow_log;
mod foreign_text;
pub mod health;
pub mod histogram;
pub mod http;
mod ip_ends;
mod jsonrpc;
pub mod kernel;
pub mod metrics;
pub mod options;
pub mod pair;
mod passwords;
pub mod preflight;
mod private;
pub mod privilege;
pub mod registry;
pub mod saved_state;
mod seats;
pub mod server;
pub mod service_facts;
pub mod snapshot;
mod stats;
pub mod supervisor;
mod unix_socket;
mod wall_clock;
pub mod web;
pub mod worker_channels;
