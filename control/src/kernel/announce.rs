//! Announcements of addresses that an interface gets (gratuitous ARP, unsolicited neighbour advertisements): hosts
//! that know another owner send to that one until they hear of this one. Announcements leave like the kernel's
//! frames, in the same VLANs.

use super::kernel_view::KernelView;
use crate::config::Held;
use engine::types::id::InterfaceId;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use wire::ethernet::Mac;
use wire::neighbour::announcement;
use worker::kernel_rings::KernelRings;
use worker::port::Pool;

/// The times of announcements, counted from when the interface got the address: hosts may miss one, and switches may
/// forward nothing at first.
const AFTER: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// An interface whose addresses are announced.
pub struct Announcer {
    /// The interface's number.
    pub interface: InterfaceId,
    /// The hardware address that is announced.
    pub mac: Mac,
}

impl Announcer {
    /// Announces addresses that the interface gets, until the future is dropped.
    pub async fn run<P: Pool>(
        self,
        mut view: watch::Receiver<KernelView>,
        rings: KernelRings<P::Buffer>,
        pool: Arc<P>,
    ) {
        let mut plan = Plan::default();
        loop {
            let held = view.borrow_and_update().held.clone();
            plan.follow(held.iter().filter(|held| held.interface == self.interface.index()));
            for address in plan.due(Instant::now()) {
                let frame = announcement(address, self.mac);
                // If the ring is full, this announcement is missed.
                let _ = pool.frame(&frame).map(|buffer| rings.from_kernel.push(buffer));
            }
            tokio::select! {
                changed = view.changed() => if changed.is_err() { return },
                () = sleep_until(plan.next()) => {}
            }
        }
    }
}

/// The schedule of announcements.
#[derive(Default)]
struct Plan {
    /// The time when each address came, and the number of its announcements.
    known: HashMap<IpAddr, (Instant, usize)>,
}

impl Plan {
    /// Follows the addresses that the interface has now.
    fn follow<'a>(&mut self, held: impl Iterator<Item = &'a Held>) {
        let there: HashSet<IpAddr> = held.map(|held| held.address).collect();
        self.known.retain(|address, _| there.contains(address));
        for address in there {
            self.known.entry(address).or_insert((Instant::now(), 0));
        }
    }

    /// Addresses that are due for an announcement.
    fn due(&mut self, now: Instant) -> Vec<IpAddr> {
        let mut due = vec![];
        for (&address, (since, times)) in &mut self.known {
            if AFTER.get(*times).is_some_and(|&after| *since + after <= now) {
                *times += 1;
                due.push(address);
            }
        }
        due
    }

    /// The time of the next announcement; in an hour, if there is none.
    fn next(&self) -> Instant {
        let next = |(since, times): &(Instant, usize)| Some(*since + *AFTER.get(*times)?);
        let never = || Instant::now() + Duration::from_secs(3600);
        self.known.values().filter_map(next).min().unwrap_or_else(never)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 100));

    #[tokio::test(start_paused = true)]
    async fn an_address_is_announced_a_few_times_while_it_is_there() {
        let held = Held { address: VIP, interface: 0 };
        let mut plan = Plan::default();
        assert!(plan.due(Instant::now()).is_empty());
        let mut heard = vec![];
        for tenth in 0..100 {
            plan.follow([held].iter());
            heard.extend(plan.due(Instant::now()).iter().map(|_| tenth));
            advance(Duration::from_millis(100)).await;
        }
        assert_eq!(heard, [0, 10, 20, 40]);
        // It goes after the first one, and comes back.
        plan.follow([].iter());
        plan.follow([held].iter());
        assert_eq!(plan.due(Instant::now()), [VIP]);
        plan.follow([].iter());
        advance(Duration::from_secs(10)).await;
        assert!(plan.due(Instant::now()).is_empty());
    }
}
