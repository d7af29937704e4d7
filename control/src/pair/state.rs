//! The state of a pair as one of its gates knows it: both directions of the link, and which addresses each gate holds.

use super::message::Station;
use super::station;
use crate::config::Interface;
use engine::snapshot::Snapshot;
use engine::state::sync::import::SyncRefusal;
use engine::state::sync::{AddressSet, Gains};
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
const REST: u32 = 5 * PER_SECOND;

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
    /// The times at which this gate got addresses, as workers count them.
    gains: RefCell<Gains>,
    /// The addresses that this gate has just lost, when, and the rounds that are left to tell the rest of their flows.
    rest: RefCell<Option<(AddressSet, Tick, u32)>>,
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
            gains: RefCell::default(),
            rest: RefCell::default(),
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
        self.telling.is_known_there() && self.rest(now).is_none()
    }

    /// Notes that this gate holds other addresses than before.
    pub fn moves(&self, before: &AddressSet, held: &AddressSet, now: Tick) {
        let gained = held.without(before);
        let mut gains = self.gains.borrow_mut();
        note(&mut gains.vips, &gained.vips, now);
        note(&mut gains.snat, &gained.snat, now);
        let lost = before.without(held);
        if !lost.is_empty() {
            // They may go one after the other.
            let earlier = self.rest(now).unwrap_or_default();
            let lost = lost.with(&earlier).without(held);
            self.rest.replace(Some((lost, now, LAST_ROUNDS)));
        }
    }

    /// The addresses that this gate got so lately that the gate that had them may still tell their flows.
    pub fn gains(&self, now: Tick) -> Gains {
        let late = |times: &[Option<Tick>]| {
            times.iter().map(|time| time.filter(|&time| now.since(time) < REST)).collect()
        };
        let gains = self.gains.borrow();
        Gains { vips: late(&gains.vips), snat: late(&gains.snat) }
    }

    /// The time until which the gate that had addresses of this one may still tell their flows.
    pub fn settled(&self, now: Tick) -> Option<Tick> {
        let Gains { vips, snat } = self.gains(now);
        let last = vips.into_iter().chain(snat).flatten().min_by_key(|&time| now.since(time));
        last.map(|time| time.after(REST))
    }

    /// The addresses that this gate has just lost, if it has not told the rest of their flows yet and it is not too late.
    pub fn rest(&self, now: Tick) -> Option<AddressSet> {
        let rest = self.rest.borrow();
        let (lost, when, rounds) = rest.as_ref()?;
        (*rounds > 0 && now.since(*when) < REST).then(|| lost.clone())
    }

    /// Notes that a round has told the rest.
    pub fn rest_is_told(&self) {
        if let Some((_, _, rounds)) = &mut *self.rest.borrow_mut() {
            *rounds = rounds.saturating_sub(1);
        }
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

/// Notes the time at which these addresses were got.
fn note(times: &mut Vec<Option<Tick>>, gained: &[bool], now: Tick) {
    times.resize(gained.len().max(times.len()), None);
    for (time, _) in times.iter_mut().zip(gained).filter(|(_, is_gained)| **is_gained) {
        *time = Some(now);
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
        let set = |vips: &[bool]| AddressSet { vips: vips.into(), snat: vec![false] };
        let [none, both, other] = [[false; 2], [true; 2], [false, true]].map(|vips| set(&vips));
        state.moves(&none, &both, now);
        assert_eq!((state.gains(now).vips, state.rest(now)), (vec![Some(now); 2], None));
        assert_eq!(state.settled(now.after(9)), Some(now.after(REST)));
        assert_eq!(state.gains(now.after(REST)).vips, [None; 2]);
        for (rounds, after, is_told) in
            [(0, 0, true), (1, 9, true), (2, 9, false), (0, REST, false)]
        {
            state.moves(&both, &other, now);
            (0..rounds).for_each(|_| state.rest_is_told());
            let rest = state.rest(now.after(after));
            assert_eq!(rest, is_told.then(|| set(&[true, false])), "{rounds} {after}");
        }
        // One after the other.
        state.moves(&both, &other, now);
        state.moves(&other, &none, now.after(1));
        assert_eq!(state.rest(now.after(2)), Some(both.clone()));
        state.moves(&none, &other, now.after(2));
        state.moves(&other, &none, now.after(3));
        assert_eq!(state.gains(now.after(3)).vips, [Some(now), Some(now.after(2))]);
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
