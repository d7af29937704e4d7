//! The configuration file: as it is written (`file.rs`), checked (`check.rs`), its faults (`error.rs`), and
//! differences between two files (`change.rs`).
//!
//! ```
//! use control::config;
//!
//! let minimal = include_str!("../../../conf/minimal.toml");
//! let config = config::parse("minimal.toml", minimal).expect("no faults");
//! assert_eq!(config.services[0].name, "pxe");
//!
//! // All faults are found, each with its line.
//! let faults = config::parse("minimal.toml", &minimal.replace("vip ", "vips ")).unwrap_err();
//! assert!(faults.to_string().contains("vips"));
//! ```

mod account;
mod address;
mod announce;
mod backends;
mod change;
mod check;
mod control;
mod error;
mod file;
mod health;
mod interfaces;
mod log;
mod nat;
mod pair;
mod passive;
mod policy;
mod protocol;
mod scheduling;
mod services;
mod types;

pub use change::{Change, What, changes};
pub use error::{Error, Faults};
pub use types::{
    Addresses, Announce, Backend, Canary, Config, Control, Dataplane, Device, Health, Held,
    HttpAccess, Interface, Listen, LogFormat, LogOutput, LogTarget, Login, Mode, NatRule, Outcomes,
    Pair, Persistence, Probe, Program, REFUSED, Service, User, WantedOutcomes,
};

use std::path::Path;

/// A file that was read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The checked configuration.
    pub config: Config,
    /// The file's sections and keys as they are written.
    pub table: toml::Table,
}

/// Reads and checks a file.
///
/// # Errors
///
/// The file can't be read, or has faults.
pub fn load(path: &Path) -> Result<Written, Error> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::Unreadable { name: name.clone(), error })?;
    read(&name, &text).map_err(Error::Faults)
}

/// Checks a file's text, and keeps it as it is written; `name` is what its faults call it.
///
/// # Errors
///
/// All faults, as [`parse`].
pub fn read(name: &str, text: &str) -> Result<Written, Faults> {
    let config = parse(name, text)?;
    // What has no fault of grammar is a table.
    Ok(Written { config, table: text.parse().unwrap_or_default() })
}

/// Checks a file's text; `name` is what its faults call it.
///
/// # Errors
///
/// All faults, each with its place. A fault of grammar hides those behind it.
pub fn parse(name: &str, text: &str) -> Result<Config, Faults> {
    let file = file::File::read(text).map_err(|fault| Faults::new(name, text, vec![fault]))?;
    check::check(&file).map_err(|faults| Faults::new(name, text, faults))
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
