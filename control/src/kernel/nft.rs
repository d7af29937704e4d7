//! Tables of ours in nftables, by its own program.

use super::error::KernelError;
use crate::privilege;
use std::io::Write;
use std::process::{Command, Stdio};

/// A table that hooks in at devices (family netdev), and goes when this is dropped. One that a killed process
/// left behind is taken over by the next one.
#[derive(Debug)]
pub struct Table {
    name: String,
    device: String,
    undone: bool,
}

impl Table {
    /// A table for this purpose at `device` with these chains.
    ///
    /// # Errors
    ///
    /// No `nft`, no privilege, no such device, or a name that `nft` cannot take.
    pub fn make(purpose: &str, device: &str, chains: &str) -> Result<Table, KernelError> {
        let name = format!("{purpose}-{}", plain(device)?);
        fill(&name, device, chains)?;
        Ok(Table { name, device: device.to_owned(), undone: false })
    }

    /// Puts other chains in place of those that are there.
    ///
    /// # Errors
    ///
    /// What `nft` says; then the old ones stay.
    pub fn change(&self, chains: &str) -> Result<(), KernelError> {
        fill(&self.name, &self.device, chains)
    }

    /// Takes it out.
    ///
    /// # Errors
    ///
    /// `nft` could not do it; the message says what to look at.
    pub fn remove(mut self) -> Result<(), KernelError> {
        self.undo()
    }

    fn undo(&mut self) -> Result<(), KernelError> {
        self.undone = true;
        run(&self.device, &format!("delete table netdev {}\n", self.name))
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

/// A device's name, if it can stand in a script.
///
/// # Errors
///
/// It can't.
pub fn plain(device: &str) -> Result<&str, KernelError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if device.is_empty() || !device.chars().all(plain) {
        return Err(KernelError::DeviceName(device.to_owned()));
    }
    Ok(device)
}

/// One transaction. The first line makes the second one work when there is no such table.
fn fill(name: &str, device: &str, chains: &str) -> Result<(), KernelError> {
    let script = format!(
        "add table netdev {name}\n\
         delete table netdev {name}\n\
         table netdev {name} {{\n{chains}\n}}\n"
    );
    run(device, &script)
}

fn run(device: &str, script: &str) -> Result<(), KernelError> {
    let failed = |said: &str| KernelError::Nft { device: device.to_owned(), said: said.to_owned() };
    let mut nft = Command::new("nft");
    nft.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = privilege::lend(|| nft.spawn()).map_err(KernelError::NoNft)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Should nft stop before it has read all, then its own words say why.
        let _ = stdin.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(&error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("Operation not permitted") {
        return Err(KernelError::Privilege { doing: format!("filter packets of `{device}`") });
    }
    Err(failed(said.lines().next().unwrap_or("nothing")))
}
