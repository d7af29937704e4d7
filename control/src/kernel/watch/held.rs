//! Services' addresses that the kernel holds: on our interfaces, and on macvlan links above them, as keepalived makes for
//! the hardware address of a virtual router (`use_vmac`).

use super::Watcher;
use crate::config::Held;
use crate::kernel::kernel_view::Wanted;
use crate::kernel::link::{self, Macvlan};
use rtnetlink::{Error, Handle};
use std::collections::{HashMap, HashSet};
use wire::ethernet::Mac;

/// The most macvlan links above an interface that count: workers compare frames with the hardware address of each.
const MOST: usize = 16;

/// Services' addresses with the hardware address of the macvlan link that has them, and the hardware addresses of all
/// these links.
type Found = (HashMap<Held, Option<Mac>>, HashSet<(usize, Mac)>);

impl Watcher {
    /// Reads services' addresses that the kernel holds on our interfaces, or on macvlan links above them.
    pub(super) async fn held(&mut self, handle: &Handle, wanted: &Wanted) -> Result<Found, Error> {
        let above = self.above(link::macvlans(handle).await?);
        let mut held = HashMap::new();
        let mut all: Vec<_> = link::usable_addresses(handle).await?.into_iter().collect();
        all.sort_unstable_by_key(|(link, _)| *link);
        for (link, net) in all.into_iter().filter(|(_, net)| wanted.served.contains(&net.addr())) {
            let direct = self.place(link).map(|interface| (interface, None));
            let other = above.get(&link).map(|&(interface, mac)| (interface, Some(mac)));
            let Some((interface, mac)) = direct.or(other) else { continue };
            // Where both have it, clients learn the virtual one.
            let known = held.entry(Held { address: net.addr(), interface }).or_insert(None);
            *known = known.or(mac);
        }
        Ok((held, above.into_values().collect()))
    }

    /// The links above our interfaces that count, by their indices.
    fn above(&mut self, macvlans: Vec<Macvlan>) -> HashMap<u32, (usize, Mac)> {
        let mut above: HashMap<u32, (usize, Mac)> = HashMap::new();
        for Macvlan { index, under, mac } in macvlans {
            let Some(interface) = self.place(under) else { continue };
            if above.values().filter(|(other, _)| *other == interface).count() < MOST {
                above.insert(index, (interface, mac));
            } else if self.crowded.insert(interface) {
                log::warn!(
                    "interface {interface} has more than {MOST} macvlan links: frames to the others are not taken, nor are their addresses"
                );
            }
        }
        above
    }
}
