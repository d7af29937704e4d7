//! The shared test kit of the dataplane.
//!
//! - [`packets`]: packets by name; [`topology`]: addresses, services and backends of the tests.
//! - [`engine_harness`]: one engine to send packets through; [`worker_set`]: several workers on in-memory wires.
//! - [`pair`]: two engines, one of which tells the other its flows; [`fleet`]: two that have VIPs at the same time.
//! - [`transfer`], [`connections`]: one flow as both of its ends see it; [`udp_load`], [`tcp_load`]: many, for benchmarks.
//! - [`farm`]: simulated clients and servers; [`lab`]: real ones in network namespaces.
//! - [`counters`]: compares every counter; [`records`]: the log's records with the counters.
//!
//! Packets are built and read by `etherparse`, so that no header or checksum is judged by the code that wrote it.
#![forbid(unsafe_code)]

pub mod connections;
pub mod counters;
pub mod engine_harness;
pub mod exposition;
pub mod farm;
pub mod fleet;
pub mod fragments;
pub mod ftp;
pub mod growth;
pub mod icmp_error;
pub mod lab;
pub mod meanwhile;
pub mod packet;
pub mod packets;
pub mod pair;
pub mod records;
pub mod remains;
pub mod segment;
pub mod tcp_load;
pub mod topology;
pub mod transfer;
pub mod udp_load;
pub mod worker_set;
