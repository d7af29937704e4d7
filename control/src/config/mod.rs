//! The configuration file: as it is written (`file.rs`), what can be true (`check.rs`), and what
//! is said when it is not (`error.rs`).

mod address;
mod backends;
mod check;
mod error;
mod file;
mod interfaces;
mod policy;
mod scheduling;
mod services;
mod types;

pub use error::{Error, Faults};
pub use types::{
    Backend, Config, Control, Dataplane, Device, Held, Interface, Mode, Persistence, Service,
};

use std::path::Path;

/// Reads and checks a file.
///
/// # Errors
///
/// The file can't be read, or says what can't be.
pub fn load(path: &Path) -> Result<Config, Error> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::Unreadable { name: name.clone(), error })?;
    parse(&name, &text).map_err(Error::Faults)
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
mod tests;
