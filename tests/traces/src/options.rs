//! The options of `tidegate-traces`.

use clap::Parser;
use std::path::PathBuf;

/// Habits of real clients and servers, as captures at the gate.
#[derive(Debug, Parser)]
#[command(name = "tidegate-traces", version)]
pub struct Options {
    /// Folder for the captures.
    pub folder: PathBuf,
    /// Writes only arriving frames, in the fuzzer's format.
    #[arg(long)]
    pub scripts: bool,
}
