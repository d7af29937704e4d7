//! The options of `tidegated`.

use clap::Parser;
use log::LevelFilter;
use std::path::PathBuf;

/// A load balancer for TFTP on DPDK.
#[derive(Debug, Parser)]
#[command(name = "tidegated", version)]
pub struct Options {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "/etc/tidegate/tidegate.toml")]
    pub config: PathBuf,
    /// Only read and check it.
    #[arg(long)]
    pub check: bool,
    /// Least severity that is logged: off, error, warn, info, debug or trace. From debug on, DPDK's own
    /// lines too.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: LevelFilter,
}
