//! Cuts a device off the kernel's network stack. An af_packet device leaves the kernel a copy of
//! each frame, which it would answer with the device's own idea of the world. An ingress chain
//! (nftables, family netdev) that drops everything lies behind the packet taps: the dataplane
//! still sees every frame, the stack none.

use super::error::KernelError;
use super::nft::Table;

/// Cuts `device` off until the table is gone.
///
/// # Errors
///
/// What nftables says to that.
pub fn cut(device: &str) -> Result<Table, KernelError> {
    let hook = format!("type filter hook ingress device \"{device}\" priority -500");
    Table::make("tidegate", device, &format!("chain cut {{ {hook}; policy drop; }}"))
}
