//! Whether answers to a client go another way from now on. They go to the station that its first packet came from (the
//! last hop). A packet of its that comes from another one is passed on like the others, but whoever can make one is not
//! to have the answers: the way moves when the kernel's own route leads there, or when the client repeats itself from
//! there and is not heard from the old way meanwhile.

use crate::tables::Hop;
use crate::tick::{PER_SECOND, Tick};
use wire::ethernet::Mac;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A station that a client's packets have come from lately, and that answers do not go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct NewHop {
    /// The station.
    pub hop: Hop,
    /// When it was seen first, of which the last byte is kept.
    since: u8,
    /// How far the client had come with the last packet from there.
    mark: [u8; 2],
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

/// Where a client's packet comes from.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The station.
    pub from: Hop,
    /// The one that answers go to.
    pub back: Hop,
    /// The kernel's next hop to the client, if it knows one.
    pub route: Option<Hop>,
    /// What the packet proves.
    pub proof: Proof,
    /// How far the client had come before it: every packet from the old way changes that.
    pub mark: u16,
}

/// Ticks before which nobody repeats anything because nothing was heard.
const IN_EARNEST: u8 = (PER_SECOND / 2) as u8;

impl NewHop {
    /// There is none.
    pub const NONE: NewHop =
        NewHop { hop: Hop { mac: Mac([0; 6]), interface: 0 }, since: 0, mark: [0; 2] };

    /// Whether answers go to the station that this packet came from, from now on.
    pub fn takes_over(&mut self, packet: &Arrival, now: Tick) -> bool {
        let Arrival { from, back, route, proof, mark } = *packet;
        if route == Some(from) {
            *self = NewHop::NONE;
            return true;
        }
        match proof {
            Proof::Nothing => return false,
            // The kernel's word is worth more.
            Proof::Claim if route == Some(back) => return false,
            Proof::Claim | Proof::Knowledge => {}
        }
        let repeats_itself = self.hop == from && self.mark == mark.to_be_bytes();
        if !repeats_itself {
            *self = NewHop { hop: from, since: now.0 as u8, mark: mark.to_be_bytes() };
            return false;
        }
        let takes_over =
            proof == Proof::Knowledge || (now.0 as u8).wrapping_sub(self.since) >= IN_EARNEST;
        if takes_over {
            *self = NewHop::NONE;
        }
        takes_over
    }

    /// The client has come this far with a packet from that station.
    pub fn advance(&mut self, from: Hop, mark: u16) {
        if self.hop == from {
            self.mark = mark.to_be_bytes();
        }
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
        Arrival { from, back: OLD, route: None, proof, mark }
    }

    #[test]
    fn the_kernel_s_route_is_taken_at_once() {
        for proof in [Proof::Nothing, Proof::Claim, Proof::Knowledge] {
            let mut new = NewHop::NONE;
            let packet = Arrival { route: Some(NEW), ..packet(NEW, proof, 7) };
            assert!(new.takes_over(&packet, NOW), "{proof:?}");
        }
    }

    #[test]
    fn who_knows_the_numbers_takes_over_by_the_second_packet() {
        for route in [None, Some(OLD), Some(station(3))] {
            let mut new = NewHop::NONE;
            let first = Arrival { route, ..packet(NEW, Proof::Knowledge, 7) };
            assert!(!new.takes_over(&first, NOW));
            new.advance(NEW, 8);
            assert!(new.takes_over(&Arrival { mark: 8, ..first }, NOW), "{route:?}");
        }
    }

    #[test]
    fn who_knows_nothing_has_to_repeat_itself_in_earnest_and_the_kernel_not_to_object() {
        for (route, takes_over) in [(None, true), (Some(station(3)), true), (Some(OLD), false)] {
            let mut new = NewHop::NONE;
            let packet = Arrival { route, ..packet(NEW, Proof::Claim, 7) };
            for after in 0..u32::from(IN_EARNEST) {
                assert!(!new.takes_over(&packet, NOW.after(after)), "{route:?}");
            }
            let later = NOW.after(IN_EARNEST.into());
            assert_eq!(new.takes_over(&packet, later), takes_over, "{route:?}");
        }
    }

    #[test]
    fn while_the_old_way_is_in_use_nothing_moves() {
        let mut new = NewHop::NONE;
        for mark in 0..9 {
            assert!(!new.takes_over(&packet(NEW, Proof::Knowledge, mark), NOW.after(7)));
        }
    }

    #[test]
    fn two_stations_do_not_speak_for_each_other() {
        let mut new = NewHop::NONE;
        for n in [2, 3, 2, 3] {
            assert!(!new.takes_over(&packet(station(n), Proof::Knowledge, 7), NOW));
        }
    }

    #[test]
    fn what_proves_nothing_never_counts() {
        let mut new = NewHop::NONE;
        for after in 0..40 {
            assert!(!new.takes_over(&packet(NEW, Proof::Nothing, 7), NOW.after(after)));
        }
        assert_eq!(new, NewHop::NONE);
    }
}
