//! Cuts a device off the kernel's network stack. An af_packet device leaves the kernel a copy of
//! each frame, which it would answer with the device's own idea of the world. An ingress chain
//! (nftables, family netdev) that drops everything lies behind the packet taps: the dataplane
//! still sees every frame, the stack none.

use super::error::KernelError;
use std::io::Write;
use std::process::{Command, Stdio};

/// A device that is cut off until this is dropped. A cut that a killed process left behind is taken
/// over by the next one.
#[derive(Debug)]
pub struct Cut {
    device: String,
    undone: bool,
}

impl Cut {
    /// Cuts `device` off.
    ///
    /// # Errors
    ///
    /// No `nft`, no privilege, no such device, or a name that `nft` cannot take.
    pub fn make(device: &str) -> Result<Cut, KernelError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if device.is_empty() || !device.chars().all(plain) {
            return Err(KernelError::DeviceName(device.to_owned()));
        }
        // One transaction. The first line makes the second one work when there is no such table.
        let script = format!(
            "add table netdev tidegate-{device}\n\
             delete table netdev tidegate-{device}\n\
             add table netdev tidegate-{device}\n\
             add chain netdev tidegate-{device} cut \
             {{ type filter hook ingress device \"{device}\" priority -500; policy drop; }}\n"
        );
        nft(device, &script)?;
        Ok(Cut { device: device.to_owned(), undone: false })
    }

    /// Gives the kernel its copies back.
    ///
    /// # Errors
    ///
    /// `nft` could not do it; the message says what to remove by hand.
    pub fn remove(mut self) -> Result<(), KernelError> {
        self.undo()
    }

    fn undo(&mut self) -> Result<(), KernelError> {
        self.undone = true;
        nft(&self.device, &format!("delete table netdev tidegate-{}\n", self.device))
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        if !self.undone
            && let Err(error) = self.undo()
        {
            log::warn!("{error}");
        }
    }
}

fn nft(device: &str, script: &str) -> Result<(), KernelError> {
    let cut = |said: &str| KernelError::Cut { device: device.to_owned(), said: said.to_owned() };
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(KernelError::NoNft)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Should nft stop before it has read all, then its own words say why.
        let _ = stdin.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| cut(&error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("Operation not permitted") {
        return Err(KernelError::Privilege { doing: format!("cut `{device}` off the kernel") });
    }
    Err(cut(said.lines().next().unwrap_or("nothing")))
}
