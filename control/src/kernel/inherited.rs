//! State that an earlier process left in the kernel. TAPs outlive their process, and with them addresses, routes, and
//! other programs' sockets: TAPs are known by their alias, addresses and routes by their protocol.

use super::error::KernelError;
use super::link;
use ipnet::IpNet;
use rtnetlink::Handle;
use std::collections::HashMap;
use std::path::Path;

/// The alias of the TAPs of the daemon on this socket. There may be several daemons on a machine.
pub fn alias(socket: &Path) -> String {
    format!("tidegate {}", socket.display())
}

/// Finds the TAPs that an earlier process left, and removes those that no longer have an interface of these names.
/// Returns the others, by name.
///
/// # Errors
///
/// The kernel did not answer, or keeps a TAP.
pub async fn taps(
    handle: &Handle,
    alias: &str,
    names: &[&str],
) -> Result<HashMap<String, u32>, KernelError> {
    let failed = |error| KernelError::netlink("read interfaces".into(), error);
    let mut left = link::with_alias(handle, alias).await.map_err(failed)?;
    let removed = left.extract_if(|name, _| !names.contains(&name.as_str()));
    for (name, index) in removed.collect::<Vec<_>>() {
        let failed = |error| KernelError::netlink(format!("remove the TAP `{name}`"), error);
        link::delete(handle, index).await.map_err(failed)?;
    }
    Ok(left)
}

/// Removes the addresses that an earlier process has added to a TAP and that are not wanted any longer.
///
/// # Errors
///
/// The kernel did not answer, or keeps an address.
pub async fn clear(
    handle: &Handle,
    index: u32,
    is_wanted: impl Fn(&IpNet) -> bool,
) -> Result<(), KernelError> {
    let failed = |error| KernelError::netlink("read addresses".into(), error);
    let all = link::addresses_of(handle, link::PROTOCOL).await.map_err(failed)?;
    for (_, net) in all.iter().filter(|(link, net)| *link == index && !is_wanted(net)) {
        let failed = |error| KernelError::netlink(format!("remove {net}"), error);
        link::delete_address(handle, index, *net).await.map_err(failed)?;
    }
    Ok(())
}
