//! Tables of Tidegate in nftables, made by the program `nft`, and notifications of their changes, from the kernel.

mod changes;

pub use changes::Changes;

use super::error::KernelError;
use crate::privilege;
use std::io::Write;
use std::process::{Command, Stdio};

/// A table with hooks at devices (family netdev), which is removed when this value is dropped. The next process takes
/// over the table of a killed one.
#[derive(Debug)]
pub struct Table {
    name: String,
    device: String,
    /// The table's text, as `nft` lists it.
    looks: String,
    undone: bool,
}

/// The beginning of all our tables' names.
const OURS: &str = "tidegate";

impl Table {
    /// Creates a table for this purpose at `device`, with these chains.
    ///
    /// # Errors
    ///
    /// No `nft`, no privilege, no such device, or a name that `nft` cannot take.
    pub fn make(purpose: &str, device: &str, chains: &str) -> Result<Table, KernelError> {
        let name = format!("{OURS}-{purpose}-{}", plain(device)?);
        let looks = String::new();
        let mut table = Table { name, device: device.to_owned(), looks, undone: false };
        table.change(chains)?;
        Ok(table)
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the table is as it was filled last.
    pub fn is_whole(&self) -> bool {
        self.list().is_ok_and(|looks| looks == self.looks)
    }

    fn list(&self) -> Result<String, KernelError> {
        run(&self.device, &format!("list table netdev {}\n", self.name))
    }

    /// Replaces the chains.
    ///
    /// # Errors
    ///
    /// `nft` fails; the old chains stay then.
    pub fn change(&mut self, chains: &str) -> Result<(), KernelError> {
        fill(&self.name, &self.device, chains)?;
        self.looks = self.list()?;
        Ok(())
    }

    fn undo(&mut self) -> Result<(), KernelError> {
        self.undone = true;
        // The first line makes the second one work when somebody else took it out.
        let name = &self.name;
        let script = format!("add table netdev {name}\ndelete table netdev {name}\n");
        run(&self.device, &script).map(drop)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if !self.undone
            && let Err(error) = self.undo()
        {
            log::warn!("{error}");
        }
    }
}

/// Checks that a device's name can stand in a script.
///
/// # Errors
///
/// The name has other characters.
pub fn plain(device: &str) -> Result<&str, KernelError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if device.is_empty() || !device.chars().all(plain) {
        return Err(KernelError::DeviceName(device.to_owned()));
    }
    Ok(device)
}

/// Fills a table, in one transaction. The first line makes the second one work when there is no such table.
fn fill(name: &str, device: &str, chains: &str) -> Result<(), KernelError> {
    let script = format!(
        "add table netdev {name}\n\
         delete table netdev {name}\n\
         table netdev {name} {{\n{chains}\n}}\n"
    );
    run(device, &script).map(drop)
}

/// Runs a script by `nft`, and returns its output.
fn run(device: &str, script: &str) -> Result<String, KernelError> {
    let failed = |said: &str| KernelError::Nft { device: device.to_owned(), said: said.to_owned() };
    let mut nft = Command::new("nft");
    nft.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = privilege::lend(|| nft.spawn()).map_err(KernelError::NoNft)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Should nft stop before it has read all, then its own words say why.
        let _ = stdin.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(&error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("Operation not permitted") {
        return Err(KernelError::Privilege { doing: format!("filter packets of `{device}`") });
    }
    Err(failed(said.lines().next().unwrap_or("nothing")))
}
