//! Metrics of the daemon as a whole.

use super::page::{NO_LABELS, Page};
use std::fmt;
use std::time::SystemTime;

/// Facts about the daemon.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Versions of what runs.
    pub build: Build,
    /// The time of the start, in seconds since 1970.
    pub start: f64,
    /// The outcome of reloads.
    pub reloads: Reloads,
    /// Records that the log of transfers has lost.
    pub lost_records: u64,
    /// Frames that captures have lost.
    pub lost_frames: u64,
}

/// Versions of what runs.
#[derive(Debug, Clone, Default)]
pub struct Build {
    /// Tidegate's.
    pub version: &'static str,
    /// DPDK's.
    pub dpdk: String,
    /// The compiler's.
    pub rustc: &'static str,
}

/// The outcome of reloads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reloads {
    /// Whether the last one succeeded; true before the first one.
    pub is_last_successful: bool,
    /// The time of the last successful one, or of the start, in seconds since 1970.
    pub last_success: f64,
}

impl Facts {
    /// Facts about a daemon that starts now.
    pub fn new(dpdk: String) -> Facts {
        let build =
            Build { version: env!("CARGO_PKG_VERSION"), dpdk, rustc: env!("TIDEGATE_RUSTC") };
        let start = now();
        let reloads = Reloads { is_last_successful: true, last_success: start };
        Facts { build, start, reloads, lost_records: 0, lost_frames: 0 }
    }

    /// Notes that a reload was successful now.
    pub fn reloaded(&mut self) {
        self.reloads.last_success = now();
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |time| time.as_secs_f64())
}

pub(super) fn encode(facts: &Facts, page: &mut Page) -> fmt::Result {
    let Build { version, dpdk, rustc } = &facts.build;
    let labels = [("version", *version), ("dpdk", dpdk), ("rustc", *rustc)];
    page.gauge("build_info", "Versions of what runs", [(labels, 1)])?;
    let help = "Time of the daemon's start, since the Unix epoch";
    page.lone_gauge("start_time_seconds", help, facts.start)?;
    let Reloads { is_last_successful, last_success } = facts.reloads;
    page.lone_gauge(
        "config_last_reload_successful",
        "Whether the last attempt to reload the configuration was successful",
        f64::from(u8::from(is_last_successful)),
    )?;
    page.lone_gauge(
        "config_last_reload_success_timestamp_seconds",
        "Time of the last successful reload of the configuration, or of the start",
        last_success,
    )?;
    let help = "Records of the log of transfers that a full ring, a rate or an output has lost";
    page.counter("log_records_dropped", help, [(NO_LABELS, facts.lost_records)])?;
    let help = "Frames that captures have lost because their readers were too slow";
    page.counter("capture_packets_dropped", help, [(NO_LABELS, facts.lost_frames)])
}
