//! The next hop of answers to a client. Answers go to the hop that the client's first packet came from (the last hop),
//! or to the client itself where the kernel has it as a neighbour. The next hop then changes
//!
//! - to another hop that packets of the client come from, if the kernel's route leads there, or if the client proves
//!   its identity and is not heard by the old hop meanwhile. A host that spoofs the client's address must not get its
//!   answers;
//! - to the kernel's route, if the client does not hear answers sent by the last hop; and back, if it does not hear
//!   those either.

use crate::types::id::InterfaceId;
use crate::types::next_hop::NextHop;
use crate::types::tick::{PER_SECOND, Tick};
use wire::ethernet::Mac;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A candidate for the next hop to a client, or a hop that was abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct NewHop {
    /// The hop.
    pub hop: NextHop,
    /// Last byte of the tick when the role began.
    since: u8,
    /// The client's progress at that time, in the lower 14 bits; above them the role.
    state: [u8; 2],
}

row_layout!(NewHop, 10: hop 0, since 7, state 8);

/// The role of the hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Packets of the client came from it lately.
    Seen,
    /// Answers go to it, and the client has missed one.
    Unheard,
    /// Answers went to it, and were not heard.
    Left,
}

/// The evidence in a packet that its sender is the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// No evidence; the packet goes on and changes nothing.
    Nothing,
    /// The address only: the protocol offers no more.
    Claim,
    /// Numbers within the window, which only the client can know.
    Knowledge,
}

/// The current next hop to a client, and the kernel's.
#[derive(Debug, Clone, Copy)]
pub struct Ways {
    /// The current next hop.
    pub back: NextHop,
    /// The kernel's next hop, if it is known.
    pub route: Option<NextHop>,
}

/// A client's packet, by its origin and evidence.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The hop that it came from.
    pub from: NextHop,
    /// The evidence.
    pub proof: Proof,
    /// Whether the packet carries or acknowledges new data.
    pub goes_on: bool,
    /// The client's progress before the packet: every packet by the old hop changes it.
    pub mark: u16,
}

/// Ticks before which no sender retransmits because of silence.
const IN_EARNEST: u8 = (PER_SECOND / 2) as u8;

/// Ticks within which a second missed packet is no further evidence.
const AT_ONCE: u8 = (PER_SECOND / 5) as u8;

const MARK: u16 = 0x3fff;

impl NewHop {
    /// No candidate.
    pub const NONE: NewHop = NewHop {
        hop: NextHop { mac: Mac([0; 6]), interface: InterfaceId(0) },
        since: 0,
        state: [0; 2],
    };

    fn new(kind: Role, hop: NextHop, mark: u16, now: Tick) -> NewHop {
        let state = (kind as u16) << 14 | mark & MARK;
        NewHop { hop, since: now.0 as u8, state: state.to_be_bytes() }
    }

    fn kind(&self) -> Role {
        match self.state[0] >> 6 {
            0 => Role::Seen,
            1 => Role::Unheard,
            _ => Role::Left,
        }
    }

    /// Whether the hop has this role, and the client has made no progress since.
    fn is(&self, kind: Role, mark: u16) -> bool {
        self.state == NewHop::new(kind, self.hop, mark, Tick(0)).state
    }

    fn age(&self, now: Tick) -> u8 {
        (now.0 as u8).wrapping_sub(self.since)
    }

    /// Whether answers must go to the packet's hop from now on.
    pub fn takes_over(&mut self, packet: &Arrival, ways: &Ways, now: Tick) -> bool {
        let Arrival { from, proof, goes_on, mark } = *packet;
        if ways.route == Some(from) {
            *self = NewHop::NONE;
            return true;
        }
        let is_kernels = ways.route == Some(ways.back);
        match proof {
            Proof::Nothing => return false,
            // The kernel's route has more weight.
            Proof::Claim if is_kernels => return false,
            // The client sends by one hop and receives by another one.
            Proof::Knowledge if is_kernels && goes_on => {
                *self = NewHop::NONE;
                return false;
            }
            Proof::Claim | Proof::Knowledge => {}
        }
        let repeats_itself =
            self.hop == from && (self.is(Role::Seen, mark) || self.is(Role::Left, mark));
        if !repeats_itself {
            *self = NewHop::new(Role::Seen, from, mark, now);
            return false;
        }
        let is_proven = proof == Proof::Knowledge && !is_kernels;
        let takes_over = is_proven || self.age(now) >= IN_EARNEST;
        if takes_over {
            *self = NewHop::NONE;
        }
        takes_over
    }

    /// Notes the client's progress after a packet from this hop.
    pub fn advance(&mut self, from: NextHop, mark: u16) {
        if self.hop == from && self.kind() == Role::Seen {
            *self = NewHop { since: self.since, ..NewHop::new(Role::Seen, from, mark, Tick(0)) };
        }
    }

    /// Drops the candidate if the client goes on by the old hop, which is in use.
    pub fn is_not_needed(&mut self, goes_on: bool) {
        if goes_on || self.kind() == Role::Seen {
            *self = NewHop::NONE;
        }
    }

    /// The new next hop after the client has missed a packet sent by `back`, if it changes. A single loss proves
    /// nothing. The kernel's route is looked up only if it matters.
    pub fn unheard(
        &mut self,
        back: NextHop,
        route: impl FnOnce() -> Option<NextHop>,
        mark: u16,
        now: Tick,
    ) -> Option<NextHop> {
        let has_left = self.is(Role::Left, mark);
        let is_again = has_left || self.hop == back && self.is(Role::Unheard, mark);
        if is_again && self.age(now) < AT_ONCE {
            return None;
        }
        let route = route();
        if !is_again {
            *self = NewHop::new(Role::Unheard, back, mark, now);
            return None;
        }
        let other = match route {
            Some(route) if route != back => route,
            Some(_) if has_left => self.hop,
            Some(_) | None => return None,
        };
        *self = NewHop::new(Role::Left, back, mark, now);
        Some(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn hop(n: u8) -> NextHop {
        NextHop { mac: Mac([2, 0, 0, 0, 0, n]), interface: InterfaceId(0) }
    }

    const OLD: NextHop = hop(1);
    const NEW: NextHop = hop(2);
    const NOW: Tick = Tick(250);

    fn packet(from: NextHop, proof: Proof, mark: u16) -> Arrival {
        Arrival { from, proof, goes_on: false, mark }
    }

    fn by(route: Option<NextHop>) -> Ways {
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
        for (route, goes_on) in [(None, false), (Some(hop(3)), true)] {
            let mut new = NewHop::NONE;
            let first = Arrival { goes_on, ..packet(NEW, Proof::Knowledge, 7) };
            assert!(!new.takes_over(&first, &by(route), NOW));
            new.advance(NEW, 8);
            assert!(new.takes_over(&Arrival { mark: 8, ..first }, &by(route), NOW), "{route:?}");
        }
    }

    /// The kernel's entry still names the failed router.
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
        for (route, takes_over) in [(None, true), (Some(hop(3)), true), (Some(OLD), false)] {
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
    fn two_hops_do_not_speak_for_each_other() {
        let mut new = NewHop::NONE;
        for n in [2, 3, 2, 3] {
            let packet = packet(hop(n), Proof::Knowledge, 7);
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
            // Several misses at once tell no more than the first.
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
        let mut new = NewHop::new(Role::Left, OLD, 7, NOW);
        for after in [40, 80] {
            assert_eq!(new.unheard(NEW, || Some(NEW), 8, NOW.after(after)), None);
        }
    }

    /// A sender doubles its delay before each retransmission.
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
            let _ = new.takes_over(&packet(hop(3), Proof::Claim, 7), &by(None), NOW);
            for after in 0..40 {
                assert_eq!(new.unheard(OLD, || route, 7, NOW.after(after)), None);
            }
        }
    }

    #[test]
    fn who_sends_from_one_hop_and_hears_at_another_stays_there() {
        let mut new = NewHop::new(Role::Left, OLD, 7, NOW);
        let ways = Ways { back: NEW, route: Some(NEW) };
        for mark in 7..40 {
            let said = Arrival { goes_on: true, ..packet(OLD, Proof::Knowledge, mark) };
            assert!(!new.takes_over(&said, &ways, NOW.after(9 * u32::from(mark))));
        }
    }
}
