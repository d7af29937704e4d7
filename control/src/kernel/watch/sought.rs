//! Hosts on our links that workers have found no hop to. Packets between them and us pass the kernel by, so nobody
//! else would have it resolve them.

use super::Watcher;
use crate::kernel::{PATIENCE, neighbour};
use engine::routes::Sought;
use rtnetlink::{Error, Handle};
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// Time between two looks at what is sought.
pub const PAUSE: Duration = Duration::from_millis(125);
/// So many are asked for at a time: a server that scans a network must not fill the kernel's table.
const MOST: usize = 8;

impl Watcher {
    /// Has the kernel resolve some of what is sought. Its answers come as every other change does.
    pub(super) async fn seek(&self, handle: &Handle) -> Result<(), Error> {
        timeout(PATIENCE, self.ask(handle)).await.unwrap_or(Err(Error::RequestFailed))
    }

    async fn ask(&self, handle: &Handle) -> Result<(), Error> {
        for address in some_of(&self.sought) {
            if let Some(station) = neighbour::next_hop(handle, address).await?
                && self.taps.contains(&station.0)
                // What is kept resolved, as routers are, would no longer be.
                && !self.stations.contains(&station)
            {
                neighbour::find(handle, station).await?;
            }
        }
        Ok(())
    }
}

/// Any of them, each once. The rest is forgotten, so that none waits behind a scan: a set has no order.
fn some_of(sought: &Sought) -> impl Iterator<Item = IpAddr> {
    sought.take().collect::<HashSet<_>>().into_iter().take(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u8) -> IpAddr {
        [10, 0, 0, n].into()
    }

    #[test]
    fn each_is_asked_for_once_and_few_at_a_time() {
        let sought = Sought::default();
        let found = || some_of(&sought).collect::<HashSet<_>>();
        for n in [1, 2, 1, 1] {
            sought.note(host(n));
        }
        assert_eq!(some_of(&sought).count(), 2);
        assert_eq!(found(), HashSet::new(), "they were told once");
        (0..40).for_each(|n| sought.note(host(n)));
        assert_eq!(found().len(), MOST);
        assert_eq!(found(), HashSet::new(), "the rest is forgotten");
    }

    #[test]
    fn nobody_waits_behind_a_scan_for_ever() {
        let sought = Sought::default();
        let is_found = |_| {
            (0..40).chain([99]).for_each(|n| sought.note(host(n)));
            some_of(&sought).any(|one| one == host(99))
        };
        assert!((0..1000).any(is_found), "once in five times, by chance");
    }
}
