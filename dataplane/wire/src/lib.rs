//! Bytes to headers and back. A header is a view over the frame's own bytes, checked once when it
//! is made; no accessor can fail after that. Nothing here knows of flows, services or devices.
#![forbid(unsafe_code)]

pub mod checksum;
pub mod ethernet;
pub mod ftp;
pub mod icmp;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod neighbour;
pub mod plain;
pub mod tcp;
pub mod tftp;
pub mod trouble;
pub mod udp;
pub mod vlan;
