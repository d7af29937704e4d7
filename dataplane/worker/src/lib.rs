//! The poll loop of one core, behind two small traits: a [`port::Port`] and a
//! [`engine::types::frame::Frame`].
#![forbid(unsafe_code)]

pub mod capture;
pub mod command_channel;
pub mod drop_history;
pub mod handover;
pub mod kernel_rings;
pub mod latency;
pub mod memory;
pub mod port;
mod recorder;
mod tx_buffer;
pub mod vlan_ports;
pub mod worker;
