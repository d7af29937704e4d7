//! The configuration file: as it is written (`file.rs`), what can be true (`check.rs`), what
//! is said when it is not (`error.rs`), and how two of them differ (`change.rs`).

mod account;
mod address;
mod backends;
mod change;
mod check;
mod error;
mod file;
mod health;
mod interfaces;
mod nat;
mod passive;
mod policy;
mod protocol;
mod scheduling;
mod services;
mod types;

pub use change::{Change, What, changes};
pub use error::{Error, Faults};
pub use types::{
    Backend, Canary, Config, Control, Dataplane, Device, Ftp, Health, Held, Interface, Login, Mode,
    NatRule, Persistence, Probe, Program, Protocol, Service, User,
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
/// The file can't be read, or says what can't be.
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
