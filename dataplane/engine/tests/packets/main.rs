//! Bytes in, verdict and bytes out: the engine in a small world, one packet at a time.

mod bad_input;
mod bad_ipv6;
mod broadcast;
mod capacity;
mod crossing;
mod dsr;
mod ends;
mod errors;
mod failover;
mod inheritance;
mod learning;
mod limits;
mod modes;
mod parts;
mod pings;
mod policy;
mod properties;
mod rescue;
mod rescue_traps;
mod returning;
mod reuse;
mod schedulers;
mod scheduling;
mod sharing;
mod workers;
