//! The state of a pair as one of its gates knows it: both directions of the link, and which addresses each gate holds.

use super::message::Station;
use super::station;
use crate::config::Interface;
use engine::snapshot::Snapshot;
use engine::state::sync::import::SyncRefusal;
use engine::types::tick::{PER_SECOND, Tick};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Time that a gate waits after its start for a peer to link, before it does without.
const LONELY: Duration = Duration::from_secs(10);

/// Time after its start from which a gate is ready, however far the peer has come in telling its flows.
const LONGEST: Duration = Duration::from_secs(90);

/// Rounds that tell the rest: the first one may find some addresses still held.
const LAST_ROUNDS: u32 = 2;

/// Ticks after a gate has got addresses in which the gate that had them tells the rest of its flows.
pub const REST: u32 = 5 * PER_SECOND;

/// Time since the last whole round after which a peer may be dead.
const FRESH: Duration = Duration::from_secs(2);

/// The state of a pair, shared by the tasks that tell and hear and by the operator's requests.
#[derive(Debug)]
pub struct PairState {
    /// This gate tells its flows.
    pub telling: Direction,
    /// This gate hears of the peer's flows.
    pub hearing: Direction,
    /// Rows of the peer's that were refused, by [`SyncRefusal`].
    pub refused: [Cell<u64>; SyncRefusal::ALL.len()],
    start: Instant,
    peer_holds: RefCell<BTreeSet<IpAddr>>,
    stations: RefCell<Vec<Station>>,
    /// The time at which this gate got addresses last, as workers count it.
    pub gained: Cell<Option<Tick>>,
    /// The time at which this gate lost addresses last, and the rounds that are left to tell the rest of their flows.
    rest: Cell<Option<(Tick, u32)>>,
    /// Told when what the peer holds or its stations are others: the snapshot has both.
    pub changed: Notify,
    conflict: RefCell<Conflict>,
}

/// One direction of the link.
#[derive(Debug, Default)]
pub struct Direction {
    /// The peer's version, while there is a link.
    pub linked: RefCell<Option<String>>,
    /// Links since the start. Each begins with all flows.
    pub links: Cell<u64>,
    /// Records since the start.
    pub records: Cell<u64>,
    /// Rounds of this link that came to their end.
    pub rounds: Cell<u64>,
    /// The end of the last whole round.
    pub last: Cell<Option<Instant>>,
    /// Whether the other side has refused rows of this link.
    pub is_refused: Cell<bool>,
}

impl Direction {
    /// Notes a link to a peer of this version.
    pub fn begin(&self, version: String) {
        self.linked.replace(Some(version));
        self.links.set(self.links.get() + 1);
        self.rounds.set(0);
        self.is_refused.set(false);
    }

    /// Notes that the link is gone.
    pub fn end(&self) {
        self.linked.replace(None);
    }

    /// Notes the end of a round.
    pub fn round(&self) {
        self.rounds.set(self.rounds.get() + 1);
        self.last.set(Some(Instant::now()));
    }

    /// Counts records.
    pub fn count(&self, records: usize) {
        self.records.set(self.records.get() + records as u64);
    }

    /// Whether there is a link.
    pub fn is_linked(&self) -> bool {
        self.linked.borrow().is_some()
    }

    /// Whether there is a link, on which all flows were told once.
    pub fn is_in_step(&self) -> bool {
        self.is_linked() && self.rounds.get() > 0
    }

    /// Whether the other side has taken in all rows, to this moment but for a round or two.
    fn is_known_there(&self) -> bool {
        let is_fresh = self.last.get().is_some_and(|last| last.elapsed() < FRESH);
        self.is_in_step() && is_fresh && !self.is_refused.get()
    }

    /// Seconds since the last whole round.
    pub fn lag(&self) -> Option<f64> {
        self.last.get().map(|last| last.elapsed().as_secs_f64())
    }
}

/// Addresses that both gates hold. Those of a single round may be on their way from one to the other.
#[derive(Debug, Default)]
struct Conflict {
    suspected: BTreeSet<IpAddr>,
    known: BTreeSet<IpAddr>,
}

impl Default for PairState {
    fn default() -> PairState {
        PairState {
            telling: Direction::default(),
            hearing: Direction::default(),
            refused: Default::default(),
            start: Instant::now(),
            peer_holds: RefCell::default(),
            stations: RefCell::default(),
            gained: Cell::default(),
            rest: Cell::default(),
            changed: Notify::new(),
            conflict: RefCell::default(),
        }
    }
}

impl PairState {
    /// Counts rows that were refused, by reason.
    pub fn refuse(&self, refused: &[u32]) {
        for (count, &more) in self.refused.iter().zip(refused) {
            count.set(count.get() + u64::from(more));
        }
    }

    /// Notes the addresses that the peer holds; `ours` are those that this gate holds and should hold alone.
    pub fn hear_of(&self, held: BTreeSet<IpAddr>, ours: &BTreeSet<IpAddr>) {
        let both: BTreeSet<IpAddr> = held.intersection(ours).copied().collect();
        let mut conflict = self.conflict.borrow_mut();
        let known: BTreeSet<IpAddr> = both.intersection(&conflict.suspected).copied().collect();
        if known != conflict.known {
            match known.is_empty() {
                true => log::info!("pair: no address is held by both gates any more"),
                false => log::warn!(
                    "pair: both gates hold {}: neither believes the other one's flows",
                    list(&known)
                ),
            }
        }
        *conflict = Conflict { suspected: both, known };
        if self.peer_holds.replace_with(|_| held.clone()) != held {
            self.changed.notify_one();
        }
    }

    /// Whether the other gate has taken in all rows, to this moment but for a round or two, and the rest of those that this
    /// gate has just lost.
    pub fn is_known_there(&self, now: Tick) -> bool {
        self.telling.is_known_there() && !self.has_rest(now)
    }

    /// Notes that this gate has lost addresses.
    pub fn lose(&self, now: Tick) {
        self.rest.set(Some((now, LAST_ROUNDS)));
    }

    /// Whether the gate that has lost addresses has not told the rest of their flows yet, and it is not too late.
    pub fn has_rest(&self, now: Tick) -> bool {
        self.rest.get().is_some_and(|(lost, rounds)| rounds > 0 && now.since(lost) < REST)
    }

    /// Notes that a round has told the rest.
    pub fn rest_is_told(&self) {
        self.rest.set(self.rest.get().map(|(lost, rounds)| (lost, rounds.saturating_sub(1))));
    }

    /// Notes the peer's stations.
    pub fn hear_of_stations(&self, stations: Vec<Station>) {
        if self.stations.replace_with(|_| stations.clone()) != stations {
            self.changed.notify_one();
        }
    }

    /// Enters into a snapshot what the peer holds, and where it takes packets of its flows.
    pub fn enter(&self, snapshot: &mut Snapshot, interfaces: &[Interface]) {
        station::enter(snapshot, interfaces, &self.stations.borrow(), &self.peer_holds.borrow());
    }

    /// Notes that the peer is not heard any more.
    pub fn peer_is_gone(&self) {
        self.hearing.end();
        self.peer_holds.borrow_mut().clear();
        self.stations.borrow_mut().clear();
        self.changed.notify_one();
        self.conflict.replace(Conflict::default());
    }

    /// Whether the peer holds an address, while it is heard.
    pub fn peer_holds(&self, address: IpAddr) -> Option<bool> {
        let is_heard = self.hearing.is_in_step();
        is_heard.then(|| self.peer_holds.borrow().contains(&address))
    }

    /// Addresses that both gates hold.
    pub fn conflicts(&self) -> usize {
        self.conflict.borrow().known.len()
    }

    /// The reason for which the flows are not in step, if the gate must wait for them.
    pub fn out_of_step(&self) -> Option<String> {
        let up = self.start.elapsed();
        let waits = if self.hearing.is_linked() { up < LONGEST } else { up < LONELY };
        let is_behind = waits && !self.hearing.is_in_step();
        is_behind.then(|| "the other gate has not told all its flows yet".to_owned())
    }
}

/// Addresses in a line of the log.
pub fn list<'a>(addresses: impl IntoIterator<Item = &'a IpAddr>) -> String {
    addresses.into_iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(addresses: &[&str]) -> BTreeSet<IpAddr> {
        addresses.iter().map(|address| address.parse().expect("an address")).collect()
    }

    #[test]
    fn an_address_on_its_way_is_no_conflict() {
        let (state, both) = (PairState::default(), held(&["10.0.0.100", "10.0.0.101"]));
        state.hearing.begin("0.1.0".to_owned());
        state.hearing.round();
        for (peer, ours, expected) in [
            (&both, &held(&[]), 0),
            (&both, &held(&["10.0.0.100"]), 0),
            (&held(&["10.0.0.101"]), &held(&["10.0.0.100"]), 0),
            (&both, &both, 0),
            (&both, &both, 2),
            (&both, &held(&["10.0.0.101"]), 1),
            (&both, &held(&[]), 0),
        ] {
            state.hear_of(peer.clone(), ours);
            assert_eq!(state.conflicts(), expected, "{peer:?} {ours:?}");
        }
        let address = "10.0.0.100".parse().expect("an address");
        assert_eq!(state.peer_holds(address), Some(true));
        state.peer_is_gone();
        assert_eq!((state.peer_holds(address), state.conflicts()), (None, 0));
    }

    #[test]
    fn the_rest_is_told_for_two_rounds_and_not_too_late() {
        let (state, now) = (PairState::default(), Tick(1000));
        assert!(!state.has_rest(now));
        for (rounds, after, expected) in
            [(0, 0, true), (1, 9, true), (2, 9, false), (0, REST, false)]
        {
            state.lose(now);
            (0..rounds).for_each(|_| state.rest_is_told());
            assert_eq!(state.has_rest(now.after(after)), expected, "{rounds} {after}");
        }
    }

    #[test]
    fn a_gate_waits_for_a_peer_and_its_flows_but_not_for_ever() {
        let after = |seconds| PairState {
            start: Instant::now().checked_sub(Duration::from_secs(seconds)).expect("a time"),
            ..PairState::default()
        };
        assert!(after(0).out_of_step().is_some(), "the peer may be about to link");
        assert!(after(11).out_of_step().is_none(), "there is none");
        let linked = |seconds| {
            let state = after(seconds);
            state.hearing.begin("0.1.0".to_owned());
            state
        };
        assert!(linked(11).out_of_step().is_some(), "its flows come");
        assert!(linked(91).out_of_step().is_none(), "not for ever");
        let state = linked(0);
        state.hearing.round();
        assert!(state.out_of_step().is_none(), "all were told");
    }
}
