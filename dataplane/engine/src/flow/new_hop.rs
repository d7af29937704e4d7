//! Which way answers to a client go. They go to the station that its first packet came from (the last hop), or to where the
//! kernel has found the client as a neighbour. From then on the way moves
//!
//! - to another station that packets of the client come from, when the kernel's route leads there, or when the client
//!   proves that it is the client and is not heard from the old way meanwhile. Whoever can make a packet in its name is
//!   not to have the answers;
//! - to where the kernel's route leads, when the client does not hear what is sent by the last hop, and back again when it
//!   does not hear that either.

use crate::tables::Hop;
use crate::tick::{PER_SECOND, Tick};
use wire::ethernet::Mac;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A station that answers to a client may have to go to, or not to go to any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct NewHop {
    /// The station.
    pub hop: Hop,
    /// When it became this, of which the last byte is kept.
    since: u8,
    /// How far the client had come then, in the lower 14 bits; above them the [`Kind`].
    state: [u8; 2],
}

/// The part that the station has for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The client's packets have come from there lately.
    Seen,
    /// Answers go there, and the client has not heard one.
    Unheard,
    /// Answers went there, and were not heard.
    Left,
}

/// What a packet proves of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Nothing: it goes on, and changes nothing.
    Nothing,
    /// Nothing but what it says to be: there is nothing to know.
    Claim,
    /// That it knows what only the client can know: numbers within the window.
    Knowledge,
}

/// Where answers to a client go, and where they may go.
#[derive(Debug, Clone, Copy)]
pub struct Ways {
    /// The station that they go to.
    pub back: Hop,
    /// The kernel's next hop to the client, if it knows one.
    pub route: Option<Hop>,
}

/// Where a client's packet comes from.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The station.
    pub from: Hop,
    /// What the packet proves.
    pub proof: Proof,
    /// Whether the client says what it has not said before, or acknowledges more.
    pub goes_on: bool,
    /// How far the client had come before it: every packet from the old way changes that.
    pub mark: u16,
}

/// Ticks before which nobody repeats anything because nothing was heard.
const IN_EARNEST: u8 = (PER_SECOND / 2) as u8;

/// Ticks in which a second thing that is not heard tells no more than the first one.
const AT_ONCE: u8 = (PER_SECOND / 5) as u8;

const MARK: u16 = 0x3fff;

impl NewHop {
    /// No station.
    pub const NONE: NewHop =
        NewHop { hop: Hop { mac: Mac([0; 6]), interface: 0 }, since: 0, state: [0; 2] };

    fn new(kind: Kind, hop: Hop, mark: u16, now: Tick) -> NewHop {
        let state = (kind as u16) << 14 | mark & MARK;
        NewHop { hop, since: now.0 as u8, state: state.to_be_bytes() }
    }

    fn kind(&self) -> Kind {
        match self.state[0] >> 6 {
            0 => Kind::Seen,
            1 => Kind::Unheard,
            _ => Kind::Left,
        }
    }

    /// Whether it has been this since the client had come so far.
    fn is(&self, kind: Kind, mark: u16) -> bool {
        self.state == NewHop::new(kind, self.hop, mark, Tick(0)).state
    }

    fn age(&self, now: Tick) -> u8 {
        (now.0 as u8).wrapping_sub(self.since)
    }

    /// Whether answers go to the station that this packet came from, from now on.
    pub fn takes_over(&mut self, packet: &Arrival, ways: &Ways, now: Tick) -> bool {
        let Arrival { from, proof, goes_on, mark } = *packet;
        if ways.route == Some(from) {
            *self = NewHop::NONE;
            return true;
        }
        let is_kernels = ways.route == Some(ways.back);
        match proof {
            Proof::Nothing => return false,
            // The kernel's word is worth more.
            Proof::Claim if is_kernels => return false,
            // The client sends from one station and hears at another one.
            Proof::Knowledge if is_kernels && goes_on => {
                *self = NewHop::NONE;
                return false;
            }
            Proof::Claim | Proof::Knowledge => {}
        }
        let repeats_itself =
            self.hop == from && (self.is(Kind::Seen, mark) || self.is(Kind::Left, mark));
        if !repeats_itself {
            *self = NewHop::new(Kind::Seen, from, mark, now);
            return false;
        }
        let is_proven = proof == Proof::Knowledge && !is_kernels;
        let takes_over = is_proven || self.age(now) >= IN_EARNEST;
        if takes_over {
            *self = NewHop::NONE;
        }
        takes_over
    }

    /// The client has come this far with a packet from that station.
    pub fn advance(&mut self, from: Hop, mark: u16) {
        if self.hop == from && self.kind() == Kind::Seen {
            *self = NewHop { since: self.since, ..NewHop::new(Kind::Seen, from, mark, Tick(0)) };
        }
    }

    /// The client has sent something by the old way, which is in use.
    pub fn is_not_needed(&mut self, goes_on: bool) {
        if goes_on || self.kind() == Kind::Seen {
            *self = NewHop::NONE;
        }
    }

    /// Where answers go from now on, if that changes: the client, which has come so far, has not heard what was sent to it
    /// by `back`. One such thing may have got lost. The kernel is asked for its `route` when that can matter.
    pub fn unheard(
        &mut self,
        back: Hop,
        route: impl FnOnce() -> Option<Hop>,
        mark: u16,
        now: Tick,
    ) -> Option<Hop> {
        let has_left = self.is(Kind::Left, mark);
        let is_again = has_left || self.hop == back && self.is(Kind::Unheard, mark);
        if is_again && self.age(now) < AT_ONCE {
            return None;
        }
        let route = route();
        if !is_again {
            *self = NewHop::new(Kind::Unheard, back, mark, now);
            return None;
        }
        let other = match route {
            Some(route) if route != back => route,
            Some(_) if has_left => self.hop,
            Some(_) | None => return None,
        };
        *self = NewHop::new(Kind::Left, back, mark, now);
        Some(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn station(n: u8) -> Hop {
        Hop { mac: Mac([2, 0, 0, 0, 0, n]), interface: 0 }
    }

    const OLD: Hop = station(1);
    const NEW: Hop = station(2);
    const NOW: Tick = Tick(250);

    fn packet(from: Hop, proof: Proof, mark: u16) -> Arrival {
        Arrival { from, proof, goes_on: false, mark }
    }

    fn by(route: Option<Hop>) -> Ways {
        Ways { back: OLD, route }
    }

    #[test]
    fn the_kernel_s_route_is_taken_at_once() {
        for proof in [Proof::Nothing, Proof::Claim, Proof::Knowledge] {
            let mut new = NewHop::NONE;
            let packet = packet(NEW, proof, 7);
            assert!(new.takes_over(&packet, &by(Some(NEW)), NOW), "{proof:?}");
        }
    }

    #[test]
    fn who_knows_the_numbers_takes_over_by_the_second_packet() {
        for (route, goes_on) in [(None, false), (Some(station(3)), true)] {
            let mut new = NewHop::NONE;
            let first = Arrival { goes_on, ..packet(NEW, Proof::Knowledge, 7) };
            assert!(!new.takes_over(&first, &by(route), NOW));
            new.advance(NEW, 8);
            assert!(new.takes_over(&Arrival { mark: 8, ..first }, &by(route), NOW), "{route:?}");
        }
    }

    /// Where the kernel's entry is of the router that has failed.
    #[test]
    fn against_the_kernel_s_word_it_has_to_repeat_itself_in_earnest_too() {
        let mut new = NewHop::NONE;
        let packet = packet(NEW, Proof::Knowledge, 7);
        let goes_on = Arrival { goes_on: true, ..packet };
        for after in 0..40 {
            assert!(!new.takes_over(&goes_on, &by(Some(OLD)), NOW.after(after)), "it hears us");
        }
        let later = NOW.after(40);
        for after in 0..u32::from(IN_EARNEST) {
            assert!(!new.takes_over(&packet, &by(Some(OLD)), later.after(after)));
        }
        assert!(new.takes_over(&packet, &by(Some(OLD)), later.after(IN_EARNEST.into())));
    }

    #[test]
    fn who_knows_nothing_has_to_repeat_itself_in_earnest_and_the_kernel_not_to_object() {
        for (route, takes_over) in [(None, true), (Some(station(3)), true), (Some(OLD), false)] {
            let mut new = NewHop::NONE;
            let packet = packet(NEW, Proof::Claim, 7);
            for after in 0..u32::from(IN_EARNEST) {
                assert!(!new.takes_over(&packet, &by(route), NOW.after(after)), "{route:?}");
            }
            let later = NOW.after(IN_EARNEST.into());
            assert_eq!(new.takes_over(&packet, &by(route), later), takes_over, "{route:?}");
        }
    }

    #[test]
    fn while_the_old_way_is_in_use_nothing_moves() {
        let mut new = NewHop::NONE;
        for mark in 0..9 {
            let packet = packet(NEW, Proof::Knowledge, mark);
            assert!(!new.takes_over(&packet, &by(None), NOW.after(7)));
        }
    }

    #[test]
    fn two_stations_do_not_speak_for_each_other() {
        let mut new = NewHop::NONE;
        for n in [2, 3, 2, 3] {
            let packet = packet(station(n), Proof::Knowledge, 7);
            assert!(!new.takes_over(&packet, &by(None), NOW));
        }
    }

    #[test]
    fn what_proves_nothing_never_counts() {
        let mut new = NewHop::NONE;
        for after in 0..40 {
            let packet = packet(NEW, Proof::Nothing, 7);
            assert!(!new.takes_over(&packet, &by(None), NOW.after(after)));
        }
        assert_eq!(new, NewHop::NONE);
    }

    #[test]
    fn what_is_not_heard_twice_goes_by_the_route_and_then_the_old_way_again() {
        let mut new = NewHop::NONE;
        let mut unheard = |back, now| new.unheard(back, || Some(NEW), 7, now);
        let (mut back, mut now) = (OLD, NOW);
        for other in [NEW, OLD, NEW, OLD] {
            // Of several at once none tells more than the first.
            assert_eq!(unheard(back, now), None, "{other:?}");
            assert_eq!(unheard(back, now.after(1)), None, "{other:?}");
            now = now.after(AT_ONCE.into());
            assert_eq!(unheard(back, now), Some(other));
            back = other;
        }
    }

    #[test]
    fn a_client_that_is_heard_meanwhile_has_only_lost_something() {
        let mut new = NewHop::NONE;
        for mark in 0..40 {
            let now = NOW.after(u32::from(mark) * 9);
            assert_eq!(new.unheard(OLD, || Some(NEW), mark, now), None);
        }
        // By the route as well.
        let mut new = NewHop::new(Kind::Left, OLD, 7, NOW);
        for after in [40, 80] {
            assert_eq!(new.unheard(NEW, || Some(NEW), 8, NOW.after(after)), None);
        }
    }

    /// A sender waits for twice as long before each repetition.
    #[test]
    fn what_is_not_heard_goes_by_a_route_as_soon_as_there_is_one() {
        let mut new = NewHop::NONE;
        for after in [2, 6, 14] {
            assert_eq!(new.unheard(OLD, || None, 7, NOW.after(after)), None);
        }
        assert_eq!(new.unheard(OLD, || Some(NEW), 7, NOW.after(30)), Some(NEW));
    }

    #[test]
    fn nobody_but_the_kernel_says_where_what_is_not_heard_goes() {
        for route in [None, Some(OLD)] {
            let mut new = NewHop::NONE;
            let _ = new.takes_over(&packet(station(3), Proof::Claim, 7), &by(None), NOW);
            for after in 0..40 {
                assert_eq!(new.unheard(OLD, || route, 7, NOW.after(after)), None);
            }
        }
    }

    #[test]
    fn who_sends_from_one_station_and_hears_at_another_stays_there() {
        let mut new = NewHop::new(Kind::Left, OLD, 7, NOW);
        let ways = Ways { back: NEW, route: Some(NEW) };
        for mark in 7..40 {
            let said = Arrival { goes_on: true, ..packet(OLD, Proof::Knowledge, mark) };
            assert!(!new.takes_over(&said, &ways, NOW.after(9 * u32::from(mark))));
        }
    }
}
