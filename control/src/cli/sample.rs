//! The daemon's answers at one time, for commands that compare two of them.

use super::client::{Failure, parse};
use crate::api::{Backend, Request, Service, Stats, Status};
use serde_json::Value;
use std::time::Instant;

/// The daemon's answers at one time.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The time of the answers.
    pub at: Instant,
    /// The daemon as a whole.
    pub status: Status,
    /// The services.
    pub services: Vec<Service>,
    /// The backends.
    pub backends: Vec<Backend>,
    /// The counters.
    pub stats: Stats,
}

impl Sample {
    /// The requests for a sample.
    pub const REQUESTS: [Request; 4] =
        [Request::Status {}, Request::Services {}, Request::Backends {}, Request::Stats {}];

    /// Reads the answers to [`Sample::REQUESTS`], which have come just now.
    pub fn read(answers: [Value; 4]) -> Result<Sample, Failure> {
        let [status, services, backends, stats] = answers;
        Ok(Sample {
            at: Instant::now(),
            status: parse(status)?,
            services: parse(services)?,
            backends: parse(backends)?,
            stats: parse(stats)?,
        })
    }
}

/// The growth of a counter. One of a daemon that was restarted meanwhile has not grown.
pub fn grown(before: u64, now: u64) -> u64 {
    now.saturating_sub(before)
}
