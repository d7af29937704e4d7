//! State that an earlier process left in the kernel. TAPs outlive their process, and with them addresses, routes, and
//! other programs' sockets: TAPs are known by their alias, addresses and routes by their protocol.

use super::error::KernelError;
use super::link::{self, Aliased};
use crate::config::Held;
use crate::unix_socket;
use ipnet::IpNet;
use rtnetlink::Handle;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The beginning of every daemon's alias.
const MARK: &str = "tidegate ";

/// State of earlier processes that this one takes over.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Aliases of these processes: this daemon's own, and those of daemons that have ended and had TAPs of our interfaces'
    /// names, as after a change of `control.socket`.
    pub aliases: HashSet<String>,
    /// The indices of TAPs that were left, by name.
    pub taps: HashMap<String, u32>,
}

/// The alias of the daemon on this socket. There may be several daemons on a machine.
pub fn alias(socket: &Path) -> String {
    format!("{MARK}{}", socket.display())
}

/// Whether the daemon of an alias has ended. An alias that is no daemon's is not left by one.
fn is_left(alias: &str) -> bool {
    alias.strip_prefix(MARK).is_some_and(|socket| !unix_socket::is_locked(Path::new(socket)))
}

/// Finds the TAPs that an earlier process left, and removes those that no longer have an interface of these names.
///
/// # Errors
///
/// The kernel did not answer, or keeps a TAP.
pub async fn find(handle: &Handle, alias: &str, names: &[&str]) -> Result<Inherited, KernelError> {
    let failed = |error| KernelError::netlink("read interfaces".into(), error);
    let links = link::aliased(handle).await.map_err(failed)?;
    let is_named = |link: &Aliased| names.contains(&link.name.as_str());
    let left = links.iter().filter(|link| is_named(link) && is_left(&link.alias));
    let aliases: HashSet<_> =
        left.map(|link| link.alias.clone()).chain([alias.to_owned()]).collect();
    let mut taps = HashMap::new();
    for link in links.into_iter().filter(|link| aliases.contains(&link.alias)) {
        let Aliased { name, index, .. } = link;
        if names.contains(&name.as_str()) {
            taps.insert(name, index);
        } else {
            remove(handle, &name, index).await?;
        }
    }
    Ok(Inherited { aliases, taps })
}

impl Inherited {
    /// The addresses that earlier processes have left on TAPs; `names` are those of the interfaces.
    ///
    /// # Errors
    ///
    /// The kernel did not answer.
    pub async fn held(
        &self,
        handle: &Handle,
        names: &[&str],
    ) -> Result<HashSet<Held>, KernelError> {
        let failed = |error| KernelError::netlink("read addresses".into(), error);
        let all = link::addresses_of(handle, link::PROTOCOL).await.map_err(failed)?;
        let interface = |link| names.iter().position(|&name| self.taps.get(name) == Some(&link));
        let held = all.into_iter().filter_map(|(link, net)| {
            Some(Held { address: net.addr(), interface: interface(link)? })
        });
        Ok(held.collect())
    }

    /// Removes the TAPs that were not taken over.
    ///
    /// # Errors
    ///
    /// The kernel keeps a TAP; the others are removed all the same.
    pub async fn remove(self, handle: &Handle) -> Result<(), KernelError> {
        let mut outcome = Ok(());
        for (name, index) in self.taps {
            outcome = outcome.and(remove(handle, &name, index).await);
        }
        outcome
    }
}

async fn remove(handle: &Handle, name: &str, index: u32) -> Result<(), KernelError> {
    let failed = |error| KernelError::netlink(format!("remove the TAP `{name}`"), error);
    link::delete(handle, index).await.map_err(failed)
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
