//! The network around the gate: owners of addresses, next hops, origins of frames, and how a device distributes packets
//! over workers.

pub mod address_map;
pub mod origin;
pub mod route_table;
pub mod rss;
