//! Announcements of addresses that come to an interface: stations that remember another owner send to that one until
//! they hear of this one. Each is made as the kernel's own frames are, and leaves by the same way, in the same VLANs.

use super::view::View;
use crate::config::Held;
use engine::tables::InterfaceId;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use wire::ethernet::Mac;
use wire::neighbour::announcement;
use worker::kernel::KernelRings;
use worker::port::Pool;

/// When an address is announced, counted from when it came: some of a link's stations may miss one or the other, and
/// switches may let nothing through at first.
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
    /// Announces what comes to the interface, until it is dropped.
    pub async fn run<P: Pool>(
        self,
        mut view: watch::Receiver<View>,
        rings: KernelRings<P::Buffer>,
        pool: Arc<P>,
    ) {
        let mut plan = Plan::default();
        loop {
            let held = view.borrow_and_update().held.clone();
            plan.follow(held.iter().filter(|held| held.interface == usize::from(self.interface)));
            for address in plan.due(Instant::now()) {
                let frame = announcement(address, self.mac);
                // A ring that is full is one of those chances missed.
                let _ = pool.frame(&frame).map(|buffer| rings.from_kernel.push(buffer));
            }
            tokio::select! {
                changed = view.changed() => if changed.is_err() { return },
                () = sleep_until(plan.next()) => {}
            }
        }
    }
}

/// Addresses that are there, and how often each was announced.
#[derive(Default)]
struct Plan {
    /// When each came, and how often it was announced.
    known: HashMap<IpAddr, (Instant, usize)>,
}

impl Plan {
    /// Takes these addresses for those that are there.
    fn follow<'a>(&mut self, held: impl Iterator<Item = &'a Held>) {
        let there: HashSet<IpAddr> = held.map(|held| held.address).collect();
        self.known.retain(|address, _| there.contains(address));
        for address in there {
            self.known.entry(address).or_insert((Instant::now(), 0));
        }
    }

    /// Addresses whose time has come.
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

    /// When the next one comes; in an hour, if there is none.
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
