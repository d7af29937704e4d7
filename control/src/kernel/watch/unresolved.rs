//! Hosts on our links that workers found no next hop to. The kernel does not see the packets to them, so nothing else
//! would make it resolve them.

use super::Watcher;
use crate::kernel::link::PATIENCE;
use crate::kernel::neighbour;
use engine::net::route_table::Unresolved;
use rtnetlink::{Error, Handle};
use std::collections::HashSet;
use std::net::IpAddr;
use tokio::time::timeout;

/// The most hosts that are resolved at a time: a server that scans a network must not fill the kernel's table.
const MOST: usize = 8;

impl Watcher {
    /// Has the kernel resolve some of the hosts. The outcome arrives as events.
    pub(super) async fn seek(&self, handle: &Handle) -> Result<(), Error> {
        timeout(PATIENCE, self.ask(handle)).await.unwrap_or(Err(Error::RequestFailed))
    }

    async fn ask(&self, handle: &Handle) -> Result<(), Error> {
        for address in some_of(&self.unresolved) {
            if let Some(neighbour) = neighbour::next_hop(handle, address).await?
                && self.taps.contains(&neighbour.0)
                // A neighbour that is kept resolved, as routers are, would no longer be.
                && !self.next_hops.contains(&neighbour)
            {
                neighbour::find(handle, neighbour).await?;
            }
        }
        Ok(())
    }
}

/// Some of the hosts, each once, in no order. The rest is forgotten, so that none waits behind a scan.
fn some_of(unresolved: &Unresolved) -> impl Iterator<Item = IpAddr> {
    unresolved.take().collect::<HashSet<_>>().into_iter().take(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u8) -> IpAddr {
        [10, 0, 0, n].into()
    }

    #[test]
    fn each_is_asked_for_once_and_few_at_a_time() {
        let unresolved = Unresolved::default();
        let found = || some_of(&unresolved).collect::<HashSet<_>>();
        for n in [1, 2, 1, 1] {
            unresolved.note(host(n));
        }
        assert_eq!(some_of(&unresolved).count(), 2);
        assert_eq!(found(), HashSet::new(), "they were told once");
        (0..40).for_each(|n| unresolved.note(host(n)));
        assert_eq!(found().len(), MOST);
        assert_eq!(found(), HashSet::new(), "the rest is forgotten");
    }

    #[test]
    fn nobody_waits_behind_a_scan_for_ever() {
        let unresolved = Unresolved::default();
        let is_found = |_| {
            (0..40).chain([99]).for_each(|n| unresolved.note(host(n)));
            some_of(&unresolved).any(|one| one == host(99))
        };
        assert!((0..1000).any(is_found), "once in five times, by chance");
    }
}
