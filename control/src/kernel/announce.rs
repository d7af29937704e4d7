//! Announcements of addresses that an interface gets (gratuitous ARP, unsolicited neighbour advertisements): hosts
//! that know another owner send to that one until they hear of this one. Probes ask whether another host has them, too.
//! Both leave like the kernel's frames, in the same VLANs.

use super::kernel_view::KernelView;
use engine::types::id::InterfaceId;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use wire::ethernet::Mac;
use wire::neighbour::{announcement, probe};
use worker::kernel_rings::KernelRings;
use worker::port::Pool;

/// The times of announcements, counted from when the interface got the address: hosts may miss one, and switches may
/// forward nothing at first.
const AFTER: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// The time between two probes, whether another host has the address, too.
const PROBE_EVERY: Duration = Duration::from_secs(30);

/// The number of addresses whose frames leave together: pools have thousands, and the kernel's own frames, of VRRP and BGP
/// among them, leave by the same ring.
const AT_ONCE: usize = 32;
/// The pause after that many.
const PAUSE: Duration = Duration::from_millis(5);

/// An interface whose addresses are announced.
pub struct Announcer {
    /// The interface's number.
    pub interface: InterfaceId,
    /// The interface's own hardware address.
    pub mac: Mac,
}

impl Announcer {
    /// Announces addresses that the interface gets, and probes for other hosts that have them, until the future is
    /// dropped.
    pub async fn run<P: Pool>(
        self,
        mut view: watch::Receiver<KernelView>,
        rings: KernelRings<P::Buffer>,
        pool: Arc<P>,
    ) {
        let mut plan = Plan::default();
        loop {
            plan.follow(self.places(&view.borrow_and_update()));
            for some in plan.due(Instant::now()).chunks(AT_ONCE) {
                for frame in some.iter().flat_map(|due| due.frames()) {
                    // If the ring is full, this one is missed.
                    let _ = pool.frame(&frame).map(|buffer| rings.from_kernel.push(buffer));
                }
                sleep(PAUSE).await;
            }
            tokio::select! {
                changed = view.changed() => if changed.is_err() { return },
                () = sleep_until(plan.next()) => {}
            }
        }
    }

    /// The addresses that the interface has. While its link is down nobody would hear of them: they count as new when it is
    /// up again, perhaps at another switch.
    fn places(&self, view: &KernelView) -> HashSet<Place> {
        let interface = self.interface.index();
        let is_up = !view.down.contains(&interface);
        let there = view.held.iter().filter(|(held, _)| is_up && held.interface == interface);
        there.map(|(held, at)| (held.address, at.unwrap_or(self.mac))).collect()
    }
}

/// An address with its hardware address. Both are announced anew when the address moves to another link above the
/// interface.
type Place = (IpAddr, Mac);

/// Something that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// An announcement and a probe.
    Announcement(Place),
    /// A probe alone.
    Probe(Place),
}

impl Due {
    fn frames(self) -> Vec<Vec<u8>> {
        match self {
            Due::Announcement((address, mac)) => {
                vec![announcement(address, mac), probe(address, mac)]
            }
            Due::Probe((address, mac)) => vec![probe(address, mac)],
        }
    }
}

/// The schedule of announcements and probes.
#[derive(Default)]
struct Plan {
    /// The time when each address came, and how often it was due.
    known: HashMap<Place, (Instant, usize)>,
}

impl Plan {
    /// Follows the addresses that the interface has now.
    fn follow(&mut self, there: HashSet<Place>) {
        self.known.retain(|place, _| there.contains(place));
        for place in there {
            self.known.entry(place).or_insert((Instant::now(), 0));
        }
    }

    /// Announcements and probes that are due.
    fn due(&mut self, now: Instant) -> Vec<Due> {
        let mut due = vec![];
        for (&place, (since, times)) in &mut self.known {
            if *since + after(*times) <= now {
                let is_new = *times < AFTER.len();
                due.push(if is_new { Due::Announcement(place) } else { Due::Probe(place) });
                *times += 1;
            }
        }
        due
    }

    /// The time of the next announcement or probe; in an hour, if there is none.
    fn next(&self) -> Instant {
        let next = self.known.values().map(|&(since, times)| since + after(times));
        next.min().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }
}

/// The time after which an address is due for the nth time.
fn after(times: usize) -> Duration {
    let probes = times.saturating_sub(AFTER.len() - 1) as u32;
    AFTER[times.min(AFTER.len() - 1)] + PROBE_EVERY * probes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Held;
    use tokio::time::advance;

    const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 100));
    const GATE_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const VIRTUAL: Mac = Mac([0, 0, 0x5e, 0, 1, 0x33]);

    #[test]
    fn an_interface_without_a_link_has_nothing_to_announce() {
        let announcer = Announcer { interface: InterfaceId(1), mac: GATE_MAC };
        let held = |interface, mac| (Held { address: VIP, interface }, mac);
        let mut view = KernelView::default();
        view.held.extend([held(0, None), held(1, Some(VIRTUAL))]);
        assert_eq!(announcer.places(&view), HashSet::from([(VIP, VIRTUAL)]));
        view.down.insert(1);
        assert!(announcer.places(&view).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_announced_a_few_times_while_it_is_there_and_then_probed() {
        let (none, there) = (HashSet::new(), HashSet::from([(VIP, GATE_MAC)]));
        let mut plan = Plan::default();
        assert!(plan.due(Instant::now()).is_empty());
        let mut heard = vec![];
        for second in 0..100 {
            plan.follow(there.clone());
            heard.extend(plan.due(Instant::now()).into_iter().map(|due| (second, due)));
            advance(Duration::from_secs(1)).await;
        }
        let announced = [0, 1, 2, 4].map(|second| (second, Due::Announcement((VIP, GATE_MAC))));
        let probed = [34, 64, 94].map(|second| (second, Due::Probe((VIP, GATE_MAC))));
        assert_eq!(heard, [&announced[..], &probed].concat());
        // It goes after the first one, and comes back.
        plan.follow(none.clone());
        plan.follow(there);
        assert_eq!(plan.due(Instant::now()), [Due::Announcement((VIP, GATE_MAC))]);
        plan.follow(HashSet::from([(VIP, VIRTUAL)]));
        assert_eq!(plan.due(Instant::now()), [Due::Announcement((VIP, VIRTUAL))], "it has moved");
        plan.follow(none);
        advance(Duration::from_secs(60)).await;
        assert!(plan.due(Instant::now()).is_empty());
    }
}
