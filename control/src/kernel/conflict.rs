//! Conflicts: other hosts on a link that claim an address of ours, by ARP or neighbour advertisements. They are heard in
//! the frames that workers leave to the kernel, where answers to our probes are too.

use super::kernel_view::KernelView;
use crate::config::Held;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use wire::ethernet::Mac;
use wire::neighbour;

/// The time after which another claim makes a conflict: when an address moves here, the last frames of the host that
/// had it may still come.
const AGAIN: Duration = Duration::from_millis(500);
/// The time without a claim after which a conflict is over: two probes were not answered.
const OVER: Duration = Duration::from_secs(75);
/// The most conflicts of an interface at a time that are logged: claims can be forged.
const MOST_LOGGED: usize = 8;
/// The time between two looks for conflicts that are over.
const LOOK: Duration = Duration::from_secs(1);

/// Conflicts now: the address, with the hardware address that also claims it.
pub type Conflicts = BTreeMap<Held, Mac>;

/// The watch over the claims on one interface.
pub struct ConflictWatch {
    interface: usize,
    name: String,
    /// The hardware addresses of all our interfaces: where two are on one link, the kernel may answer on the other.
    macs: Vec<Mac>,
    view: watch::Receiver<KernelView>,
    claims: HashMap<IpAddr, Claims>,
    /// The conflicts of all interfaces.
    conflicts: Arc<watch::Sender<Conflicts>>,
    looked: Instant,
}

/// The claims on one address.
struct Claims {
    mac: Mac,
    first: Instant,
    last: Instant,
    stage: Stage,
}

/// The significance of the claims on an address so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Claimed once, which is no conflict yet.
    Once,
    /// A conflict whose beginning was logged, and whose end will be.
    Logged,
    /// A conflict beyond those that are logged.
    Silent,
}

impl ConflictWatch {
    /// Creates the watch over the interface with this number and name. `macs` are the hardware addresses of all
    /// interfaces.
    pub fn new(
        (interface, name): (usize, &str),
        macs: Vec<Mac>,
        view: watch::Receiver<KernelView>,
        conflicts: Arc<watch::Sender<Conflicts>>,
    ) -> ConflictWatch {
        let (name, claims, looked) = (name.to_owned(), HashMap::new(), Instant::now());
        ConflictWatch { interface, name, macs, view, claims, conflicts, looked }
    }

    /// Looks at a frame from the link.
    pub fn see(&mut self, frame: &[u8]) {
        let Some(neighbour::Claim { address, mac }) = neighbour::claim(frame) else { return };
        if !self.is_ours_alone(address, mac) {
            return;
        }
        let now = Instant::now();
        let new = || Claims { mac, first: now, last: now, stage: Stage::Once };
        let claims = self.claims.entry(address).or_insert_with(new);
        claims.last = now;
        if claims.stage == Stage::Once && now - claims.first >= AGAIN {
            claims.mac = mac;
            self.begin(address, mac);
        }
    }

    /// Whether we have the address, and the hardware address is not ours.
    fn is_ours_alone(&self, address: IpAddr, mac: Mac) -> bool {
        let view = self.view.borrow();
        let held = Held { address, interface: self.interface };
        view.held.contains_key(&held)
            && !self.macs.contains(&mac)
            && view.virtual_macs.iter().all(|&(_, ours)| ours != mac)
    }

    fn begin(&mut self, address: IpAddr, mac: Mac) {
        let logged = self.claims.values().filter(|one| one.stage == Stage::Logged).count();
        let stage = if logged < MOST_LOGGED { Stage::Logged } else { Stage::Silent };
        if stage == Stage::Logged {
            log::warn!("conflict: {address} of `{}` is also at {mac}", self.name);
        }
        if logged + 1 == MOST_LOGGED {
            log::warn!(
                "further conflicts on `{}` are not logged: see `tidegate status`",
                self.name
            );
        }
        if let Some(claims) = self.claims.get_mut(&address) {
            claims.stage = stage;
        }
        let held = Held { address, interface: self.interface };
        self.conflicts.send_modify(|conflicts| {
            conflicts.insert(held, mac);
        });
    }

    /// Ends the conflicts that are over, once a second at most.
    pub fn end_old(&mut self) {
        if self.claims.is_empty() || self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        let ConflictWatch { interface, name, view, claims, conflicts, .. } = self;
        let view = view.borrow();
        claims.retain(|&address, claims| {
            let held = Held { address, interface: *interface };
            let is_held = view.held.contains_key(&held);
            if is_held && claims.last.elapsed() < OVER {
                return true;
            }
            if claims.stage == Stage::Logged {
                let why = if is_held {
                    "nobody else claims it any more"
                } else {
                    "it is not here any more"
                };
                log::info!("the conflict about {address} of `{name}` is over: {why}");
            }
            conflicts.send_if_modified(|conflicts| conflicts.remove(&held).is_some());
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;
    use wire::neighbour::announcement;

    const GATE_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const NEXT: Mac = Mac([2, 0, 0, 0, 0, 2]);
    const VIRTUAL: Mac = Mac([0, 0, 0x5e, 0, 1, 0x33]);
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 0x99]);

    fn held(n: u8) -> Held {
        Held { address: [10, 0, 0, n].into(), interface: 0 }
    }

    /// A watch over an interface whose kernel holds the addresses 10.0.0.100 and up, and what it publishes.
    fn watch_over(
        count: u8,
    ) -> (ConflictWatch, watch::Sender<KernelView>, Arc<watch::Sender<Conflicts>>) {
        let (view, conflicts) = (watch::Sender::default(), Arc::default());
        let watch = ConflictWatch::new(
            (0, "lan"),
            vec![GATE_MAC, NEXT],
            view.subscribe(),
            Arc::clone(&conflicts),
        );
        view.send_modify(|view: &mut KernelView| {
            view.held = (0..count).map(|n| (held(100 + n), None)).collect();
            view.virtual_macs.insert((0, VIRTUAL));
        });
        (watch, view, conflicts)
    }

    fn claims(watch: &mut ConflictWatch, n: u8, mac: Mac) {
        watch.see(&announcement(held(n).address, mac));
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_goes_on_claiming_an_address_of_ours_is_in_conflict() {
        let (mut watch, _view, conflicts) = watch_over(1);
        let now = || conflicts.borrow().clone();
        for _ in 0..20 {
            claims(&mut watch, 100, GATE_MAC);
            claims(&mut watch, 100, NEXT);
            claims(&mut watch, 100, VIRTUAL);
            claims(&mut watch, 99, OTHER);
            advance(AGAIN).await;
        }
        assert!(now().is_empty(), "our own, and another address");
        // As the host does that had the address before.
        claims(&mut watch, 100, OTHER);
        claims(&mut watch, 100, OTHER);
        assert!(now().is_empty());
        advance(AGAIN).await;
        claims(&mut watch, 100, OTHER);
        assert_eq!(now(), [(held(100), OTHER)].into());
        advance(OVER / 2).await;
        claims(&mut watch, 100, OTHER);
        advance(OVER / 2).await;
        watch.end_old();
        assert_eq!(now().len(), 1, "it was heard meanwhile");
        advance(OVER / 2).await;
        watch.end_old();
        assert!(now().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_conflict_is_over_when_the_address_goes() {
        let (mut watch, view, conflicts) = watch_over(1);
        claims(&mut watch, 100, OTHER);
        advance(AGAIN).await;
        claims(&mut watch, 100, OTHER);
        assert_eq!(conflicts.borrow().len(), 1);
        view.send_modify(|view| view.held.clear());
        advance(LOOK).await;
        watch.end_old();
        assert!(conflicts.borrow().is_empty());
    }

    /// Anybody on the link can forge claims.
    #[tokio::test(start_paused = true)]
    async fn many_conflicts_are_shown_and_few_are_logged() {
        let (mut watch, _view, conflicts) = watch_over(100);
        for turn in 0..10 {
            for n in 100..200 {
                claims(&mut watch, n, Mac([2, 0, 0, 0, turn, n]));
            }
            advance(AGAIN).await;
        }
        assert_eq!(conflicts.borrow().len(), 100);
        let logged = watch.claims.values().filter(|one| one.stage == Stage::Logged).count();
        assert_eq!(logged, MOST_LOGGED);
        assert_eq!(
            conflicts.borrow()[&held(100)],
            Mac([2, 0, 0, 0, 1, 100]),
            "the one that was logged"
        );
    }
}
