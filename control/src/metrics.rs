//! Metrics for Prometheus: a sample of all values at one moment, and its text in either format. Names and labels are
//! promises to users; `docs/metrics.md` lists them.

mod backends;
mod buckets;
mod checks;
mod collector;
mod daemon;
mod format;
mod interfaces;
mod page;
mod pair;
mod sample;
mod services;
mod workers;

pub use backends::Backend;
pub use buckets::Buckets;
pub use collector::encode;
pub use daemon::{Build, Facts, Reloads};
pub use format::Format;
pub use interfaces::Interface;
pub use pair::{Pair, PairLink};
pub use sample::Sample;
pub use services::{NatRule, Service, SnatPorts};
pub use workers::Worker;

#[cfg(test)]
mod tests;
